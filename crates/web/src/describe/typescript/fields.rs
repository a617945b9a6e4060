//! One field as TypeScript: as records show it, and as bodies set it.

use model::field::SelectField;
use model::{Collection, Field, FieldKind};

use super::names::literal;
use crate::describe::{Relations, is_required};

pub struct Types<'a> {
    pub relations: &'a Relations<'a>,
}

impl Types<'_> {
    pub fn shown(&self, collection: &Collection, field: &Field) -> String {
        let many = field.is_multiple();
        match &field.kind {
            FieldKind::Number(_) => "number".into(),
            FieldKind::Bool(_) => "boolean".into(),
            FieldKind::Date(_) | FieldKind::Autodate(_) => "IsoDate".into(),
            FieldKind::Select(select) if many => format!("({})[]", choice(select, false)),
            FieldKind::Select(select) => choice(select, !is_required(collection, field)),
            FieldKind::File(_) => list("FileName".into(), many),
            FieldKind::Relation(_) => list(self.id(field), many),
            FieldKind::Json(_) => json(collection, field),
            FieldKind::GeoPoint(_) => "GeoPoint".into(),
            FieldKind::Password(_) => "\"\"".into(),
            // A view's ids are those of records elsewhere.
            _ if &*field.name == "id" && !collection.is_view() => {
                format!("RecordId<{}>", literal(&collection.name))
            }
            _ => "string".into(),
        }
    }

    pub fn given(&self, collection: &Collection, field: &Field, creates: bool) -> String {
        let many = field.is_multiple();
        match &field.kind {
            FieldKind::Date(date) if date.required => "DateInput".into(),
            FieldKind::Date(_) => "DateInput | null".into(),
            FieldKind::Select(select) if many => format!("readonly ({})[]", choice(select, false)),
            FieldKind::Select(select) if select.required => choice(select, false),
            FieldKind::Select(select) => format!("{} | null", choice(select, true)),
            FieldKind::File(_) if many && creates => "OneOrMany<FileInput>".into(),
            // The names of stored files say which of them stay.
            FieldKind::File(_) if many => "OneOrMany<FileInput | FileName> | null".into(),
            FieldKind::File(file) if file.required => "FileInput".into(),
            FieldKind::File(_) => "FileInput | \"\" | null".into(),
            FieldKind::Relation(_) if many => format!("readonly {}[]", self.id(field)),
            FieldKind::Relation(relation) if relation.required => self.id(field),
            FieldKind::Relation(_) => format!("{} | null", self.id(field)),
            FieldKind::Bool(bool) if bool.required => "true".into(),
            FieldKind::GeoPoint(point) if !point.required => "GeoPoint | null".into(),
            FieldKind::Password(_) => "string".into(),
            FieldKind::Json(_) => json(collection, field),
            FieldKind::Number(_) | FieldKind::Bool(_) | FieldKind::GeoPoint(_) => {
                self.shown(collection, field)
            }
            _ => "string".into(),
        }
    }

    /// The keys that change a value, and what they take.
    pub fn modifiers(&self, field: &Field) -> Vec<(String, String)> {
        let name = &field.name;
        let changes = |ty: &str| {
            [format!("+{name}"), format!("{name}+"), format!("{name}-")].map(|key| (key, ty.to_string()))
        };
        match &field.kind {
            FieldKind::Number(_) => changes("number")[1..].to_vec(),
            FieldKind::Select(select) if field.is_multiple() => {
                changes(&format!("OneOrMany<{}>", choice(select, false))).to_vec()
            }
            FieldKind::Relation(_) if field.is_multiple() => {
                changes(&format!("OneOrMany<{}>", self.id(field))).to_vec()
            }
            FieldKind::File(_) => {
                let [before, after, _] = changes("OneOrMany<FileInput>");
                let remove = (format!("{name}-"), "OneOrMany<FileName>".to_string());
                if field.is_multiple() { vec![before, after, remove] } else { vec![remove] }
            }
            FieldKind::Text(text) if !text.autogenerate_pattern.is_empty() && !text.primary_key => {
                vec![(format!("{name}:autogenerate"), "string".to_string())]
            }
            _ => Vec::new(),
        }
    }

    fn id(&self, field: &Field) -> String {
        match self.relations.target(field) {
            Some(target) => format!("RecordId<{}>", literal(&target.name)),
            None => "string".into(),
        }
    }
}

fn json(collection: &Collection, field: &Field) -> String {
    format!("Json<{}>", literal(&format!("{}.{}", collection.name, field.name)))
}

fn list(item: String, many: bool) -> String {
    if many { format!("{item}[]") } else { item }
}

fn choice(select: &SelectField, empty: bool) -> String {
    let mut values: Vec<&str> = Vec::with_capacity(select.values.len() + 1);
    for value in select.values.iter().map(String::as_str).chain(empty.then_some("")) {
        if !values.contains(&value) {
            values.push(value);
        }
    }
    values.into_iter().map(literal).collect::<Vec<_>>().join(" | ")
}
