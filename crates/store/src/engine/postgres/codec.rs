//! Values into and out of PostgreSQL's binary formats. Parameters take the type that the server inferred for
//! them; results are read by the type of the column, leniently.

use base::{Timestamp, Value, json};
use bytes::{BufMut, BytesMut};
use query::ColumnType;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::engine::decode;

type Problem = Box<dyn std::error::Error + Sync + Send>;

/// Milliseconds from the Unix epoch to PostgreSQL's, 2000-01-01.
const EPOCH_MS: i64 = 946_684_800_000;

/// A value on its way into a statement.
#[derive(Debug)]
pub struct Param(pub Value);

impl Param {
    /// Why a value cannot be stored.
    pub fn objection(value: &Value) -> Option<&'static str> {
        let (Value::Text(text) | Value::Json(text)) = value else { return None };
        let json = matches!(value, Value::Json(_)) && text.contains("\\u0000");
        (json || text.contains('\0')).then_some("PostgreSQL cannot store the character U+0000")
    }
}

impl ToSql for Param {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Problem> {
        if let Some(why) = Param::objection(&self.0) {
            return Err(why.into());
        }
        match (ty, &self.0) {
            (_, Value::Null) => return Ok(IsNull::Yes),
            (&Type::TIMESTAMPTZ | &Type::TIMESTAMP, value) => {
                let text = value.text_or_empty();
                if text.is_empty() {
                    return Ok(IsNull::Yes);
                }
                let stamp = Timestamp::parse(text).ok_or_else(|| format!("{text:?} is not a date"))?;
                out.put_i64((stamp.0 - EPOCH_MS) * 1000);
            }
            (&Type::JSON, value) => json_param(value, out),
            (&Type::JSONB, value) => {
                out.put_u8(1);
                json_param(value, out);
            }
            (&Type::FLOAT8, value) => out.put_f64(number(value)),
            (&Type::FLOAT4, value) => out.put_f32(number(value) as f32),
            (&Type::INT8, value) => out.put_i64(number(value) as i64),
            (&Type::INT4, value) => out.put_i32(number(value) as i32),
            (&Type::INT2, value) => out.put_i16(number(value) as i16),
            (&Type::BOOL, value) => out.put_u8(u8::from(value.as_bool() || value.as_str() == Some("true"))),
            (_, Value::Text(text) | Value::Json(text)) => out.put_slice(text.as_bytes()),
            (_, Value::Number(value)) => out.put_slice(json::number_text(*value).as_bytes()),
            (_, Value::Bool(value)) => out.put_slice(if *value { b"true" } else { b"false" }),
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

fn json_param(value: &Value, out: &mut BytesMut) {
    match value {
        Value::Json(text) => match text.parse::<f64>() {
            // SQLite keeps a bare number as a number, and forgets how it was spelled.
            Ok(number) if text.parse::<i64>().is_err() => out.put_slice(json::number_text(number).as_bytes()),
            _ => out.put_slice(text.as_bytes()),
        },
        Value::Text(text) => {
            let mut quoted = String::with_capacity(text.len() + 2);
            json::write_string(&mut quoted, text);
            out.put_slice(quoted.as_bytes());
        }
        Value::Number(number) => out.put_slice(json::number_text(*number).as_bytes()),
        Value::Bool(value) => out.put_slice(if *value { b"true" } else { b"false" }),
        Value::Null => out.put_slice(b"null"),
    }
}

fn number(value: &Value) -> f64 {
    match value {
        Value::Text(text) => text.trim().parse().unwrap_or(0.0),
        value => value.as_number(),
    }
}

/// A result's bytes with their type.
pub struct Raw<'a>(Type, Option<&'a [u8]>);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Problem> {
        Ok(Raw(ty.clone(), Some(raw)))
    }

