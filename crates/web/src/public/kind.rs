//! What a static file is, and how long it may be kept.

/// The content type that the name's ending stands for.
pub fn by_name(name: &str) -> Option<String> {
    let (_, ending) = name.rsplit_once('.')?;
    let kind = match ending.to_ascii_lowercase().as_str() {
        "js" | "mjs" => "text/javascript",
        "ico" => "image/vnd.microsoft.icon",
        ending => mime_guess::from_ext(ending).first_raw()?,
    };
    // Texts are UTF-8, as everything is.
    Some(if kind.starts_with("text/") { format!("{kind}; charset=utf-8") } else { kind.into() })
}

/// Text, or just bytes. Never more than that: whoever stores files must not find them run as pages.
pub fn by_content(start: &[u8]) -> &'static str {
    let text = match std::str::from_utf8(start) {
        Ok(text) => Some(text),
        // The start may end within a letter.
        Err(error) if error.error_len().is_none() => std::str::from_utf8(&start[..error.valid_up_to()]).ok(),
        Err(_) => None,
    };
    let is_text =
        text.is_some_and(|text| text.chars().all(|letter| !letter.is_control() || letter.is_whitespace()));
    if is_text { "text/plain; charset=utf-8" } else { "application/octet-stream" }
}

/// What builds name after their content, so that it can be kept for good.
const ASSETS: [&str; 18] = [
    "js", "mjs", "css", "map", "wasm", "woff", "woff2", "ttf", "otf", "svg", "png", "jpg", "jpeg", "gif",
    "webp", "avif", "ico", "json",
];
const HASH_CHARS: std::ops::RangeInclusive<usize> = 8..=64;

/// How long a file may be kept without asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Pages: they name the assets of one version.
    Never,
    /// By shared caches, and not for long; never by browsers.
    Briefly,
    /// Named after its content.
    ForGood,
}

impl Kept {
    pub fn of(name: &str) -> Kept {
        match name.rsplit_once('.') {
            Some((_, "html" | "htm")) => Kept::Never,
            Some((stem, ending)) if ASSETS.contains(&ending) && ends_in_hash(stem) => Kept::ForGood,
            _ => Kept::Briefly,
        }
    }
}

fn ends_in_hash(stem: &str) -> bool {
    let last = stem.rsplit(['.', '-']).next().filter(|last| last.len() < stem.len()).unwrap_or_default();
    let has = |of: fn(&u8) -> bool| last.as_bytes().iter().any(of);
    HASH_CHARS.contains(&last.len())
        && last.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && has(u8::is_ascii_digit)
        && has(u8::is_ascii_alphabetic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds() {
        for (name, expected) in [
            ("a.html", Some("text/html; charset=utf-8")),
            ("a.CSS", Some("text/css; charset=utf-8")),
            ("a.mjs", Some("text/javascript; charset=utf-8")),
            ("a.json", Some("application/json")),
            ("a.svg", Some("image/svg+xml")),
            ("a.wasm", Some("application/wasm")),
            ("a.woff2", Some("font/woff2")),
            ("a", None),
            ("a.unknownending", None),
        ] {
            assert_eq!(by_name(name).as_deref(), expected, "{name}");
        }
        assert_eq!(by_content("<b>ü".as_bytes()), "text/plain; charset=utf-8");
        assert_eq!(by_content(&"aü".as_bytes()[..2]), "text/plain; charset=utf-8");
        assert_eq!(by_content(b"\x00\x01"), "application/octet-stream");
        assert_eq!(by_content(b"\xff\xfe"), "application/octet-stream");
    }

    #[test]
    fn what_is_kept() {
        for (name, expected) in [
            ("index.html", Kept::Never),
            ("index-BwZ3kx9P.js", Kept::ForGood),
            ("name-BJ3k_2xd.js", Kept::ForGood),
            ("main.8f3a2b1c.css", Kept::ForGood),
            ("app.js", Kept::Briefly),
            ("8f3a2b1c.js", Kept::Briefly),
            ("report-20240101.css", Kept::Briefly),
            ("photo-abc12345.tiff", Kept::Briefly),
            ("jquery-1.2.min.js", Kept::Briefly),
            ("LICENSE", Kept::Briefly),
        ] {
            assert_eq!(Kept::of(name), expected, "{name}");
        }
    }
}
