//! Who is deleted leaves nothing behind: what was noted of an account goes in the commit that deletes it.

use base::Value;
use query::{Batch, ColumnType, Expr, Op, Operand};

use super::{Active, TABLE};
use crate::catalog;
use model::Schema;

impl Active {
    /// Adds what goes with the batch's deletes.
    pub fn enlist(schema: &Schema, batch: &mut Batch) {
        let mut gone = Vec::new();
        for op in &batch.ops {
            let (table, id) = match op {
                Op::Delete { table, id, .. } => (table, Some(id)),
                Op::DeleteWhere { table, filter } if *filter == Expr::Const(true) => (table, None),
                _ => continue,
            };
            if **table == *catalog::TABLE {
                if let Some(collection) = id.and_then(|id| schema.by_id(id)).filter(|found| found.is_auth()) {
                    gone.push(of("collection", &collection.id));
                }
                continue;
            }
            let Some(collection) = schema.find(table).filter(|found| found.name == *table && found.is_auth())
            else {
                continue;
            };
            let all = of("collection", &collection.id);
            gone.push(match id {
                Some(id) => Expr::And(vec![all, of("record", id)]),
                None => all,
            });
        }
        let deletes = gone.into_iter().map(|filter| Op::DeleteWhere { table: TABLE.into(), filter });
        batch.ops.extend(deletes);
    }
}

fn of(column: &'static str, value: &str) -> Expr {
    Expr::eq(Operand::base(column, ColumnType::Text), Value::from(value))
}
