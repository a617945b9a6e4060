//! TypeScript for the official JavaScript SDK: what records of each collection look like, and what may be written.
//! The same collections give the same text.

use std::sync::Arc;

use model::collection::JsonKey;
use model::{Collection, Field, FieldKind, Schema};

use super::{Relations, is_readable, is_required, is_writable};

mod fields;
mod names;

use fields::Types;
use names::{Names, comment, key, literal};

/// What does not depend on the collections.
const CLIENT: &str = include_str!("client.ts");

const HEADER: &str = "\
// Made by `pando types` from the collections. Changes here are lost when it is made again.
/* eslint-disable */

";

pub fn render(schema: &Schema) -> String {
    let mut collections: Vec<&Arc<Collection>> = schema.collections.iter().collect();
    collections.sort_by(|left, right| left.name.cmp(&right.name));
    let relations = Relations::of(schema);
    let writer = Writer { names: Names::of(schema), types: Types { relations: &relations } };

    let mut out = String::from(HEADER);
    out.push_str(CLIENT);
    writer.write_constants(&mut out, &collections);
    for collection in &collections {
        writer.write_record(&mut out, collection);
        writer.write_expand(&mut out, collection);
        if !collection.is_view() {
            writer.write_input(&mut out, collection, true);
            writer.write_input(&mut out, collection, false);
        }
    }
    for (map, ending, form) in [
        ("CollectionRecords", "Record", false),
        ("CollectionCreates", "Create", true),
        ("CollectionUpdates", "Update", true),
    ] {
        out.push_str(&format!("\nexport interface {map} {{\n"));
        for collection in &collections {
            let ty = match form && collection.is_view() {
                // A view takes nothing.
                true => "never".to_string(),
                false => format!("{}{ending}", writer.names.get(&collection.name)),
            };
            let or_form = if form && !collection.is_view() { " | FormData" } else { "" };
            out.push_str(&format!("  {}: {ty}{or_form};\n", key(&collection.name)));
        }
        out.push_str("}\n");
    }
    out
}

/// What every object has: a body that leaves out a field of such a name has it nonetheless.
const OBJECT_MEMBERS: [&str; 7] = [
    "constructor",
    "hasOwnProperty",
    "isPrototypeOf",
    "propertyIsEnumerable",
    "toLocaleString",
    "toString",
    "valueOf",
];

struct Writer<'a> {
    names: Names,
    types: Types<'a>,
}

