//! The plain text of an HTML mail, for readers without HTML. It reads what mail templates hold; of anything else it
//! makes some text, and never fails.

/// Tags whose inside is no text.
const SILENT: [&str; 4] = ["head", "script", "style", "title"];
/// Tags that begin a new line.
const BLOCKS: [&str; 16] = [
    "address",
    "blockquote",
    "br",
    "div",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "li",
    "p",
    "table",
    "tr",
    "ul",
];

pub(super) fn of_html(html: &str) -> String {
    let lower = html.to_ascii_lowercase();
    let mut out = Text::default();
    let mut rest = html;
    let mut link = String::new();
    while let Some(at) = rest.find('<') {
        out.add(&rest[..at]);
        rest = &rest[at..];
        let (tag, after) = match rest.strip_prefix("<!--") {
            Some(comment) => ("", comment.find("-->").map_or("", |end| &comment[end + 3..])),
            None => match rest.find('>') {
                Some(end) => (&rest[1..end], &rest[end + 1..]),
                None => ("", ""),
            },
        };
        rest = after;
        let closing = tag.starts_with('/');
        let name = tag.trim_start_matches('/');
        let name = name.split(|c: char| c.is_whitespace() || c == '/').next().unwrap_or_default();
        let name = name.to_ascii_lowercase();
        if SILENT.contains(&name.as_str()) && !closing {
            let from = html.len() - rest.len();
            rest = lower[from..].find(&format!("</{name}")).map_or("", |end| &rest[end..]);
        }
        if BLOCKS.contains(&name.as_str()) {
            out.break_line();
        }
        if name == "a" && !closing {
            link = attribute(tag, "href");
        } else if name == "a" && !link.is_empty() {
            // The address is what a reader without HTML needs.
            let address = std::mem::take(&mut link);
            if !out.ends_with(&address) {
                out.add(" (");
                out.add_raw(&address);
                out.add_raw(")");
            }
        }
    }
    out.add(rest);
    out.finish()
}

/// An attribute's value, decoded; empty when it is not there.
fn attribute(tag: &str, name: &str) -> String {
    let lower = tag.to_ascii_lowercase();
    let Some(at) = lower.find(&format!("{name}=")) else { return String::new() };
    let value = &tag[at + name.len() + 1..];
    let value = match value.chars().next() {
        Some(quote @ ('"' | '\'')) => value[1..].split(quote).next(),
        _ => value.split_whitespace().next(),
    };
    decode(value.unwrap_or_default())
}

fn decode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let entity = rest[1..].split_once(';').map(|(name, _)| name).filter(|name| name.len() <= 8);
        let decoded = entity.and_then(|name| match name {
            "amp" => Some('&'),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            "nbsp" => Some(' '),
            _ => {
                let number = name.strip_prefix('#')?;
                let code = match number.strip_prefix(['x', 'X']) {
                    Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                    None => number.parse().ok()?,
                };
                char::from_u32(code)
            }
        });
        match (decoded, entity) {
            (Some(found), Some(name)) => {
                out.push(found);
                rest = &rest[name.len() + 2..];
            }
            _ => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

#[derive(Default)]
struct Text {
    out: String,
    /// A blank or a line break is due before the next word.
    blank: bool,
    broken: bool,
}

impl Text {
    /// Text of the document: blanks of any number and kind are one space.
    fn add(&mut self, html: &str) {
        let decoded = decode(html);
        for piece in decoded.split_inclusive(char::is_whitespace) {
            let word = piece.trim_end();
            if !word.is_empty() {
                self.add_raw(word);
            }
            self.blank |= word.len() < piece.len();
        }
    }

    fn add_raw(&mut self, word: &str) {
        if self.broken && !self.out.is_empty() {
            self.out.push('\n');
        } else if self.blank && !self.out.is_empty() {
            self.out.push(' ');
        }
        (self.blank, self.broken) = (false, false);
        self.out.push_str(word);
    }

    fn break_line(&mut self) {
        self.broken = true;
    }

    fn ends_with(&self, text: &str) -> bool {
        self.out.ends_with(text)
    }

    fn finish(self) -> String {
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::of_html;

    #[test]
    fn texts() {
        for (html, expected) in [
            ("<p>Hello,</p>\n<p>a  <b>b</b>\nc</p>", "Hello,\na b c"),
            ("<html><head><style>p{}</style><title>x</title></head><body>y</body></html>", "y"),
            ("a<br/>b &lt;i&gt; &amp;amp; &#39;&#x41; &bogus; &", "a\nb <i> &amp; 'A &bogus; &"),
            (
                "<a class='b' href=\"https://x.io/?a=1&amp;b=2\" target=\"_blank\">Open</a>.",
                "Open (https://x.io/?a=1&b=2).",
            ),
            ("<a href='https://x.io'>https://x.io</a>", "https://x.io"),
            ("<!-- a > b -->x<!-- never closed", "x"),
            ("unfinished <b", "unfinished"),
            ("<script>if (a < b) {}</script>ok", "ok"),
            ("", ""),
        ] {
            assert_eq!(of_html(html), expected, "{html}");
        }
    }
}
