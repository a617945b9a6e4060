//! One request as a line of fields: numbers, addresses and texts, each with an end mark. A text that is as in the line
//! before is only a mark, so that what clients and proxies say each time is kept once.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};

use base::Timestamp;

use super::answered::{Answered, RECURRING, UNIQUE};

/// ASCII's unit separator.
const END: char = '\u{1f}';
/// ASCII's record separator: as in the line before, or as the address before.
const SAME: char = '\u{1e}';

/// The texts of the line before.
#[derive(Debug, Default)]
pub struct Before([String; RECURRING]);

/// Appends the line, without an end of line. What failed, or has a text with control characters, is not written; then the
/// answer is `false`.
pub fn write(answered: &Answered<'_>, before: &mut Before, out: &mut String) -> bool {
    if answered.failure.is_some() {
        return false;
    }
    let (start, mut marks) = (out.len(), 0);
    let mut digits = itoa::Buffer::new();
    let Answered { at, level, status, nanos, remote, user, .. } = *answered;
    for number in [at.0, level, status as i64, nanos as i64] {
        out.push_str(digits.format(number));
        out.push(END);
    }
    write_address(remote, out);
    out.push(END);
    if user == remote {
        out.push(SAME);
        marks += 1;
    } else {
        write_address(user, out);
    }
    out.push(END);
    for (text, before) in answered.recurring().into_iter().zip(&mut before.0) {
        // Empty ones are not compared: where they have no memory, some processors take 200 ns to find that nothing differs.
        if text.is_empty() {
            before.clear();
        } else if text == before {
            out.push(SAME);
            marks += 1;
        } else {
            out.push_str(text);
            before.clear();
            before.push_str(text);
        }
        out.push(END);
    }
    for text in answered.unique() {
        out.push_str(text);
        out.push(END);
    }
    let is_plain = controls(&out.as_bytes()[start..]) == 4 + 2 + RECURRING + UNIQUE + marks;
    if !is_plain {
        out.truncate(start);
        *before = Before::default();
    }
    is_plain
}

fn is_same(field: &str) -> bool {
    field.len() == 1 && field.starts_with(SAME)
}

/// How many bytes are control characters. In a form that compiles to vector instructions, as every request is looked at.
fn controls(bytes: &[u8]) -> usize {
    let of_few = |few: &[u8]| few.iter().fold(0_u8, |count, byte| count + u8::from(*byte < b' '));
    bytes.chunks(usize::from(u8::MAX)).map(|few| usize::from(of_few(few))).sum()
}

fn write_address(address: Option<IpAddr>, out: &mut String) {
    match address {
        Some(IpAddr::V4(address)) => out.push_str(itoa::Buffer::new().format(address.to_bits())),
        Some(IpAddr::V6(address)) => {
            let _ = write!(out, "{address}");
        }
        None => {}
    }
}

/// Reads lines in their order.
#[derive(Default)]
pub struct Reader<'a>([&'a str; RECURRING]);

impl<'a> Reader<'a> {
    /// What [`write`] wrote; `None` for anything else.
    pub fn read(&mut self, line: &'a str) -> Option<Answered<'a>> {
        let mut fields = line.strip_suffix(END)?.split(END);
        let mut numbers = [0_i64; 4];
        for number in &mut numbers {
            *number = fields.next()?.parse().ok()?;
        }
        let [at, level, status, nanos] = numbers;
        let remote = read_address(fields.next()?)?;
        let user = match fields.next()? {
            same if is_same(same) => remote,
            other => read_address(other)?,
        };
        for before in &mut self.0 {
            match fields.next()? {
                same if is_same(same) => {}
                text => *before = text,
            }
        }
        let [method, node, url, auth, auth_id, referer, user_agent] = self.0;
        let (request, trace, span) = (fields.next()?, fields.next()?, fields.next()?);
        fields.next().is_none().then_some(())?;
        let (status, nanos) = (status.try_into().ok()?, nanos.try_into().ok()?);
        let (at, failure) = (Timestamp(at), None);
        let known = Answered {
            at,
            level,
            status,
            nanos,
            remote,
            user,
            method,
            node,
            url,
            auth,
            ..Answered::default()
        };
        Some(Answered { auth_id, referer, user_agent, request, trace, span, failure, ..known })
    }
}

fn read_address(text: &str) -> Option<Option<IpAddr>> {
    if text.is_empty() {
        return Some(None);
    }
    let numbered = text.parse().map(|bits| Ipv4Addr::from_bits(bits).into());
    numbered.ok().or_else(|| text.parse().ok()).map(Some)
}
