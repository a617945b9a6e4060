//! Text, in whatever encoding, and what is written in it.

use serde_json::Value as Json;

use super::magic::contains;
use super::{Kind, kind};

const EMPTY: Kind = kind("text/plain", ".txt");
const UTF_8: Kind = kind("text/plain; charset=utf-8", ".txt");
const HTML: Kind = kind("text/html; charset=utf-8", ".html");
const SVG: Kind = kind("image/svg+xml", ".svg");
const NDJSON: Kind = kind("application/x-ndjson", ".ndjson");

const MARKS: &[(&[u8], Kind)] = &[
    (b"\xef\xbb\xbf", UTF_8),
    (b"\xff\xfe\0\0", kind("text/plain; charset=utf-32le", ".txt")),
    (b"\0\0\xfe\xff", kind("text/plain; charset=utf-32be", ".txt")),
    (b"\xff\xfe", kind("text/plain; charset=utf-16le", ".txt")),
    (b"\xfe\xff", kind("text/plain; charset=utf-16be", ".txt")),
];

pub fn sniff(head: &[u8], whole: bool) -> Option<Kind> {
    if head.is_empty() {
        return Some(EMPTY);
    }
    let mark = MARKS.iter().find(|(mark, _)| head.starts_with(mark));
    // No text holds these, whatever its encoding.
    let binary = |byte: &u8| matches!(byte, 0..=8 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f);
    let plain = match mark {
        Some((_, kind)) => *kind,
        None if head.iter().any(binary) || head.contains(&0x0c) => return None,
        None => encoding(head, whole),
    };
    let body = mark.map_or(head, |(mark, _)| &head[mark.len()..]);
    // Written in the bytes of ASCII, or not looked into.
    if plain.mime.contains("utf-16") || plain.mime.contains("utf-32") {
        return Some(plain);
    }
    let trimmed = body.trim_ascii_start();
    Some(
        markup(head, trimmed, plain)
            .or_else(|| script(body))
            .or_else(|| if mark.is_none() { json(body, whole) } else { None })
            .or_else(|| lines(body))
            .or_else(|| tables(body, whole))
            .unwrap_or(plain),
    )
}

fn encoding(head: &[u8], whole: bool) -> Kind {
    match std::str::from_utf8(head) {
        Ok(_) => UTF_8,
        // A character may be cut off at the end of what was read.
        Err(error) if error.error_len().is_none() && !whole => UTF_8,
        Err(_) if head.iter().any(|byte| (0x80..0xa0).contains(byte)) => EMPTY,
        Err(_) => kind("text/plain; charset=iso-8859-1", ".txt"),
    }
}

/// Tags that make a text a page when it begins with one.
const PAGE_TAGS: &[&[u8]] = &[
    b"!DOCTYPE HTML",
    b"HTML",
    b"HEAD",
    b"SCRIPT",
    b"IFRAME",
    b"H1",
    b"DIV",
    b"FONT",
    b"TABLE",
    b"A",
    b"STYLE",
    b"TITLE",
    b"B",
    b"BODY",
    b"BR",
    b"P",
];

fn markup(head: &[u8], trimmed: &[u8], plain: Kind) -> Option<Kind> {
    let upper = |length: usize| trimmed[..trimmed.len().min(length)].to_ascii_uppercase();
    if upper(6) == b"<?XML " {
        return Some(xml(head, plain));
    }
    if trimmed.starts_with(b"<!--") {
        // A comment ends with white space or with its text; a bare one says nothing.
        return matches!(trimmed.get(4), Some(b' ' | b'>')).then_some(HTML);
    }
    if upper(5) == b"<?PHP" && head.first() == Some(&b'<') {
        return Some(kind("text/x-php", ".php"));
    }
    let page = PAGE_TAGS.iter().any(|tag| {
        let begin = upper(tag.len() + 2);
        begin.get(1..=tag.len()) == Some(tag)
            && begin[0] == b'<'
            && matches!(begin.get(tag.len() + 1), Some(b' ' | b'>'))
    });
    if page {
        return Some(HTML);
    }
    (trimmed.len() == head.len()
        && trimmed.starts_with(b"<svg ")
        && contains(head, b"http://www.w3.org/2000/svg"))
    .then_some(SVG)
}

