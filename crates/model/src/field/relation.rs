//! A reference to one or several records of another collection.

#[derive(Clone, Debug, PartialEq)]
pub struct RelationField {
    pub required: bool,
    pub collection_id: String,
    pub cascade_delete: bool,
    pub min_select: i64,
    /// At most 1 makes it single.
    pub max_select: i64,
}
