//! Rows as bytes, for caches outside the process. What was written comes back exactly, numbers to the bit.

use base::Value;
use query::{Column, ColumnType, Row};

/// The first byte. A reader that does not know it reads the database.
const VERSION: u8 = 1;

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const NUMBER: u8 = 3;
const TEXT: u8 = 4;
const JSON: u8 = 5;

pub fn encode(row: &Row) -> Vec<u8> {
    let mut out = Vec::with_capacity(row.size_bytes());
    out.push(VERSION);
    write_length(&mut out, row.0.len());
    for value in &row.0 {
        match value {
            Value::Null => out.push(NULL),
            Value::Bool(false) => out.push(FALSE),
            Value::Bool(true) => out.push(TRUE),
            Value::Number(number) => {
                out.push(NUMBER);
                out.extend_from_slice(&number.to_bits().to_le_bytes());
            }
            Value::Text(text) => write_text(&mut out, TEXT, text),
            Value::Json(text) => write_text(&mut out, JSON, text),
        }
    }
    out
}

/// `None` for what [`encode`] does not write.
pub fn decode(bytes: &[u8]) -> Option<Row> {
    let mut rest = bytes;
    if take(&mut rest, 1)? != [VERSION] {
        return None;
    }
    let count = read_length(&mut rest)?;
    // Every value takes a byte at least, so that a wrong count cannot ask for more memory than was read.
    let mut values = Vec::with_capacity(count.min(rest.len()));
    for _ in 0..count {
        values.push(match take(&mut rest, 1)?[0] {
            NULL => Value::Null,
            FALSE => Value::Bool(false),
            TRUE => Value::Bool(true),
            NUMBER => Value::Number(f64::from_bits(u64::from_le_bytes(take(&mut rest, 8)?.try_into().ok()?))),
            TEXT => Value::Text(read_text(&mut rest)?),
            JSON => Value::Json(read_text(&mut rest)?),
            _ => return None,
        });
    }
    rest.is_empty().then(|| Row::from(values))
}

/// Tells rows of different columns apart, in the same way in every process and release.
pub fn form(columns: &[Column]) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut write = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    for column in columns {
        column.name.bytes().for_each(&mut write);
        write(0);
        write(match column.ty {
            ColumnType::Id => 1,
            ColumnType::Text => 2,
            ColumnType::Number => 3,
            ColumnType::Bool => 4,
            ColumnType::Date => 5,
            ColumnType::Json => 6,
            ColumnType::List => 7,
            ColumnType::Point => 8,
            ColumnType::Dynamic => 9,
        });
    }
    hash
}

fn write_length(out: &mut Vec<u8>, mut length: usize) {
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
}

fn write_text(out: &mut Vec<u8>, kind: u8, text: &str) {
    out.push(kind);
    write_length(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(count)?;
    *rest = left;
    Some(taken)
}

fn read_length(rest: &mut &[u8]) -> Option<usize> {
    let mut length = 0usize;
    for shift in (0..35).step_by(7) {
        let byte = take(rest, 1)?[0];
        length |= usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(length);
        }
    }
    None
}

fn read_text(rest: &mut &[u8]) -> Option<Box<str>> {
    let length = read_length(rest)?;
    Some(std::str::from_utf8(take(rest, length)?).ok()?.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<u64>().prop_map(|bits| Value::Number(f64::from_bits(bits))),
            ".{0,300}".prop_map(Value::from),
            prop::collection::vec(".{0,20}", 0..4).prop_map(|items| Value::list(&items)),
        ]
    }

    /// NaN is unequal to itself, so bits are compared.
    fn bits(row: &Row) -> Vec<(Value, u64)> {
        let bits = |value: &Value| match value {
            Value::Number(number) => (Value::Null, number.to_bits()),
            other => (other.clone(), 0),
        };
        row.0.iter().map(bits).collect()
    }

    proptest! {
        #[test]
        fn what_was_written_comes_back(values in prop::collection::vec(value(), 0..40)) {
            let row = Row::from(values);
            let read = decode(&encode(&row)).expect("a row");
            prop_assert_eq!(bits(&read), bits(&row));
        }

        #[test]
        fn anything_else_is_refused_or_a_row_and_never_more(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            decode(&bytes);
        }

        #[test]
        fn a_cut_row_is_refused(values in prop::collection::vec(value(), 1..6), cut in any::<prop::sample::Index>()) {
            let bytes = encode(&Row::from(values));
            prop_assert!(decode(&bytes[..cut.index(bytes.len())]).is_none());
        }
    }

    #[test]
    fn a_form_changes_with_names_order_and_types() {
        let columns = |list: &[(&str, ColumnType)]| {
            form(&list.iter().map(|(name, ty)| Column::new(*name, *ty)).collect::<Vec<_>>())
        };
        let one = columns(&[("a", ColumnType::Text), ("b", ColumnType::Text)]);
        assert_eq!(one, columns(&[("a", ColumnType::Text), ("b", ColumnType::Text)]));
        assert_ne!(one, columns(&[("b", ColumnType::Text), ("a", ColumnType::Text)]));
        assert_ne!(one, columns(&[("a", ColumnType::Json), ("b", ColumnType::Text)]));
        assert_ne!(one, columns(&[("ab", ColumnType::Text)]));
    }
}
