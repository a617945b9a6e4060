//! The reference's own answers to creating and changing collections.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::*;
use crate::field::tests::violations_json;
use crate::{Schema, Violations};

fn lines(text: &str) -> impl Iterator<Item = Json> {
    text.lines().map(|line| serde_json::from_str(line).expect(line))
}

fn schema(extra: Option<&Collection>) -> Schema {
    let mut collections = system::all("2020-01-01 00:00:00.000Z");
    for line in lines(include_str!("facts/schema.jsonl")) {
        collections.push(Collection::from_json(&line).expect("a collection"));
    }
    collections.extend(extra.cloned());
    Schema::new(collections.into_iter().map(Arc::new).collect(), 1)
}

/// Stands in for the resolution of rules: knows the refused ones by heart.
fn check_rule(collection: &Collection, rule: &str) -> Result<(), String> {
    let unknown = |name: &str| Err(format!("invalid left operand \"{name}\" - unknown field \"{name}\""));
    match rule {
        "x" | "x =" | "a=" => Err("invalid or incomplete filter expression".into()),
        "(" => Err("invalid formatted group - missing 1 closing bracket(s)".into()),
        " " => Err("empty filter expression".into()),
        "nope=1" => unknown("nope"),
        "a=1" if collection.field("a").is_none() => unknown("a"),
        "@collection.nope.id=1" => Err(
            "invalid left operand \"@collection.nope.id\" - failed to load collection \"nope\" from field path \"@collection.nope.id\""
                .into(),
        ),
        _ => Ok(()),
    }
}

/// What both sides are compared by: no unset options, and no random ids.
fn essence(json: &Json) -> Json {
    let mut out = serde_json::Map::new();
    for key in ["id", "name", "type", "indexes"] {
        let value = &json[key];
        if !value.is_null() && *value != json!([]) {
            out.insert(key.into(), value.clone());
        }
    }
    let fields = json["fields"].as_array().cloned().unwrap_or_default();
    let fields = fields.into_iter().map(|field| {
        let Json::Object(field) = field else { return field };
        let set = field.into_iter().filter(|(_, value)| {
            !matches!(value, Json::Null | Json::Bool(false))
                && *value != json!("")
                && *value != json!(0)
                && *value != json!([])
        });
        set.map(|(key, value)| {
            let random = value.as_str().is_some_and(|text| text.starts_with("_clone_"));
            (key, if random { json!("_clone_") } else { value })
        })
        .collect()
    });
    out.insert("fields".into(), fields.collect());
    out.sort_keys();
    Json::Object(out)
}

fn judge(draft: Result<Draft, BodyError>, old: Option<&Collection>) -> Json {
    let Draft { mut collection, violations } = match draft {
        Ok(draft) => draft,
        Err(error) => return json!(error.to_string()),
    };
    let schema = schema(old);
    let _ = collection.derive_view(&schema);
    let mut all: Violations = validate(&collection, old, &schema, &check_rule);
    for (key, node) in violations.0 {
        all.0.insert(key, node);
    }
    if all.is_empty() { essence(&collection.to_json(false)) } else { violations_json(&all) }
}

fn compare(what: &str, found: Json, wanted: &Json) -> Option<String> {
    let wanted =
        if wanted.get("fields").is_some_and(Json::is_array) { essence(wanted) } else { wanted.clone() };
    // Serialised forms, with keys sorted, so that 1 and 1.0 are the same.
    let text = |json: &Json| crate::json_text::compact(json);
    (text(&found) != text(&wanted))
        .then(|| format!("{what}\n   found  {}\n   wanted {}", text(&found), text(&wanted)))
}

