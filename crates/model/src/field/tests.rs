//! The reference's own answers, one field per line: its options, then what it made of each input or refused.

use base::Value;
use serde_json::{Value as Json, json};

use super::*;
use crate::violation::Node;
use crate::{Collection, CollectionKind, Schema};

fn lines(text: &str) -> impl Iterator<Item = Json> {
    text.lines().map(|line| serde_json::from_str(line).expect(line))
}

pub(crate) fn violation_json(violation: &Violation) -> Json {
    let mut out = json!({"code": violation.code, "message": violation.message});
    if !violation.params.is_empty() {
        out["params"] =
            violation.params.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    }
    out
}

pub(crate) fn violations_json(all: &Violations) -> Json {
    let node = |node: &Node| match node {
        Node::Leaf(violation) => violation_json(violation),
        Node::Branch(inner) => violations_json(inner),
    };
    all.0.iter().map(|(key, inner)| (key.clone(), node(inner))).collect()
}

fn value_json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => json!(value),
        Value::Number(value) => read::number_json(*value),
        Value::Text(text) => json!(&**text),
        Value::Json(text) => serde_json::from_str(text).expect(text),
    }
}

/// Numbers compare by value.
fn same(left: &Json, right: &Json) -> bool {
    match (left, right) {
        (Json::Number(left), Json::Number(right)) => left.as_f64() == right.as_f64(),
        (Json::Array(left), Json::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Json::Object(left), Json::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, left)| right.get(key).is_some_and(|right| same(left, right)))
        }
        _ => left == right,
    }
}

fn named(options: &Json) -> Field {
    let mut options = options.clone();
    options["name"] = json!("x");
    Field::from_json(&options).expect("a field")
}

fn check_value(options: &Json, row: &Json) -> Option<String> {
    let field = named(options);
    let value = field.prepare(&row[0]);
    let found = field.validate(&value, &ValidateContext::default());
    let (found, wanted) = match (found, row.get(2)) {
        (Some(violation), wanted) => (violation_json(&violation), wanted.cloned().unwrap_or(row[1].clone())),
        (None, Some(wanted)) => (value_json(&value), wanted.clone()),
        (None, None) => (value_json(&value), row[1].clone()),
    };
    (!same(&found, &wanted)).then(|| format!("{options} {}: found {found}, wanted {wanted}", row[0]))
}

