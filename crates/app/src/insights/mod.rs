//! Business figures: how many accounts come, how many are new, how many come back. What they are made of is one small row
//! for each account and day on which it made a request, and nothing about what it asked for.

use query::ColumnType;

pub mod active;
pub mod report;

mod forget;

pub use active::Active;
pub use report::{Cohort, Day, Report, report, sample};

pub const TABLE: &str = "_pando_active";

/// The columns beside the id.
pub const COLUMNS: [(&str, ColumnType); 3] =
    [("collection", ColumnType::Text), ("record", ColumnType::Text), ("day", ColumnType::Number)];

pub(crate) const DAY_MS: i64 = 86_400_000;