fn xml(head: &[u8], plain: Kind) -> Kind {
    const KNOWN: &[(&[u8], &[u8], Kind)] = &[
        (b"<rss", b"", kind("application/rss+xml", ".rss")),
        (b"<feed", b"http://www.w3.org/2005/Atom", kind("application/atom+xml", ".atom")),
        (b"<kml", b"http://www.opengis.net/kml/2.2", kind("application/vnd.google-earth.kml+xml", ".kml")),
        (b"<gpx", b"http://www.topografix.com/GPX/1/1", kind("application/gpx+xml", ".gpx")),
        (
            b"<TrainingCenterDatabase",
            b"http://www.garmin.com/xmlschemas/TrainingCenterDatabase/v2",
            kind("application/vnd.garmin.tcx+xml", ".tcx"),
        ),
        (b"<amf", b"", kind("application/x-amf", ".amf")),
        (b"<xfdf", b"http://ns.adobe.com/xfdf/", kind("application/vnd.adobe.xfdf", ".xfdf")),
        (
            b"<model",
            b"http://schemas.microsoft.com/3dmanufacturing/core/2015/02",
            kind("application/vnd.ms-package.3dmanufacturing-3dmodel+xml", ".3mf"),
        ),
        (b"<html", b"http://www.w3.org/1999/xhtml", kind("application/xhtml+xml", ".html")),
        (b"<svg", b"", SVG),
    ];
    let found = KNOWN.iter().find(|(tag, space, _)| contains(head, tag) && contains(head, space));
    let latin = contains(&head[..head.len().min(128)].to_ascii_lowercase(), b"iso-8859-1");
    match found {
        Some((.., found)) => *found,
        None if latin || plain.mime.contains("8859") => kind("text/xml; charset=iso-8859-1", ".xml"),
        None => kind("text/xml; charset=utf-8", ".xml"),
    }
}

/// Programs that say who runs them.
fn script(body: &[u8]) -> Option<Kind> {
    const RUN_BY: &[(&[u8], Kind)] = &[
        (b"python", kind("text/x-python", ".py")),
        (b"node", kind("text/javascript", ".js")),
        (b"php", kind("text/x-php", ".php")),
        (b"perl", kind("text/x-perl", ".pl")),
        (b"lua", kind("text/x-lua", ".lua")),
        (b"ruby", kind("text/x-ruby", ".rb")),
        (b"tclsh", kind("text/x-tcl", ".tcl")),
        (b"wish", kind("text/x-tcl", ".tcl")),
        (b"bash", kind("text/x-shellscript", ".sh")),
        (b"dash", kind("text/x-shellscript", ".sh")),
        (b"zsh", kind("text/x-shellscript", ".sh")),
        (b"/sh", kind("text/x-shellscript", ".sh")),
    ];
    let line = body.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    RUN_BY.iter().find(|(name, _)| contains(line, name)).map(|(_, kind)| *kind)
}

fn json(body: &[u8], whole: bool) -> Option<Kind> {
    let begin = body.trim_ascii_start();
    if !matches!(begin.first(), Some(b'{' | b'[')) {
        return None;
    }
    let text = std::str::from_utf8(body).ok();
    if let Some(json) = text.and_then(|text| serde_json::from_str::<Json>(text).ok()) {
        return Some(json_kind(&json));
    }
    let lines: Vec<&[u8]> =
        body.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).collect();
    let complete = if whole { lines.len() } else { lines.len().saturating_sub(1) };
    let each = |line: &&[u8]| matches!(serde_json::from_slice(line), Ok(Json::Object(_) | Json::Array(_)));
    if complete > 1 && lines[..complete].iter().all(each) {
        return Some(NDJSON);
    }
    // What goes on beyond the head is taken for JSON unless the head is at fault.
    let error = serde_json::from_slice::<Json>(body).err()?;
    (!whole && error.is_eof()).then_some(kind("application/json", ".json"))
}

