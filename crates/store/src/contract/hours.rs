//! Counting by the hour that a date lies in.

use base::Name;
use query::{Batch, ColumnType, Ddl, Expr, Operand, Select};

use super::fixture::{insert, table};
use crate::Store;

pub async fn check(store: &Store) {
    let made =
        table("moments", &[("id", ColumnType::Id), ("at", ColumnType::Date), ("of", ColumnType::Text)]);
    let mut batch = Batch { ddl: vec![Ddl::CreateTable(made)], ..Batch::default() };
    for (id, at, of) in [
        ("a", "2026-11-21 07:00:00.000Z", "x"),
        ("b", "2026-11-21 07:59:59.999Z", "x"),
        ("c", "2026-11-21 08:00:00.000Z", "y"),
        ("d", "2025-01-01 00:30:00.000Z", "x"),
    ] {
        batch.ops.push(insert("moments", &[("id", id.into()), ("at", at.into()), ("of", of.into())]));
    }
    store.commit(batch).await.expect("moments");
    let all = Select::table("moments", Vec::new());
    let some = all.clone().filter(Expr::eq(Operand::base("of", ColumnType::Text), "x"));
    let none = all.clone().filter(Expr::Const(false));
    for (select, expected) in [
        (all, &[("2025-01-01 00:00:00", 1), ("2026-11-21 07:00:00", 2), ("2026-11-21 08:00:00", 1)][..]),
        (some, &[("2025-01-01 00:00:00", 1), ("2026-11-21 07:00:00", 2)]),
        (none, &[]),
    ] {
        let counted = store.count_by_hour(&select, &Name::from("at")).await.expect("counts");
        let counted: Vec<(&str, u64)> = counted.iter().map(|(hour, count)| (hour.as_str(), *count)).collect();
        assert_eq!(counted, expected, "{}", store.engine_name());
    }
}