impl Writer<'_> {
    fn write_constants(&self, out: &mut String, collections: &[&Arc<Collection>]) {
        out.push_str("\n/** Every collection, by the name of its types. */\nexport const Collections = {\n");
        for collection in collections {
            let called = self.names.get(&collection.name);
            out.push_str(&format!("  {called}: {},\n", literal(&collection.name)));
        }
        out.push_str("} as const;\n\n");
        out.push_str("export type CollectionName = (typeof Collections)[keyof typeof Collections];\n");
        let auth = collections.iter().filter(|collection| collection.is_auth());
        let auth: Vec<String> = auth.map(|collection| literal(&collection.name)).collect();
        out.push_str("\n/** The collections whose records can log in. */\n");
        out.push_str(&format!("export type AuthCollectionName = {};\n", or_never(auth)));
        out.push_str("\nexport type AuthRecords = CollectionRecords[AuthCollectionName];\n");
    }

    fn write_record(&self, out: &mut String, collection: &Collection) {
        let called = self.names.get(&collection.name);
        out.push_str(&format!("\n/** A record of `{}`", collection.name));
        out.push_str(if collection.is_view() { ", which is a view. */\n" } else { ". */\n" });
        out.push_str(&format!("export interface {called}Record {{\n"));
        let mut has_expand = false;
        for json_key in &collection.json_order {
            match json_key {
                JsonKey::CollectionId => {
                    out.push_str(&format!("  collectionId: {};\n", literal(&collection.id)));
                }
                JsonKey::CollectionName => {
                    out.push_str(&format!("  collectionName: {};\n", literal(&collection.name)));
                }
                JsonKey::Field(position) => {
                    let field = &collection.fields[*position];
                    if !is_readable(collection, field) {
                        continue;
                    }
                    has_expand = true;
                    let note = match (field.hidden, collection.is_auth() && &*field.name == "email") {
                        (true, _) => "Only superusers see it.",
                        (_, true) => "Left out for those who may not see it.",
                        _ => "",
                    };
                    write_note(out, field, note);
                    let optional = if note.is_empty() { "" } else { "?" };
                    let ty = self.types.shown(collection, field);
                    out.push_str(&format!("  {}{optional}: {ty};\n", key(&field.name)));
                }
            }
        }
        if has_expand {
            out.push_str(&format!("  expand?: {called}Expand;\n"));
        }
        out.push_str("}\n");
    }

    /// Everything is optional: what was not asked for, is unset or may not be seen is left out.
    fn write_expand(&self, out: &mut String, collection: &Collection) {
        let called = self.names.get(&collection.name);
        out.push_str(&format!("\nexport interface {called}Expand {{\n"));
        for expansion in self.types.relations.expansions(collection, true) {
            let target = self.names.get(&expansion.target.name);
            let list = if expansion.many { "[]" } else { "" };
            out.push_str(&format!("  {}?: {target}Record{list};\n", key(&expansion.name)));
        }
        out.push_str("}\n");
    }

    fn write_input(&self, out: &mut String, collection: &Collection, creates: bool) {
        let called = self.names.get(&collection.name);
        let ending = if creates { "Create" } else { "Update" };
        out.push_str(&format!("\nexport interface {called}{ending} {{\n"));
        for field in collection.fields.iter().filter(|field| is_writable(collection, field, true)) {
            if &*field.name == "id" && !creates {
                continue;
            }
            let note = match field.hidden && !field.is_secret() {
                true => "Only superusers may set it.",
                false => "",
            };
            write_note(out, field, note);
            let required = creates && is_required(collection, field) && note.is_empty();
            let optional = if required { "" } else { "?" };
            let mut ty = self.types.given(collection, field, creates);
            if OBJECT_MEMBERS.contains(&&*field.name) {
                ty = format!("{ty} | Object[{}]", literal(&field.name));
            }
            out.push_str(&format!("  {}{optional}: {ty};\n", key(&field.name)));
            if !creates {
                for (name, ty) in self.types.modifiers(field) {
                    out.push_str(&format!("  {}?: {ty};\n", key(&name)));
                }
            }
        }
        if collection.is_auth() {
            let optional = if creates { "" } else { "?" };
            out.push_str(&format!("  passwordConfirm{optional}: string;\n"));
            if !creates {
                out.push_str(
                    "  /** Needed of those who change their own password. */\n  oldPassword?: string;\n",
                );
            }
        }
        out.push_str("}\n");
    }
}

fn or_never(types: Vec<String>) -> String {
    if types.is_empty() { "never".into() } else { types.join(" | ") }
}

fn write_note(out: &mut String, field: &Field, note: &str) {
    let mut sentences: Vec<&str> = Vec::new();
    let help = comment(&field.help);
    if !help.is_empty() {
        sentences.push(&help);
    }
    let limits = limits(field);
    if !limits.is_empty() {
        sentences.push(&limits);
    }
    if !note.is_empty() {
        sentences.push(note);
    }
    if !sentences.is_empty() {
        out.push_str(&format!("  /** {} */\n", sentences.join(" ")));
    }
}

/// What types do not say.
fn limits(field: &Field) -> String {
    let FieldKind::Number(number) = &field.kind else { return String::new() };
    let mut parts: Vec<String> = Vec::new();
    if number.only_int {
        parts.push("whole".into());
    }
    for (word, bound) in [("at least", number.min), ("at most", number.max)] {
        if let Some(bound) = bound {
            parts.push(format!("{word} {bound}"));
        }
    }
    if parts.is_empty() { String::new() } else { format!("Numbers: {}.", parts.join(", ")) }
}
