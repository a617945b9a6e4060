//! Random texts after a regular expression.

use rand::Rng;
use regex_syntax::hir::{Class, Hir, HirKind, Look};

use super::{pattern, re2};
use crate::violation::{Violation, sentence};

/// How often something without an upper bound is repeated at most, unless its lower bound is higher.
const UNBOUNDED_REPEATS_MAX: u32 = 5;
/// Generation stops when a text has grown to this.
const GENERATED_BYTES_MAX: usize = 16 << 10;
/// Sets with more characters than this (`.`, negated ones) are narrowed to letters and digits where they hold any.
const WIDE_SET_CHARS: u32 = 1 << 12;

/// A parsed autogenerate pattern.
pub(crate) struct Generator(Hir);

impl Generator {
    /// Refuses patterns that are invalid, or hold what cannot be generated (anchors, word boundaries, empty sets).
    pub(crate) fn new(source: &str) -> Result<Self, Violation> {
        let translated = re2::translate(source).map_err(|error| pattern::invalid(&error))?;
        let hir = regex_syntax::parse(&translated).map_err(|_| pattern::invalid("invalid expression"))?;
        check(&hir)
            .map_err(|error| Violation::new("validation_invalid_autogenerate_pattern", sentence(&error)))?;
        Ok(Generator(hir))
    }

    pub(crate) fn generate(&self) -> String {
        let mut out = String::new();
        write(&self.0, &mut out);
        out
    }
}

fn check(hir: &Hir) -> Result<(), String> {
    match hir.kind() {
        HirKind::Empty | HirKind::Literal(_) => Ok(()),
        HirKind::Class(class) if class.is_empty() => Err("no runes to choose from".into()),
        HirKind::Class(_) => Ok(()),
        HirKind::Look(look) => {
            // Operator numbers as the reference reports them.
            let number = match look {
                Look::StartLF | Look::StartCRLF => 7,
                Look::EndLF | Look::EndCRLF => 8,
                Look::Start => 9,
                Look::End => 10,
                Look::WordAsciiNegate | Look::WordUnicodeNegate => 12,
                _ => 11,
            };
            Err(format!("unsupported pattern operator {number}"))
        }
        HirKind::Repetition(repetition) => check(&repetition.sub),
        HirKind::Capture(capture) => check(&capture.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().try_for_each(check),
    }
}

fn write(hir: &Hir, out: &mut String) {
    if out.len() > GENERATED_BYTES_MAX {
        return;
    }
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => out.push_str(&String::from_utf8_lossy(&literal.0)),
        HirKind::Class(class) => out.extend(pick(class)),
        HirKind::Repetition(repetition) => {
            let max = repetition.max.unwrap_or(UNBOUNDED_REPEATS_MAX.max(repetition.min));
            for _ in 0..rand::rng().random_range(repetition.min..=max) {
                write(&repetition.sub, out);
            }
        }
        HirKind::Capture(capture) => write(&capture.sub, out),
        HirKind::Concat(parts) => parts.iter().for_each(|part| write(part, out)),
        HirKind::Alternation(parts) => {
            if let Some(part) = parts.get(rand::rng().random_range(0..parts.len().max(1))) {
                write(part, out);
            }
        }
    }
}

fn pick(class: &Class) -> Option<char> {
    let ranges: Vec<(u32, u32)> = match class {
        Class::Unicode(class) => {
            class.ranges().iter().map(|range| (range.start().into(), range.end().into())).collect()
        }
        Class::Bytes(class) => {
            class.ranges().iter().map(|range| (range.start().into(), range.end().into())).collect()
        }
    };
    let size: u32 = ranges.iter().map(|(low, high)| high - low + 1).sum();
    if size > WIDE_SET_CHARS {
        let within = |code: &u32| ranges.iter().any(|(low, high)| (low..=high).contains(&code));
        let plain: Vec<u32> = base::id::ALPHANUMERIC.chars().map(u32::from).filter(within).collect();
        if !plain.is_empty() {
            return char::from_u32(plain[rand::rng().random_range(0..plain.len())]);
        }
    }
    let mut index = rand::rng().random_range(0..size.max(1));
    for (low, high) in ranges {
        let length = high - low + 1;
        if index < length {
            // A range may span the surrogates, which are no characters.
            return char::from_u32(low + index).or_else(|| char::from_u32(low));
        }
        index -= length;
    }
    None
}
