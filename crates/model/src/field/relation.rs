//! A reference to one or several records of another collection.

use base::Value;
use query::ColumnType;
use serde_json::{Map, Value as Json};

use super::check::{between, put};
use super::read::Reader;
use super::{Field, FieldKind, FieldType, Malformed, Modifier, OptionsContext, ValidateContext, cast};
use crate::violation::{Violation, Violations};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct RelationField {
    pub required: bool,
    pub collection_id: String,
    /// Whether the record goes when what it refers to goes.
    pub cascade_delete: bool,
    pub min_select: i64,
    /// At most 1 makes it single.
    pub max_select: i64,
}

impl RelationField {
    pub(crate) fn read(reader: Reader<'_>) -> Result<Self, Malformed> {
        let mut field = RelationField::default();
        reader.bool("required", &mut field.required)?;
        reader.text("collectionId", &mut field.collection_id)?;
        reader.bool("cascadeDelete", &mut field.cascade_delete)?;
        reader.int("minSelect", &mut field.min_select)?;
        reader.int("maxSelect", &mut field.max_select)?;
        Ok(field)
    }

    pub fn is_multiple(&self) -> bool {
        self.max_select > 1
    }
}

impl FieldType for RelationField {
    fn name(&self) -> &'static str {
        "relation"
    }

    fn column_type(&self) -> ColumnType {
        if self.is_multiple() { ColumnType::List } else { ColumnType::Text }
    }

    fn write(&self, out: &mut Map<String, Json>) {
        out.insert("required".into(), Json::from(self.required));
        out.insert("collectionId".into(), Json::from(self.collection_id.as_str()));
        out.insert("cascadeDelete".into(), Json::from(self.cascade_delete));
        out.insert("minSelect".into(), Json::from(self.min_select));
        out.insert("maxSelect".into(), Json::from(self.max_select));
    }

    fn prepare(&self, input: &Json) -> Value {
        cast::listed(cast::list(input), self.is_multiple())
    }

    fn modify(&self, modifier: Modifier, current: &Value, input: &Json) -> Option<Value> {
        cast::modify_list(modifier, current, input, self.is_multiple())
    }

    fn validate(&self, _field: &Field, value: &Value, _cx: &ValidateContext<'_>) -> Option<Violation> {
        let items = value.to_list();
        if items.is_empty() {
            return self.required.then(Violation::required);
        }
        if (items.len() as i64) < self.min_select {
            let min = self.min_select;
            let message = format!("Select at least {min}.");
            return Some(Violation::new("validation_not_enough_values", message).with("minSelect", min));
        }
        super::select::too_many(items.len(), self.max_select)
    }

    fn check(&self, cx: &OptionsContext<'_>) -> Violations {
        let mut found = Violations::default();
        put(&mut found, "collectionId", self.check_collection(cx));
        put(&mut found, "minSelect", between(self.min_select, 0, i64::MAX));
        if self.min_select > 0 && self.max_select == 0 {
            found.add("maxSelect", Violation::required());
        } else {
            put(&mut found, "maxSelect", between(self.max_select, self.min_select.max(0), i64::MAX));
        }
        found
    }
}

impl RelationField {
    fn check_collection(&self, cx: &OptionsContext<'_>) -> Option<Violation> {
        if self.collection_id.is_empty() {
            return Some(Violation::required());
        }
        if let Some(FieldKind::Relation(old)) = cx.old.map(|old| &old.kind)
            && old.collection_id != self.collection_id
        {
            return Some(Violation::new(
                "validation_field_relation_change",
                "The relation collection cannot be changed.",
            ));
        }
        if *cx.collection.id == *self.collection_id {
            return None;
        }
        let target = cx.schema.collections.iter().find(|other| *other.id == *self.collection_id);
        match target {
            None => Some(Violation::new(
                "validation_field_relation_missing_collection",
                "The relation collection doesn't exist.",
            )),
            Some(target) if target.is_view() && !cx.collection.is_view() => Some(Violation::new(
                "validation_relation_field_non_view_base_collection",
                "Only view collections are allowed to have relations to other views.",
            )),
            Some(_) => None,
        }
    }

    /// The answer when one of the records does not exist. Whether it does is the caller's to find out.
    pub fn missing_records() -> Violation {
        Violation::new(
            "validation_missing_rel_records",
            "Failed to find all relation records with the provided ids.",
        )
    }
}
