//! Reads options from JSON bodies and stored rows, refusing what has the wrong type.

use serde_json::{Map, Value as Json};

/// The JSON does not have the shape that was asked for. The whole body is refused, without naming the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the data is not formatted as expected")]
pub struct Malformed;

/// Typed access to the keys of an object. An absent key and `null` leave the target as it is; keys that nobody
/// asks for are ignored.
#[derive(Clone, Copy)]
pub struct Reader<'a>(pub &'a Map<String, Json>);

type Outcome = Result<(), Malformed>;

impl<'a> Reader<'a> {
    pub fn of(json: &'a Json) -> Result<Self, Malformed> {
        json.as_object().map(Reader).ok_or(Malformed)
    }

    /// `None` when the key is absent or `null`.
    pub fn get(&self, key: &str) -> Option<&'a Json> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    pub fn text(&self, key: &str, target: &mut String) -> Outcome {
        if let Some(value) = self.get(key) {
            *target = value.as_str().ok_or(Malformed)?.to_owned();
        }
        Ok(())
    }

    pub fn bool(&self, key: &str, target: &mut bool) -> Outcome {
        if let Some(value) = self.get(key) {
            *target = value.as_bool().ok_or(Malformed)?;
        }
        Ok(())
    }

    pub fn int(&self, key: &str, target: &mut i64) -> Outcome {
        if let Some(value) = self.get(key) {
            *target = value.as_i64().ok_or(Malformed)?;
        }
        Ok(())
    }

    /// `null` unsets.
    pub fn number(&self, key: &str, target: &mut Option<f64>) -> Outcome {
        match self.0.get(key) {
            None => {}
            Some(Json::Null) => *target = None,
            Some(value) => *target = Some(value.as_f64().ok_or(Malformed)?),
        }
        Ok(())
    }

    /// `null` unsets.
    pub fn optional_text(&self, key: &str, target: &mut Option<String>) -> Outcome {
        match self.0.get(key) {
            None => {}
            Some(Json::Null) => *target = None,
            Some(value) => *target = Some(value.as_str().ok_or(Malformed)?.to_owned()),
        }
        Ok(())
    }

    /// `null` empties.
    pub fn texts(&self, key: &str, target: &mut Vec<String>) -> Outcome {
        match self.0.get(key) {
            None => {}
            Some(Json::Null) => target.clear(),
            Some(Json::Array(items)) => {
                *target = items
                    .iter()
                    .map(|item| match item {
                        Json::String(text) => Ok(text.clone()),
                        Json::Null => Ok(String::new()),
                        _ => Err(Malformed),
                    })
                    .collect::<Result<_, _>>()?;
            }
            Some(_) => return Err(Malformed),
        }
        Ok(())
    }

    /// The object under a key, when there is one.
    pub fn object(&self, key: &str, read: impl FnOnce(Reader<'a>) -> Outcome) -> Outcome {
        match self.get(key) {
            None => Ok(()),
            Some(value) => read(Reader::of(value)?),
        }
    }
}

/// A number as JSON the way the reference writes it: whole numbers without a fraction.
pub fn number_json(number: f64) -> Json {
    if number.fract() == 0.0 && number.abs() < 9e15 {
        Json::from(number as i64)
    } else {
        serde_json::Number::from_f64(number).map_or(Json::Null, Json::Number)
    }
}
