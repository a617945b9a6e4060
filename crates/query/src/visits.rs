//! Who came on which days, counted without naming anybody. Over a table with the columns `collection`, `record` and `day`,
//! the last a number of days, with at most one row for each record and day.

use base::Name;

#[derive(Clone, Debug, PartialEq)]
pub struct Visits {
    pub table: Name,
    pub collection: Name,
    pub by: By,
}

/// What rows are counted by. Two numbers stand before each count, and lead the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Since that day: by day, and by how many days later the same record came again, at most `longest`, which also stands for
    /// never. Who came within a window that ends on a day is then a sum: those whose last day in it is followed by none.
    Span { since: i64, longest: i64 },
    /// Records by the week in which they came first, and by each week in which they came. Weeks are counted from the Monday
    /// before the first day of 1970.
    Week,
}
