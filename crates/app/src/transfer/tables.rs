//! What there is to move: Pando's own tables and those of the collections, and what has to be made for them.

use base::Name;
use query::{Column, ColumnType, Ddl, Table};
use store::Store;

use crate::catalog::{self, Catalog};
use crate::error::Result;
use crate::queues::table;

#[derive(Debug, PartialEq)]
pub struct Plan {
    /// Every table with rows to carry, those that any database of Pando has first.
    pub tables: Vec<Table>,
    /// What makes the tables of the collections.
    pub create: Vec<Ddl>,
    pub indexes: Vec<Ddl>,
    /// In an order in which a view comes behind those that it may stand on.
    pub views: Vec<Ddl>,
}

/// The columns of Pando's own tables beside the id.
const OWN: [(&str, &[(&str, ColumnType)]); 15] = [
    (
        crate::settings::TABLE,
        &[("value", ColumnType::Json), ("created", ColumnType::Date), ("updated", ColumnType::Date)],
    ),
    (
        "_pando_jobs",
        &[
            ("queue", ColumnType::Text),
            ("payload", ColumnType::Text),
            ("attempts", ColumnType::Number),
            ("due", ColumnType::Number),
            ("holder", ColumnType::Text),
            ("created", ColumnType::Date),
            ("priority", ColumnType::Number),
            ("origin", ColumnType::Text),
            ("error", ColumnType::Text),
        ],
    ),
    (
        "_pando_passkeys",
        &[
            ("collectionRef", ColumnType::Text),
            ("recordRef", ColumnType::Text),
            ("credentialId", ColumnType::Text),
            ("credential", ColumnType::Text),
            ("name", ColumnType::Text),
            ("created", ColumnType::Text),
            ("used", ColumnType::Text),
        ],
    ),
    (
        "_pando_ceremonies",
        &[
            ("purpose", ColumnType::Text),
            ("collectionRef", ColumnType::Text),
            ("recordRef", ColumnType::Text),
            ("state", ColumnType::Text),
            ("expires", ColumnType::Number),
        ],
    ),
    (
        crate::webhooks::TABLE,
        &[
            ("value", ColumnType::Text),
            ("failing", ColumnType::Number),
            ("created", ColumnType::Text),
            ("updated", ColumnType::Text),
        ],
    ),
    (
        "_pando_alerts",
        &[
            ("value", ColumnType::Text),
            ("state", ColumnType::Text),
            ("holder", ColumnType::Text),
            ("due", ColumnType::Number),
            ("created", ColumnType::Text),
            ("updated", ColumnType::Text),
        ],
    ),
    (crate::exchange::TABLE, &crate::exchange::COLUMNS),
    (crate::audit::TABLE, &crate::audit::COLUMNS),
    (crate::insights::TABLE, &crate::insights::COLUMNS),
    (crate::webhooks::DELIVERIES, &crate::webhooks::DELIVERY_COLUMNS),
    (table::QUEUES, &[("definition", ColumnType::Text)]),
    (table::HEADS, &[("seq", ColumnType::Number), ("total", ColumnType::Number)]),
    (table::MESSAGES, &table::MESSAGE_COLUMNS),
    (table::DELIVERIES, &table::DELIVERY_COLUMNS),
    (table::SUBSCRIBERS, &table::SUBSCRIBER_COLUMNS),
];

pub fn logs() -> Table {
    let columns = [
        ("id", ColumnType::Id),
        ("level", ColumnType::Number),
        ("message", ColumnType::Text),
        ("data", ColumnType::Json),
        ("created", ColumnType::Date),
    ];
    Table { name: "_logs".into(), columns: columns.map(|(name, ty)| Column::new(name, ty)).into() }
}

fn own() -> impl Iterator<Item = Table> {
    OWN.iter().map(|(name, columns)| {
        let id = Column::new("id", ColumnType::Id);
        let columns = columns.iter().map(|(name, ty)| Column::new(*name, *ty));
        Table { name: (*name).into(), columns: [id].into_iter().chain(columns).collect() }
    })
}

/// The collections themselves. Their times are dates in one engine and texts in the other.
fn collections() -> Table {
    let columns = catalog::columns().into_iter().map(|column| match &*column.name {
        "created" | "updated" => Column::new(column.name, ColumnType::Date),
        _ => column,
    });
    Table { name: catalog::TABLE.into(), columns: columns.collect() }
}

impl Plan {
    pub async fn read(store: &Store) -> Result<Plan> {
        let catalog = Catalog::empty();
        catalog.reload(store).await?;
        let schema = catalog.schema();
        let mut plan = Plan {
            tables: [collections()].into_iter().chain(own()).collect(),
            create: Vec::new(),
            indexes: Vec::new(),
            views: Vec::new(),
        };
        for collection in &schema.collections {
            for change in model::collection::plan(None, collection) {
                match change {
                    Ddl::CreateTable(_) => plan.create.push(change),
                    Ddl::CreateView { .. } => plan.views.push(change),
                    other => plan.indexes.push(other),
                }
            }
            if !collection.is_view() {
                plan.tables.push(collection.table.clone());
            }
        }
        Ok(plan)
    }

    pub fn names(&self) -> Vec<Name> {
        self.tables.iter().map(|table| table.name.clone()).collect()
    }
}
