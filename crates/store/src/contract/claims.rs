//! Rows that are taken by one statement: by one of many only.

use std::collections::BTreeSet;
use std::time::Duration;

use base::{Name, Value};
use query::batch::Assign;
use query::select::SortKey;
use query::{Action, Batch, Claim, Column, ColumnType, Ddl, Expr, Operand, Sort};

use super::fixture::{insert, table};
use crate::{Error, Store};

const TABLE: &str = "_pando_claimed";

pub async fn check(store: &Store) {
    use ColumnType::{Id, Number, Text};
    let claimed = table(TABLE, &[("id", Id), ("holder", Text), ("due", Number)]);
    let ops = (0..100_u32).map(|row| {
        let values = [("id", format!("c{row:02}").into()), ("due", f64::from(100 - row).into())];
        insert(TABLE, &values)
    });
    let batch = Batch { ddl: vec![Ddl::CreateTable(claimed)], ops: ops.collect(), ..Batch::default() };
    store.commit(batch).await.expect("claimable rows");

    let due = || Operand::base("due", Number);
    let holder = |holder: &str| Expr::eq(Operand::base("holder", Text), Value::from(holder));
    let columns = || vec![Column::new("id", Id), Column::new("due", Number), Column::new("holder", Text)];
    let take = |by: &str, limit: Option<u64>| Claim {
        table: TABLE.into(),
        columns: columns(),
        filter: holder(""),
        sort: vec![Sort { by: SortKey::Operand(due()), descending: false }],
        limit,
        action: Action::Set(vec![
            ("holder".into(), Assign::Set(Value::from(by))),
            ("due".into(), Assign::Add(1000.0)),
        ]),
    };
    let ids = |rows: &[query::Row]| -> BTreeSet<String> {
        rows.iter().map(|row| row.get(0).text_or_empty().to_owned()).collect()
    };

    // The first by the sort, as they are afterwards.
    let rows = store.claim(&take("a", Some(3))).await.expect("claim");
    assert_eq!(ids(&rows), ["c97", "c98", "c99"].map(String::from).into());
    assert!(rows.iter().all(|row| row.get(1).as_number() > 1000.0 && row.get(2).text_or_empty() == "a"));

    // Of many at once no two get the same, and nobody goes away empty while there is something.
    let tasks: Vec<_> = (0..20)
        .map(|by| {
            let (store, claim) = (store.clone(), take(&format!("t{by}"), Some(4)));
            tokio::spawn(async move { store.claim(&claim).await })
        })
        .collect();
    let mut all = BTreeSet::new();
    for task in tasks {
        let rows = task.await.expect("task").expect("claim");
        let before = all.len();
        all.extend(ids(&rows));
        assert_eq!(all.len(), before + rows.len(), "nothing twice");
    }
    assert_eq!(all.len(), 80);

    // What a transaction took it gives back when it is undone, and keeps when it is not; others see nothing of it before.
    let open = store.begin(Duration::from_secs(10)).await.expect("begin");
    assert_eq!(open.store().claim(&take("x", Some(2))).await.expect("claim").len(), 2);
    open.store()
        .claim(&Claim { table: "_pando_nowhere".into(), ..take("x", None) })
        .await
        .expect_err("no table");
    let kept = query::Select::table(TABLE, columns()).filter(holder("x"));
    assert_eq!(open.store().count(&kept).await.expect("count"), 2);
    assert_eq!(store.count(&kept).await.expect("count"), 0);
    open.rollback().await.expect("rollback");
    assert_eq!(store.count(&kept).await.expect("count"), 0);
    let open = store.begin(Duration::from_secs(10)).await.expect("begin");
    assert_eq!(open.store().claim(&take("x", Some(2))).await.expect("claim").len(), 2);
    open.commit().await.expect("commit");
    assert_eq!(store.count(&kept).await.expect("count"), 2);

    // Those of one holder among some ids are deleted at once, and named.
    let some = ["c97", "c98", "c50", "nobody"].map(Value::from).to_vec();
    let among = Expr::In { left: Operand::base("id", Id), values: some };
    let done = Claim {
        filter: Expr::and([among, holder("a")]),
        sort: Vec::new(),
        action: Action::Delete,
        ..take("a", None)
    };
    let rows = store.claim(&done).await.expect("claim");
    assert_eq!(ids(&rows), ["c97", "c98"].map(String::from).into());
    assert!(store.claim(&done).await.expect("claim").is_empty());

    // Whatever has followers is written by batches, which are announced.
    let name: Name = "posts".into();
    let refused = store.claim(&Claim { table: name, ..take("a", None) }).await;
    assert!(matches!(refused, Err(Error::Internal(_))), "{refused:?}");
    let drop = Ddl::DropTable(TABLE.into());
    store.commit(Batch { ddl: vec![drop], ..Batch::default() }).await.expect("drop");
}
