//! Every type comes back as it went in.

use base::Value;
use query::{Batch, Column, ColumnType, Ddl, Select};

use super::fixture::{insert, json, table};
use crate::Store;

pub async fn check(store: &Store) {
    use ColumnType::*;
    let types = [Text, Number, Bool, Date, Json, List, Point];
    let cases: Vec<(ColumnType, Value, Value)> = [
        (Text, Value::from("")),
        (Text, "línea\n\"'`$1 ?".into()),
        (Text, "007".into()),
        (Number, 0.0.into()),
        (Number, 1.5.into()),
        (Number, (-1e300).into()),
        (Number, 9_007_199_254_740_991.0.into()),
        (Bool, true.into()),
        (Bool, false.into()),
        (Date, "".into()),
        (Date, "2026-11-21 07:59:21.081Z".into()),
        (Date, "0001-01-01 00:00:00.000Z".into()),
        (Date, "9999-12-31 23:59:59.999Z".into()),
        (Json, Value::Null),
        (Json, json(r#"{"b":1,"a":[1.5,"x y",null,{"z":true}]}"#)),
        (Json, json("\"text with \\\"quotes\\\"\"")),
        (Json, json("\"123\"")),
        (Json, json("12")),
        (Json, json("1.5")),
        (Json, json("true")),
        (Json, json("[]")),
        (List, json("[]")),
        (List, json(r#"["a","b c","d\"e, f","ü"]"#)),
        (Point, json(r#"{"lon":0,"lat":0}"#)),
        (Point, json(r#"{"lon":-179.25,"lat":42.5}"#)),
    ]
    .into_iter()
    .map(|(ty, value)| (ty, value.clone(), value))
    .chain([(Json, json("1.50"), json("1.5")), (Json, json("null"), Value::Null)])
    .collect();
    let name = |ty: &ColumnType| format!("v_{ty:?}");
    let mut columns = vec![("id".to_owned(), Id)];
    columns.extend(types.iter().map(|ty| (name(ty), *ty)));
    let columns: Vec<(&str, ColumnType)> = columns.iter().map(|(name, ty)| (&**name, *ty)).collect();
    let made = table("types `\"$ odd", &columns);
    let create = Batch { ddl: vec![Ddl::CreateTable(made.clone())], ..Batch::default() };
    store.commit(create).await.expect("create");

    for (index, (ty, value, expected)) in cases.iter().enumerate() {
        let id = format!("id{index}");
        let row = insert(&made.name, &[("id", id.as_str().into()), (&name(ty), value.clone())]);
        store.commit(Batch::op(row)).await.unwrap_or_else(|error| panic!("{ty:?} {value:?}: {error}"));
        let column = Column::new(name(ty), *ty);
        let select = Select::by_ids(made.name.clone(), vec![column], vec![id.as_str().into()]);
        assert_eq!(select.point(), Some(&*id));
        let row = store.first(&select).await.expect("select").expect("the row");
        assert_eq!(row.get(0), expected, "{ty:?} {value:?}");
    }
    let unset = insert(&made.name, &[("id", "unset".into())]);
    store.commit(Batch::op(unset)).await.expect("insert");
    let select = Select::by_ids(made.name.clone(), made.columns[1..].to_vec(), vec!["unset".into()]);
    let row = store.first(&select).await.expect("select").expect("the row");
    for (value, ty) in row.0.iter().zip(types) {
        assert_eq!(*value, ty.zero(), "unset {ty:?}");
    }
}
