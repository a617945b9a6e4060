//! Archives, and the many formats that are archives inside. The first names in an archive tell.

use super::{Kind, kind};

const ZIP: Kind = kind("application/zip", ".zip");

/// Entries looked at.
const ENTRIES_MAX: usize = 12;

pub fn sniff(head: &[u8]) -> Option<Kind> {
    match head.get(2..4)? {
        [3, 4] => {}
        [5, 6] | [7, 8] => return Some(ZIP),
        _ => return None,
    }
    for (position, (name, content)) in entries(head).enumerate() {
        if position == 0 && name == b"mimetype" {
            return Some(open_document(content));
        }
        let found = match name {
            name if name.starts_with(b"word/") => {
                kind("application/vnd.openxmlformats-officedocument.wordprocessingml.document", ".docx")
            }
            name if name.starts_with(b"xl/") => {
                kind("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", ".xlsx")
            }
            name if name.starts_with(b"ppt/") => {
                kind("application/vnd.openxmlformats-officedocument.presentationml.presentation", ".pptx")
            }
            name if name.starts_with(b"visio/") => kind("application/vnd.ms-visio.drawing.main+xml", ".vsdx"),
            b"AndroidManifest.xml" | b"classes.dex" | b"resources.arsc" => {
                kind("application/vnd.android.package-archive", ".apk")
            }
            name if name.starts_with(b"META-INF/") => kind("application/java-archive", ".jar"),
            b"doc.kml" => kind("application/vnd.google-earth.kmz", ".kmz"),
            _ => continue,
        };
        return Some(found);
    }
    Some(ZIP)
}

/// Names of local headers with what follows them, as far as they lie within the head.
fn entries(head: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = head.get(at..)?;
        let start = rest.windows(4).position(|window| window == b"PK\x03\x04")?;
        let header = &rest[start..];
        let length = |offset: usize| {
            Some(usize::from(u16::from_le_bytes(header.get(offset..offset + 2)?.try_into().ok()?)))
        };
        let (name, extra) = (length(26)?, length(28)?);
        at += start + 30;
        let content = header.get(30 + name + extra..).unwrap_or_default();
        Some((header.get(30..30 + name)?, content))
    })
    .take(ENTRIES_MAX)
}

fn open_document(content: &[u8]) -> Kind {
    const KNOWN: &[Kind] = &[
        kind("application/epub+zip", ".epub"),
        kind("application/vnd.oasis.opendocument.text-template", ".ott"),
        kind("application/vnd.oasis.opendocument.text", ".odt"),
        kind("application/vnd.oasis.opendocument.spreadsheet-template", ".ots"),
        kind("application/vnd.oasis.opendocument.spreadsheet", ".ods"),
        kind("application/vnd.oasis.opendocument.presentation-template", ".otp"),
        kind("application/vnd.oasis.opendocument.presentation", ".odp"),
        kind("application/vnd.oasis.opendocument.graphics-template", ".otg"),
        kind("application/vnd.oasis.opendocument.graphics", ".odg"),
        kind("application/vnd.oasis.opendocument.formula", ".odf"),
        kind("application/vnd.oasis.opendocument.chart", ".odc"),
        kind("application/vnd.sun.xml.calc", ".sxc"),
    ];
    KNOWN.iter().find(|known| content.starts_with(known.mime.as_bytes())).copied().unwrap_or(ZIP)
}