fn json_kind(json: &Json) -> Kind {
    const GEO: [&str; 9] = [
        "Feature",
        "FeatureCollection",
        "Point",
        "LineString",
        "Polygon",
        "MultiPoint",
        "MultiLineString",
        "MultiPolygon",
        "GeometryCollection",
    ];
    if json["type"].as_str().is_some_and(|name| GEO.contains(&name)) {
        return kind("application/geo+json", ".geojson");
    }
    if !json["log"]["entries"].is_null() {
        return kind("application/json", ".har");
    }
    if matches!(json["asset"]["version"].as_str(), Some("1.0" | "2.0")) {
        return kind("model/gltf+json", ".gltf");
    }
    match json["bomFormat"] == "CycloneDX" {
        true => kind("application/vnd.cyclonedx+json", ".json"),
        false => kind("application/json", ".json"),
    }
}

/// Kinds that begin with a line of their own.
fn lines(body: &[u8]) -> Option<Kind> {
    const BEGINNINGS: &[(&[u8], Kind)] = &[
        (b"{\\rtf", kind("text/rtf", ".rtf")),
        (b"BEGIN:VCARD", kind("text/vcard", ".vcf")),
        (b"BEGIN:VCALENDAR", kind("text/calendar", ".ics")),
        (b"WEBVTT", kind("text/vtt", ".vtt")),
        (b"#EXTM3U", kind("application/vnd.apple.mpegurl", ".m3u")),
        (b"WARC/1.", kind("application/warc", ".warc")),
    ];
    if let Some((beginning, kind)) = BEGINNINGS.iter().find(|(beginning, _)| body.starts_with(beginning)) {
        let line_of_its_own = !beginning.starts_with(b"BEGIN") || body.get(beginning.len()) == Some(&b'\n');
        return line_of_its_own.then_some(*kind);
    }
    let text: Vec<&[u8]> = body.split(|byte| *byte == b'\n').take(3).collect();
    if let [b"1", time, ..] = text[..]
        && contains(time, b" --> ")
        && !time.ends_with(b"\r")
    {
        return Some(kind("application/x-subrip", ".srt"));
    }
    let named = |line: &[u8], names: &[&[u8]]| names.iter().any(|name| line.starts_with(name));
    const HEADERS: [&[u8]; 5] = [b"From:", b"To:", b"Date:", b"Subject:", b"Message-ID:"];
    match text[..] {
        [first, second, ..] if named(first, &HEADERS) && named(second, &HEADERS) => {
            Some(kind("message/rfc822", ".eml"))
        }
        _ => None,
    }
}

fn tables(body: &[u8], whole: bool) -> Option<Kind> {
    let text =
        std::str::from_utf8(body).or_else(|error| std::str::from_utf8(&body[..error.valid_up_to()])).ok()?;
    if has_columns(text, ',', whole) {
        return Some(kind("text/csv", ".csv"));
    }
    has_columns(text, '\t', whole).then_some(kind("text/tab-separated-values", ".tsv"))
}

/// Whether there are at least two lines, all with the same number of separators, and at least one.
fn has_columns(text: &str, separator: char, whole: bool) -> bool {
    let mut rows = Vec::new();
    let (mut columns, mut quoted, mut seen) = (1, false, false);
    let mut before = '\n';
    for letter in text.chars() {
        match letter {
            '"' if quoted || before == separator || before == '\n' => quoted = !quoted,
            '\n' if !quoted => {
                if seen {
                    rows.push(columns);
                }
                (columns, seen) = (1, false);
            }
            '\r' => {}
            letter if letter == separator && !quoted => (columns, seen) = (columns + 1, true),
            _ => seen = true,
        }
        before = letter;
    }
    if quoted && whole {
        return false;
    }
    if seen && whole {
        rows.push(columns);
    }
    if text.starts_with('#') && rows.len() > 2 {
        rows.remove(0);
    }
    rows.len() > 1 && rows[0] > 1 && rows.iter().all(|row| *row == rows[0])
}
