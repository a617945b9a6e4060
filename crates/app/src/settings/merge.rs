//! Laying a change over settings, as the reference reads it: keys in any case, what is unknown passed over, `null` for
//! the empty value, and everything else of exactly the type that the setting has. Forms carry texts only and name what
//! lies deeper by dots.

use serde_json::{Map, Value as Json};

/// The change is not of the settings' types, or names one twice.
#[derive(Debug, PartialEq)]
pub struct Misfit;

type Result = std::result::Result<(), Misfit>;

/// Lays a JSON object over `target`. `shape` tells the types, and what a missing value is.
pub fn json(target: &mut Json, shape: &Json, change: &Map<String, Json>) -> Result {
    object(target, shape, change, false)
}

/// The same of a form's fields.
pub fn form(target: &mut Json, shape: &Json, fields: &Map<String, Json>) -> Result {
    for (key, value) in fields {
        if value.is_object() {
            // A JSON payload inside the form.
            object(target, shape, &Map::from_iter([(key.clone(), value.clone())]), false)?;
            continue;
        }
        let mut at = Some((&mut *target, shape));
        for name in key.split('.') {
            at = at.and_then(|(target, shape)| child(target, shape, name));
        }
        match at {
            Some((target, shape)) if !shape.is_object() && !is_list_of_objects(shape) => {
                one(target, shape, value, true)?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn child<'a>(target: &'a mut Json, shape: &'a Json, name: &str) -> Option<(&'a mut Json, &'a Json)> {
    let shape = shape.as_object()?.get(name)?;
    let target = members(target)?.entry(name).or_insert_with(|| shape.clone());
    Some((target, shape))
}

/// What is stored may be anything; here it becomes an object.
fn members(target: &mut Json) -> Option<&mut Map<String, Json>> {
    if !target.is_object() {
        *target = Json::Object(Map::new());
    }
    target.as_object_mut()
}

fn is_list_of_objects(shape: &Json) -> bool {
    shape.as_array().and_then(|items| items.first()).is_some_and(Json::is_object)
}

fn object(target: &mut Json, shape: &Json, change: &Map<String, Json>, lenient: bool) -> Result {
    let Some(shapes) = shape.as_object() else { return Err(Misfit) };
    let mut named = Vec::new();
    for (key, value) in change {
        let known = shapes
            .get_key_value(key)
            .or_else(|| shapes.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)));
        let Some((name, shape)) = known else { continue };
        if named.contains(&name) {
            return Err(Misfit);
        }
        named.push(name);
        let Some(members) = members(target) else { return Err(Misfit) };
        let target = members.entry(name.as_str()).or_insert_with(|| shape.clone());
        one(target, shape, value, lenient)?;
    }
    Ok(())
}

fn one(target: &mut Json, shape: &Json, value: &Json, lenient: bool) -> Result {
    match (shape, value) {
        (_, Json::Null) => *target = zero(shape),
        (Json::Object(_), Json::Object(change)) => return object(target, shape, change, lenient),
        (Json::Array(shapes), Json::Array(items)) => {
            let text = Json::String(String::new());
            let shape = shapes.first().unwrap_or(&text);
            let mut list = Vec::with_capacity(items.len());
            for item in items {
                let mut made = zero(shape);
                one(&mut made, shape, item, lenient)?;
                list.push(made);
            }
            *target = Json::Array(list);
        }
        (Json::String(_), Json::String(_)) | (Json::Bool(_), Json::Bool(_)) => *target = value.clone(),
        (Json::Number(_), Json::Number(number)) if number.is_i64() => *target = value.clone(),
        _ if lenient => return from_form(target, shape, value),
        _ => return Err(Misfit),
    }
    Ok(())
}

/// A form's field, whose text may already have been taken for a number or a boolean.
fn from_form(target: &mut Json, shape: &Json, value: &Json) -> Result {
    if let (Json::Array(_), value) = (shape, value) {
        return one(target, shape, &Json::Array(vec![value.clone()]), true);
    }
    let text = match value {
        Json::String(text) => text.clone(),
        Json::Number(_) | Json::Bool(_) => value.to_string(),
        // Of several values the first counts.
        Json::Array(items) => match items.first() {
            Some(first) => return one(target, shape, first, true),
            None => String::new(),
        },
        _ => return Err(Misfit),
    };
    *target = match (shape, text.as_str()) {
        (Json::String(_), _) => Json::String(text),
        (_, "") => zero(shape),
        (Json::Bool(_), "1" | "t" | "T" | "true" | "TRUE" | "True") => Json::Bool(true),
        (Json::Bool(_), "0" | "f" | "F" | "false" | "FALSE" | "False") => Json::Bool(false),
        (Json::Number(_), digits) if !digits.starts_with('+') => {
            Json::from(digits.parse::<i64>().map_err(|_| Misfit)?)
        }
        _ => return Err(Misfit),
    };
    Ok(())
}

fn zero(shape: &Json) -> Json {
    match shape {
        Json::Object(members) => {
            Json::Object(members.iter().map(|(name, shape)| (name.clone(), zero(shape))).collect())
        }
        Json::Array(_) => Json::Array(Vec::new()),
        Json::String(_) => Json::String(String::new()),
        Json::Number(_) => Json::from(0),
        Json::Bool(_) => Json::Bool(false),
        Json::Null => Json::Null,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shape() -> Json {
        json!({"meta": {"name": "A", "hidden": false}, "list": [], "rules": [{"label": "", "max": 1}], "days": 5})
    }

    fn apply(merge: fn(&mut Json, &Json, &Map<String, Json>) -> Result, change: Json) -> Option<Json> {
        let mut target = json!({"meta": {"name": "B", "own": 1}, "days": 7});
        let change = change.as_object().cloned().unwrap_or_default();
        merge(&mut target, &shape(), &change).ok().map(|()| target)
    }

    #[test]
    fn json_is_strict_in_types_and_lenient_in_keys() {
        let base = json!({"meta": {"name": "B", "own": 1}, "days": 7});
        let changed = |pointer: &str, value: Json| {
            let mut changed = base.clone();
            *changed.pointer_mut(pointer).unwrap() = value;
            Some(changed)
        };
        for (change, expected) in [
            (json!({}), Some(base.clone())),
            (json!({"META": {"NAME": "c"}}), changed("/meta/name", json!("c"))),
            (json!({"nope": 1, "meta": {"nope": 1}}), Some(base.clone())),
            (json!({"meta": {"name": 1}}), None),
            (json!({"meta": []}), None),
            (json!({"meta": null}), changed("/meta", json!({"name": "", "hidden": false}))),
            (json!({"days": null}), changed("/days", json!(0))),
            (json!({"days": 1.0}), None),
            (json!({"days": "1"}), None),
            (json!({"days": 1, "Days": 2}), None),
            (json!({"list": "x"}), None),
        ] {
            assert_eq!(apply(json, change.clone()), expected, "{change}");
        }
        let made = apply(json, json!({"rules": [{"label": "/x"}, null], "list": ["a", null]})).unwrap();
        assert_eq!(made["rules"], json!([{"label": "/x", "max": 0}, {"label": "", "max": 0}]));
        assert_eq!(made["list"], json!(["a", ""]));
    }

    #[test]
    fn forms_carry_texts() {
        for (change, pointer, expected) in [
            (json!({"meta.name": 12}), "/meta/name", Some(json!("12"))),
            (json!({"meta.hidden": "t"}), "/meta/hidden", Some(json!(true))),
            (json!({"meta.hidden": ""}), "/meta/hidden", Some(json!(false))),
            (json!({"meta.hidden": "x"}), "/meta/hidden", None),
            (json!({"days": "007"}), "/days", Some(json!(7))),
            (json!({"days": "+7"}), "/days", None),
            (json!({"days": [4, 5]}), "/days", Some(json!(4))),
            (json!({"list": "x"}), "/list", Some(json!(["x"]))),
            (json!({"list": ["x", 1]}), "/list", Some(json!(["x", "1"]))),
            (json!({"Days": 1}), "/days", Some(json!(7))),
            (json!({"meta": "x"}), "/meta/name", Some(json!("B"))),
            (json!({"rules": "x"}), "/days", Some(json!(7))),
            (json!({"meta": {"name": "p"}}), "/meta/name", Some(json!("p"))),
        ] {
            let made = apply(form, change.clone());
            assert_eq!(made.and_then(|made| made.pointer(pointer).cloned()), expected, "{change}");
        }
    }
}