#[test]
fn created() {
    let wrong: Vec<String> = lines(include_str!("facts/create.jsonl"))
        .filter_map(|line| {
            compare(&line[0].to_string(), judge(draft::create(&line[0], &Schema::default()), None), &line[1])
        })
        .collect();
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn patched() {
    let wrong: Vec<String> = lines(include_str!("facts/patch.jsonl"))
        .filter_map(|line| {
            let mut old = Collection::from_json(&line[0]).expect("a collection");
            if let CollectionKind::Auth(options) = &mut old.kind {
                // Answers leave the secrets out.
                options.oauth2.providers.iter_mut().for_each(|provider| provider.client_secret = "s".into());
            }
            let found = judge(draft::patch(&old, &line[1]), Some(&old));
            compare(&format!("{} {}", line[0], line[1]), found, &line[2])
        })
        .collect();
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn system_collections_are_sound() {
    let schema = schema(None);
    for collection in system::all("2020-01-01 00:00:00.000Z") {
        let all = validate(&collection, Some(&collection), &schema, &|_, _| Ok(()));
        assert!(all.is_empty(), "{}: {all:?}", collection.name);
        let read = Collection::from_row(collection.to_row()).expect("a collection");
        assert_eq!(read, collection);
        let json = collection.to_json(false).to_string();
        assert!(!json.contains("secret") && !json.contains("Secret"), "{json}");
    }
}

/// An answer without what is Pando's own: the texts of mails, and times.
fn without_mails(collection: &Collection) -> Json {
    let mut json = collection.to_json(false);
    if let Some(object) = json.as_object_mut() {
        for key in
            ["authAlert", "verificationTemplate", "resetPasswordTemplate", "confirmEmailChangeTemplate"]
        {
            object.shift_remove(key);
        }
        if let Some(otp) = object.get_mut("otp").and_then(Json::as_object_mut) {
            otp.shift_remove("emailTemplate");
        }
        for key in ["created", "updated"] {
            object.insert(key.into(), json!(""));
        }
    }
    json
}

#[test]
fn system_collections_equal_the_reference() {
    let ours = system::all("");
    for mut line in lines(include_str!("facts/system.jsonl")) {
        line["created"] = json!("");
        line["updated"] = json!("");
        let name = line["name"].as_str().expect("a name").to_owned();
        let found = ours.iter().find(|collection| *collection.name == *name).expect("a collection");
        assert_eq!(without_mails(found).to_string(), line.to_string(), "{name}");
    }
}

#[test]
fn scaffolds_equal_the_reference() {
    let ours = system::scaffolds();
    for line in lines(include_str!("facts/scaffolds.jsonl")) {
        for kind in ["base", "auth", "view"] {
            let mut found = ours[kind].clone();
            let mut wanted = line[kind].clone();
            for json in [&mut found, &mut wanted] {
                if let Some(otp) = json["otp"].as_object_mut() {
                    otp.shift_remove("emailTemplate");
                }
            }
            let keys = |json: &Json| -> Vec<String> {
                let mail = |key: &&String| *key != "authAlert" && !key.ends_with("Template");
                json.as_object().expect("an object").keys().filter(mail).cloned().collect()
            };
            assert_eq!(keys(&found), keys(&wanted), "{kind}");
            for key in keys(&wanted).iter().filter(|key| *key != "indexes") {
                assert_eq!(found[key].to_string(), wanted[key].to_string(), "{kind} {key}");
            }
            let shape = |json: &Json| {
                json["indexes"].as_array().map(|all| {
                    all.iter()
                        .map(|text| {
                            let text = text.as_str().unwrap_or_default();
                            text.replace(
                                text.split('_').nth(2).and_then(|rest| rest.split('`').next()).unwrap_or("-"),
                                "?",
                            )
                        })
                        .collect::<Vec<_>>()
                })
            };
            assert_eq!(shape(&found), shape(&wanted), "{kind}");
        }
    }
}

fn fields(list: Json, indexes: Json) -> Collection {
    draft::create(&json!({"name": "t", "fields": list, "indexes": indexes}), &Schema::default())
        .expect("a draft")
        .collection
}

fn check_plan(before: &Collection, body: Json, wanted: &[&str]) {
    let after = draft::patch(before, &body).expect("a draft").collection;
    let found: Vec<String> = plan(Some(before), &after)
        .iter()
        .map(|step| match step {
            query::Ddl::RenameTable { from, to } => format!("table {from} -> {to}"),
            query::Ddl::AddColumn { column, .. } => format!("+{} {:?}", column.name, column.ty),
            query::Ddl::DropColumn { column, .. } => format!("-{column}"),
            query::Ddl::RenameColumn { from, to, .. } => format!("{from} -> {to}"),
            query::Ddl::RetypeColumn { column, from, .. } => {
                format!("{}: {from:?} -> {:?}", column.name, column.ty)
            }
            query::Ddl::CreateIndex(index) => format!("+index {} on {}", index.name, index.table),
            query::Ddl::DropIndex { name } => format!("-index {name}"),
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(found, wanted, "{body}");
}

#[test]
fn plans() {
    let select = json!({"type": "select", "id": "s", "name": "s", "values": ["a", "b"]});
    let (a, b) =
        (json!({"type": "text", "id": "a", "name": "a"}), json!({"type": "text", "id": "b", "name": "b"}));
    let before =
        fields(json!([a, b, select]), json!(["CREATE INDEX i ON t (a)", "CREATE INDEX j ON t (lower(b))"]));
    let named = |field: &Json, name: &str| {
        let mut field = field.clone();
        field["name"] = json!(name);
        field
    };
    let mut many = select.clone();
    many["maxSelect"] = json!(2);
    check_plan(&before, json!({}), &[]);
    check_plan(&before, json!({"name": "u"}), &["table t -> u"]);
    check_plan(&before, json!({"fields": [b, a, select]}), &[]);
    check_plan(&before, json!({"fields": [a, b, many]}), &["-index j", "s: Text -> List", "+index j on t"]);
    check_plan(
        &before,
        json!({"fields": [named(&a, "x"), b, select, {"type": "number", "name": "n"}],
               "indexes": ["CREATE INDEX i ON t (x)", "CREATE INDEX j ON t (lower(b))"]}),
        &["-index j", "a -> x", "+n Number", "+index j on t"],
    );
    check_plan(
        &before,
        json!({"fields": [named(&a, "b"), named(&b, "a")], "indexes": []}),
        &[
            "-index i",
            "-index j",
            "-s",
            "a -> _renamed_0_",
            "b -> _renamed_1_",
            "_renamed_0_ -> b",
            "_renamed_1_ -> a",
        ],
    );
    check_plan(
        &before,
        json!({"indexes": ["CREATE UNIQUE INDEX i ON t (a)"]}),
        &["-index i", "-index j", "+index i on t"],
    );
}

/// Indexes that are restored later are named after the id that the collection has.
#[test]
fn restored_indexes() {
    let created = draft::create(&json!({"name": "v3", "type": "auth", "id": "zzz"}), &Schema::default())
        .expect("a draft")
        .collection;
    assert!(created.indexes[0].contains("`idx_tokenKey_pbc_661913814`"), "{:?}", created.indexes);
    let patched = draft::patch(&created, &json!({"indexes": []})).expect("a draft").collection;
    assert!(patched.indexes[0].contains("`idx_tokenKey_zzz`"), "{:?}", patched.indexes);
}
