//! Reads options from JSON bodies and stored rows, refusing what has the wrong type.

use serde_json::{Map, Value as Json};

/// The JSON does not have the shape that was asked for. The whole body is refused, without naming the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the data is not formatted as expected")]
pub struct Malformed;

/// Typed access to the keys of an object, in any letter case. An absent key leaves the target as it is, `null`
/// unsets it, and keys that nobody asks for are ignored.
#[derive(Clone, Copy)]
pub struct Reader<'a>(pub &'a Map<String, Json>);

type Outcome = Result<(), Malformed>;

impl<'a> Reader<'a> {
    pub fn of(json: &'a Json) -> Result<Self, Malformed> {
        json.as_object().map(Reader).ok_or(Malformed)
    }

    /// The exact key comes first.
    pub fn get(&self, key: &str) -> Option<&'a Json> {
        self.0.get(key).or_else(|| {
            self.0.iter().find(|(other, _)| other.eq_ignore_ascii_case(key)).map(|(_, value)| value)
        })
    }

    fn read<T>(&self, key: &str, target: &mut T, parse: impl FnOnce(&'a Json) -> Option<T>) -> Outcome
    where
        T: Default,
    {
        match self.get(key) {
            None => {}
            Some(Json::Null) => *target = T::default(),
            Some(value) => *target = parse(value).ok_or(Malformed)?,
        }
        Ok(())
    }

    pub fn text(&self, key: &str, target: &mut String) -> Outcome {
        self.read(key, target, |value| value.as_str().map(str::to_owned))
    }

    pub fn bool(&self, key: &str, target: &mut bool) -> Outcome {
        self.read(key, target, Json::as_bool)
    }

    pub fn optional_bool(&self, key: &str, target: &mut Option<bool>) -> Outcome {
        self.read(key, target, |value| value.as_bool().map(Some))
    }

    pub fn int(&self, key: &str, target: &mut i64) -> Outcome {
        self.read(key, target, Json::as_i64)
    }

    pub fn number(&self, key: &str, target: &mut Option<f64>) -> Outcome {
        self.read(key, target, |value| value.as_f64().map(Some))
    }

    pub fn optional_text(&self, key: &str, target: &mut Option<String>) -> Outcome {
        self.read(key, target, |value| value.as_str().map(|text| Some(text.to_owned())))
    }

    pub fn texts(&self, key: &str, target: &mut Vec<String>) -> Outcome {
        self.read(key, target, |value| {
            let items = value.as_array()?.iter();
            items
                .map(
                    |item| {
                        if item.is_null() { Some(String::new()) } else { item.as_str().map(str::to_owned) }
                    },
                )
                .collect()
        })
    }

    /// Hands the object under a key, when there is one, to its own reader.
    pub fn object<T: Default>(
        &self,
        key: &str,
        target: &mut T,
        read: impl FnOnce(Reader<'a>, &mut T) -> Outcome,
    ) -> Outcome {
        match self.get(key) {
            None => Ok(()),
            Some(Json::Null) => {
                *target = T::default();
                Ok(())
            }
            Some(value) => read(Reader::of(value)?, target),
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