#[test]
fn values() {
    let mut wrong = Vec::new();
    for line in lines(include_str!("facts/values.jsonl")) {
        for row in line[1].as_array().expect("rows") {
            wrong.extend(check_value(&line[0], row));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

fn check_options(line: &Json, schema: &Schema) -> Option<String> {
    let wanted = &line[1];
    let field = match Field::from_json(&line[0]) {
        Ok(field) => field,
        Err(_) if wanted == "malformed" => return None,
        Err(_) => return Some(format!("{} cannot be read", line[0])),
    };
    let body = json!({"name": "v2", "fields": [line[0]]});
    let mut collection =
        crate::collection::draft::create(&body, &crate::Schema::default()).expect("a draft").collection;
    collection.seal();
    let violations = crate::collection::validate(&collection, None, schema, &|_, _| Ok(()));
    let all = violations_json(&violations);
    let found = all.pointer("/fields/1").cloned().unwrap_or_default();
    if wanted == "*" {
        return (!found.to_string().contains("could produce invalid")).then(|| format!("{field:?} passes"));
    }
    (!same(&found, wanted)).then(|| format!("{}: found {all}, wanted {wanted}", line[0]))
}

#[test]
fn options() {
    let mut collections = crate::collection::system::all("");
    collections.extend(
        lines(include_str!("../collection/facts/schema.jsonl"))
            .map(|line| Collection::from_json(&line).expect("a collection")),
    );
    let schema = Schema::new(collections.into_iter().map(std::sync::Arc::new).collect(), 1);
    let wrong: Vec<String> =
        lines(include_str!("facts/options.jsonl")).filter_map(|line| check_options(&line, &schema)).collect();
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

fn check_modified(options: Json, current: Json, key: &str, input: Json, wanted: Option<Json>) {
    let field = named(&options);
    let mut collection = Collection::blank(CollectionKind::Base);
    collection.fields = vec![field.clone()];
    let modifier = collection.setter(key).and_then(|(_, modifier)| modifier).expect("a modifier");
    let found = field.modify(modifier, &field.prepare(&current), &input);
    assert_eq!(found.as_ref().map(value_json), wanted, "{options} {current} {key} {input}");
}

#[test]
fn modifiers() {
    let many = json!({"type": "select", "values": ["a", "b", "c", "d"], "maxSelect": 3});
    let one = json!({"type": "select", "values": ["a", "b", "c", "d"]});
    let number = json!({"type": "number"});
    for (current, key, input, wanted) in [
        (json!("a"), "x+", json!("b"), json!(["a", "b"])),
        (json!("a"), "+x", json!(["b", "c"]), json!(["b", "c", "a"])),
        (json!(["a", "b"]), "x-", json!("a"), json!(["b"])),
        (json!(["a", "b"]), "x-", json!(["a", "b"]), json!([])),
        (json!(["a", "b"]), "x+", json!("a"), json!(["a", "b"])),
        (json!(["a", "b"]), "+x", json!("b"), json!(["b", "a"])),
        (json!("a"), "x+", Json::Null, json!(["a"])),
        (json!("a"), "x+", json!("[\"b\",\"c\"]"), json!(["a", "b", "c"])),
    ] {
        check_modified(many.clone(), current, key, input, Some(wanted));
    }
    check_modified(many, json!("a"), "x:autogenerate", json!("b"), None);
    for (key, input, wanted) in [
        ("x+", json!("b"), "b"),
        ("+x", json!(["b", "c"]), "a"),
        ("x-", json!("a"), ""),
        ("+x", json!("b"), "a"),
        ("x-", json!("b"), "a"),
    ] {
        check_modified(one.clone(), json!("a"), key, input, Some(json!(wanted)));
    }
    for (key, input, wanted) in [
        ("x+", json!(2), Some(json!(3))),
        ("x-", json!(2), Some(json!(-1))),
        ("x+", json!("2.5"), Some(json!(3.5))),
        ("x-", json!("y"), Some(json!(1))),
        ("+x", json!(2), None),
        ("x:autogenerate", json!(2), None),
    ] {
        check_modified(number.clone(), json!(1), key, input, wanted);
    }
    check_modified(json!({"type": "text"}), json!("a"), "x:autogenerate", json!("q"), Some(json!("q")));
    check_modified(json!({"type": "text"}), json!("a"), "x+", json!("q"), None);
    check_modified(json!({"type": "json"}), json!([1]), "x+", json!(2), None);
}

#[test]
fn generated_texts_match_their_pattern() {
    for pattern in ["[0-9]{3}", "a*,b+,c{3,},.{3}", "(foo|ba[rz])?\\w{4}", "[^a]{5}\\D", "(?i)kk", "\\pL{2}"]
    {
        let field = named(&json!({"type": "text", "autogeneratePattern": pattern}));
        let exact = Pattern::new(format!("^(?:{pattern})$"));
        for _ in 0..20 {
            let text = field.autogenerate().expect("a text");
            assert!(exact.matches(text.text_or_empty()), "{pattern}: {text:?}");
        }
    }
}

#[test]
fn ids_do_not_change() {
    let field = crate::collection::system::all("")[0].fields[0].clone();
    let old = Value::from("aaaaaaaaaaaaaaa");
    let cx = ValidateContext { old: Some(&old), ..ValidateContext::default() };
    assert_eq!(field.validate(&old, &cx), None);
    let changed = field.validate(&Value::from("b"), &cx).expect("a violation");
    assert_eq!(changed.code, "validation_pk_change");
}

#[test]
fn uploads() {
    let upload = |name: &str, size_bytes: u64, mime: &str| Upload {
        name: format!("{name}_stored.txt"),
        original: format!("{name}.txt"),
        size_bytes,
        mime: mime.into(),
    };
    let check = |options: Json, uploads: &[Upload], wanted: Option<&str>| {
        let field = named(&options);
        let names: Vec<&str> = uploads.iter().map(|upload| upload.name.as_str()).collect();
        let value = field.prepare(&json!(names));
        let found = field.validate(&value, &ValidateContext { old: None, uploads });
        assert_eq!(found.map(|violation| violation.message).as_deref(), wanted, "{options}");
    };
    let small = json!({"type": "file", "maxSize": 4});
    let too_large = "Failed to upload a.txt - the maximum allowed file size is 4 bytes.";
    check(small.clone(), &[upload("a", 5, "")], Some(too_large));
    check(small, &[upload("a", 4, "")], None);
    let images = json!({"type": "file", "mimeTypes": ["image/png", "image/jpeg"]});
    let wrong_type = "\"a_stored.txt\" mime type must be one of: image/png, image/jpeg.";
    check(images, &[upload("a", 5, "text/plain")], Some(wrong_type));
    let two = json!({"type": "file", "maxSelect": 2});
    let three = [upload("a", 1, ""), upload("b", 1, ""), upload("c", 1, "")];
    check(two.clone(), &three, Some("The maximum allowed files is 2."));
    check(two, &three[..2], None);
    check(
        json!({"type": "file"}),
        &[upload("a", 5_242_881, "")],
        Some(&too_large.replace(" 4 ", " 5242880 ")),
    );
}

#[test]
fn stored_names() {
    for (original, found, wanted) in [
        ("empty.txt", "", r"^empty_[a-z0-9]{10}\.txt$"),
        ("a.txt", "", r"^a[a-z0-9]{10}_[a-z0-9]{10}\.txt$"),
        ("weird Näme (1).TXT", "", r"^weird_n_me_1_[a-z0-9]{10}\.TXT$"),
        ("AbcDEF_gHi.txt", "", r"^abc_def_g_hi_[a-z0-9]{10}\.txt$"),
        ("HTTPServer2.txt", "", r"^httpserver2_[a-z0-9]{10}\.txt$"),
        ("foo2Bar.c d.txt", "", r"^foo2_bar_[a-z0-9]{10}\.cd\.txt$"),
        ("__x__.txt", "", r"^x[a-z0-9]{10}_[a-z0-9]{10}\.txt$"),
        ("foo.tar.gz.zip", "", r"^foo_tar_[a-z0-9]{10}\.gz\.zip$"),
        ("name.verylongextensionxxxxxxxxxxxxxx", "", r"^name_[a-z0-9]{10}\.ensionxxxxxxxxxxxxxx$"),
        ("file.é", ".txt", r"^file_[a-z0-9]{10}\.txt$"),
        ("abc..txt", "", r"^abc_[a-z0-9]{10}\.txt$"),
        ("noext", ".txt", r"^noext_[a-z0-9]{10}\.txt$"),
        (".png", "", r"^[a-z0-9]{10}_[a-z0-9]{10}\.png$"),
        ("data.tar.gz", "", r"^data_[a-z0-9]{10}\.tar\.gz$"),
    ] {
        let name = FileField::stored_name(original, found);
        assert!(Pattern::new(wanted).matches(&name), "{name}");
    }
}