    fn from_sql_null(ty: &Type) -> Result<Self, Problem> {
        Ok(Raw(ty.clone(), None))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

impl Raw<'_> {
    pub fn value(&self, ty: ColumnType) -> Value {
        let Some(bytes) = self.1 else {
            return match ty {
                ColumnType::Id | ColumnType::Text => Value::Null,
                ty => ty.zero(),
            };
        };
        match self.0 {
            Type::BOOL => match ty {
                // SQLite's truth values are 1 and 0.
                ColumnType::Bool => Value::Bool(bytes == [1]),
                ty => decode::number_value(f64::from(u8::from(bytes == [1])), ty),
            },
            Type::TIMESTAMPTZ | Type::TIMESTAMP => match micros(bytes) {
                Some(micros) => {
                    let stamp = Timestamp(micros.div_euclid(1000).saturating_add(EPOCH_MS));
                    let written = stamp.written();
                    let text = std::str::from_utf8(&written).unwrap_or_default();
                    match ty {
                        // Already in the form of such a column.
                        ColumnType::Date => Value::text(text),
                        ty => decode::text_value(text, ty),
                    }
                }
                None => ty.zero(),
            },
            Type::INT8 | Type::INT4 | Type::INT2 | Type::OID => {
                let number = integer(bytes);
                match ty {
                    ColumnType::Dynamic | ColumnType::Json if number.unsigned_abs() > 1 << 53 => {
                        Value::Json(number.to_string().into())
                    }
                    ty => decode::number_value(number as f64, ty),
                }
            }
            Type::FLOAT8 => decode::number_value(bytes.try_into().map(f64::from_be_bytes).unwrap_or(0.0), ty),
            Type::FLOAT4 => {
                let number = bytes.try_into().map(f32::from_be_bytes).unwrap_or(0.0);
                decode::number_value(number.to_string().parse().unwrap_or(0.0), ty)
            }
            Type::NUMERIC => decode::number_value(numeric(bytes), ty),
            Type::JSONB => text(bytes.get(1..).unwrap_or_default(), ty),
            Type::DATE => {
                let days = i64::from(bytes.try_into().map(i32::from_be_bytes).unwrap_or(0));
                let stamp = Timestamp(days.saturating_mul(86_400_000).saturating_add(EPOCH_MS));
                decode::text_value(&stamp.to_string()[..10], ty)
            }
            _ => text(bytes, ty),
        }
    }
}

fn text(bytes: &[u8], ty: ColumnType) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => decode::text_value(text, ty),
        Err(_) => decode::text_value(&String::from_utf8_lossy(bytes), ty),
    }
}

/// `None` for the infinities.
fn micros(bytes: &[u8]) -> Option<i64> {
    let micros = i64::from_be_bytes(bytes.try_into().ok()?);
    (micros != i64::MAX && micros != i64::MIN).then_some(micros)
}

fn integer(bytes: &[u8]) -> i64 {
    let sign = if bytes.first().is_some_and(|byte| byte & 0x80 != 0) { -1 } else { 0 };
    bytes.iter().take(8).fold(sign, |number, byte| (number << 8) | i64::from(*byte))
}

/// PostgreSQL's decimal format: a count of base-10000 digits, the weight of the first, sign, scale, digits.
fn numeric(bytes: &[u8]) -> f64 {
    let at = |index: usize| {
        let pair = bytes.get(index * 2..index * 2 + 2)?;
        Some(i16::from_be_bytes([pair[0], pair[1]]))
    };
    let (Some(count), Some(weight), Some(sign)) = (at(0), at(1), at(2)) else { return 0.0 };
    let mut text = String::from(if sign == 0x4000 { "-0" } else { "0" });
    for index in 0..count.max(0) as usize {
        text.push_str(&format!("{:04}", at(4 + index).unwrap_or(0)));
    }
    let exponent = (i32::from(weight) - i32::from(count) + 1) * 4;
    format!("{text}e{exponent}").parse().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    #[test]
    fn decimals() {
        // 12345.678 is 1, 2345, 6780 with a weight of 1.
        let words: [i16; 7] = [3, 1, 0, 3, 1, 2345, 6780];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        assert_eq!(super::numeric(&bytes), 12345.678);
        assert_eq!(super::integer(&(-5i32).to_be_bytes()), -5);
    }
}
