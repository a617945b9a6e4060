//! The text format of the differential corpus, parsed to plain data. It says what to send and what to remember;
//! it holds no expected answers, for the reference server gives those.
//!
//! ```text
//! setup base data                     # steps that run even when a subset is chosen
//! scenario create and view            # a name; steps follow
//! as superuser                        # or nobody, or any remembered token
//! login anna users anna@x.io secret99 # signs in and remembers the token as `anna`
//! GET /api/collections/posts/records?filter=a = 1     # spaces and quotes are percent-encoded
//! POST /api/collections/posts/records {"a": 1}        # JSON as it stands, also when it is malformed
//!   > id=/id                          # remembers the value at a JSON pointer as $id, on each server its own
//!   ~ /slug                           # only the type is compared at this pointer
//!   & /data/x                         # a member that Pando adds on purpose, and the reference has not
//!   + X-Header: value                 # a request header
//!   ? /totalItems=3                   # asks again, for a while, until the value stands at this JSON pointer
//!   = Cache-Control                   # this header of the answer is compared as well
//!   % 8                               # the bodies are pictures of one size that differ by at most this much, of 255
//!   ! 400 /data/x/code=y we are right # an accepted deviation: Pando's own status and values, and why
//!   ! postgres 400 it keeps no NULs   # the same, of one engine only
//!   ! reason                          # both must answer, below 500, as they like
//!   "b": 2}                           # any other indented line continues the body
//! PATCH /api/collections/posts/records/$id form:a=1&b=2
//! POST /api/collections/posts/records multipart:a=1;b=two;doc@a.txt=content
//! POST /api/collections/posts/records multipart:doc@a.png=<fixture png-10x10>   # bytes, see `fixtures`
//! POST /api/collections/posts/records raw(text/plain):hello
//! POST /api/collections/posts/records {"a":"<repeat 5000 x>"}   # a body that is too long to write down
//! mail anna@x.io                      # waits for the next mail to that reader on each server, and compares senders
//!   > token=(eyJ[\w.-]+)             # remembers what a pattern (its group) finds in subject and HTML, and compares it
//!   ~ token                           # or does not compare it
//! each GET /api/collections/posts/records?filter=<>   # one step per indented line
//!   a = 1
//!   a != 1
//! for                                 # several steps per indented line
//!   a = 1
//! do
//! PATCH /api/collections/posts {"listRule": "<json>"}
//! GET /api/collections/posts/records
//! end
//! ```
//! `$smtp` is the port of each server's own SMTP server. Mails that no step took differ when a scenario ends.
//! `$openid` is the address of a test provider, see `testkit::openid`.
//! In `each` and `for`, `<>` is the line (percent-encoded in a target, raw in a body), `<raw>` the line as it is,
//! `<json>` the line as the inside of a JSON string, `<n>` its number.

/// Steps under a name.
#[derive(Clone, Debug, Default)]
pub struct Scenario {
    pub name: String,
    /// Runs even when only some scenarios were asked for.
    pub always: bool,
    pub steps: Vec<Step>,
}

#[derive(Clone, Debug)]
pub struct Step {
    /// Line in the source, from 1.
    pub line: usize,
    pub action: Action,
}

#[derive(Clone, Debug)]
pub enum Action {
    /// The following requests carry this remembered token.
    As(String),
    /// Milliseconds to wait.
    Wait(u64),
    Send(Box<Send>),
    Mail(Awaited),
}

/// A mail that must come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Awaited {
    pub to: String,
    /// Name and pattern.
    pub captures: Vec<(String, String)>,
    /// Names whose values are not compared.
    pub ignores: Vec<String>,
}

#[derive(Clone, Debug, Default)]
pub struct Send {
    pub method: String,
    pub target: String,
    pub body: Option<Body>,
    pub headers: Vec<(String, String)>,
    /// Name and JSON pointer.
    pub captures: Vec<(String, String)>,
    pub ignores: Vec<String>,
    /// JSON pointers to what Pando adds.
    pub additions: Vec<String>,
    /// JSON pointers and the values that are waited for.
    pub awaited: Vec<(String, String)>,
    /// Headers of the answer that are compared.
    pub compared: Vec<String>,
    /// How far two pictures may be apart.
    pub picture: Option<f64>,
    pub deviations: Vec<Deviation>,
}

/// What Pando answers on purpose instead of what the reference answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deviation {
    /// `sqlite` or `postgres` when only that engine deviates.
    pub engine: Option<String>,
    /// Any below 500 when not told.
    pub status: Option<u16>,
    /// JSON pointers and the text of what stands there; an absent value is the empty text.
    pub values: Vec<(String, String)>,
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    Json(String),
    Form(String),
    /// Name, file name if it is a file, content.
    Multipart(Vec<(String, Option<String>, String)>),
    Raw(String, String),
}

/// Parses a corpus file; a mistake in it is an error with its line.
pub fn parse(source: &str) -> Result<Vec<Scenario>, String> {
    let mut parser = Parser { scenarios: Vec::new() };
    let lines: Vec<(usize, &str)> = source
        .lines()
        .enumerate()
        .map(|(i, line)| (i + 1, line))
        .filter(|(_, line)| {
            !line.trim().is_empty() && !line.trim_start().starts_with("# ") && line.trim() != "#"
        })
        .collect();
    parser.block(&lines)?;
    Ok(parser.scenarios)
}

struct Parser {
    scenarios: Vec<Scenario>,
}

impl Parser {
    fn block(&mut self, lines: &[(usize, &str)]) -> Result<(), String> {
        let mut i = 0;
        while i < lines.len() {
            let (number, line) = lines[i];
            let end = (i + 1..lines.len()).find(|j| !is_indented(lines[*j].1)).unwrap_or(lines.len());
            let inside = &lines[i + 1..end];
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            match word {
                "for" => i = self.repeat(lines, i)?,
                "each" => {
                    for (n, (number, text)) in inside.iter().enumerate() {
                        let mut parts = text.split(" !! ");
                        let text = parts.next().unwrap_or_default();
                        let options: Vec<String> = parts.map(|reason| format!("  ! {reason}")).collect();
                        let options: Vec<(usize, &str)> =
                            options.iter().map(|option| (*number, option.as_str())).collect();
                        self.step(*number, &fill(rest, text.trim(), n + 1), &options)?;
                    }
                    i = end;
                }
                _ => {
                    self.step(number, line, inside)?;
                    i = end;
                }
            }
        }
        Ok(())
    }

    /// A `for … do … end` that starts at `at`; returns the line after it.
    fn repeat(&mut self, lines: &[(usize, &str)], at: usize) -> Result<usize, String> {
        let find = |word: &str| {
            let found = (at..lines.len()).find(|j| lines[*j].1 == word);
            found.ok_or_else(|| format!("line {}: `for` without `{word}`", lines[at].0))
        };
        let (middle, end) = (find("do")?, find("end")?);
        for (n, (_, value)) in lines[at + 1..middle].iter().enumerate() {
            let filled: Vec<(usize, String)> =
                lines[middle + 1..end].iter().map(|(i, l)| (*i, fill(l, value.trim(), n + 1))).collect();
            let filled: Vec<(usize, &str)> = filled.iter().map(|(i, l)| (*i, l.as_str())).collect();
            self.block(&filled)?;
        }
        Ok(end + 1)
    }

    fn step(&mut self, number: usize, line: &str, inside: &[(usize, &str)]) -> Result<(), String> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let action = match word {
            "scenario" | "setup" => {
                let always = word == "setup";
                self.scenarios.push(Scenario { name: rest.into(), always, steps: Vec::new() });
                return Ok(());
            }
            "as" => Action::As(rest.into()),
            "wait" => Action::Wait(rest.parse().map_err(|_| format!("line {number}: wait how long?"))?),
            "mail" => Action::Mail(awaited(rest, inside)?),
            "login" => {
                let send = login(rest).ok_or_else(|| format!("line {number}: login whom?"))?;
                Action::Send(Box::new(send))
            }
            _ if word.chars().all(|c| c.is_ascii_uppercase()) => {
                Action::Send(Box::new(send(word, rest, inside)?))
            }
            _ => return Err(format!("line {number}: what is `{word}`?")),
        };
        let scenario = self.scenarios.last_mut().ok_or_else(|| format!("line {number}: no scenario"))?;
        scenario.steps.push(Step { line: number, action });
        Ok(())
    }
}

fn awaited(to: &str, inside: &[(usize, &str)]) -> Result<Awaited, String> {
    let mut mail = Awaited { to: to.trim().into(), ..Awaited::default() };
    for (number, line) in inside {
        match line.trim().split_once(' ') {
            Some((">", text)) => {
                let pair = text.split_once('=').ok_or_else(|| format!("line {number}: no `=`"))?;
                mail.captures.push((pair.0.trim().into(), pair.1.trim().into()));
            }
            Some(("~", name)) => mail.ignores.push(name.trim().into()),
            _ => return Err(format!("line {number}: what of the mail?")),
        }
    }
    Ok(mail)
}

fn is_indented(line: &str) -> bool {
    line.starts_with([' ', '\t'])
}

fn login(rest: &str) -> Option<Send> {
    let [name, collection, identity, password] =
        rest.split_whitespace().collect::<Vec<_>>().try_into().ok()?;
    Some(Send {
        method: "POST".into(),
        target: format!("/api/collections/{collection}/auth-with-password"),
        body: Some(Body::Json(serde_json::json!({"identity": identity, "password": password}).to_string())),
        captures: vec![(name.into(), "/token".into())],
        ..Send::default()
    })
}

fn send(method: &str, rest: &str, inside: &[(usize, &str)]) -> Result<Send, String> {
    let has_body = matches!(method, "POST" | "PATCH" | "PUT");
    let (target, mut body) = match rest.split_once(' ') {
        Some((target, body)) if has_body => (target, body.to_owned()),
        _ => (rest, String::new()),
    };
    let mut send = Send { method: method.into(), target: encode_target(target), ..Send::default() };
    for (number, line) in inside {
        let line = line.trim();
        let pair = |text: &str, by: char| {
            let pair = text.split_once(by).ok_or_else(|| format!("line {number}: no `{by}`"))?;
            Ok::<_, String>((pair.0.trim().to_owned(), pair.1.trim().to_owned()))
        };
        match line.split_once(' ') {
            Some((">", text)) => send.captures.push(pair(text, '=')?),
            Some(("~", text)) => send.ignores.push(text.trim().into()),
            Some(("&", text)) => send.additions.push(text.trim().into()),
            Some(("=", text)) => send.compared.push(text.trim().into()),
            Some(("%", text)) => {
                send.picture = Some(text.trim().parse().map_err(|_| format!("line {number}: how far?"))?);
            }
            Some(("!", text)) => {
                let found = deviation(text).ok_or_else(|| format!("line {number}: deviates why?"))?;
                send.deviations.push(found);
            }
            Some(("?", text)) => send.awaited.push(pair(text, '=')?),
            Some(("+", text)) => send.headers.push(pair(text, ':')?),
            _ => {
                body.push('\n');
                body.push_str(line);
            }
        }
    }
    send.body = parse_body(body.trim());
    Ok(send)
}

fn deviation(text: &str) -> Option<Deviation> {
    let mut words = text.split_whitespace().peekable();
    let engine = words.next_if(|word| matches!(*word, "sqlite" | "postgres")).map(str::to_owned);
    let status = words.next_if(|word| word.parse::<u16>().is_ok()).and_then(|word| word.parse().ok());
    let mut values = Vec::new();
    while let Some((pointer, value)) = words
        .next_if(|word| word.starts_with('/') && word.contains('='))
        .and_then(|word| word.split_once('='))
    {
        values.push((pointer.to_owned(), value.to_owned()));
    }
    let reason: Vec<&str> = words.collect();
    (!reason.is_empty()).then(|| Deviation { engine, status, values, reason: reason.join(" ") })
}

fn parse_body(body: &str) -> Option<Body> {
    if body.is_empty() {
        return None;
    }
    if let Some(form) = body.strip_prefix("form:") {
        return Some(Body::Form(form.into()));
    }
    if let Some(parts) = body.strip_prefix("multipart:") {
        let part = |part: &str| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            match name.split_once('@') {
                // `@jsonPayload` is a field's name.
                Some((name, file)) if !name.is_empty() => (name.into(), Some(file.into()), value.into()),
                _ => (name.into(), None, value.into()),
            }
        };
        return Some(Body::Multipart(parts.split(';').map(part).collect()));
    }
    if let Some((kind, text)) = body.strip_prefix("raw(").and_then(|b| b.split_once("):")) {
        return Some(Body::Raw(kind.into(), text.into()));
    }
    Some(Body::Json(body.into()))
}

fn fill(template: &str, value: &str, n: usize) -> String {
    let json = serde_json::Value::String(value.into()).to_string();
    let template = template.replace("<n>", &n.to_string()).replace("<raw>", value);
    let template = template.replace("<json>", &json[1..json.len() - 1]);
    // The target is the second word; what follows it is body, except where the method has none.
    let mut words = template.splitn(3, ' ');
    let (method, target, body) = (words.next(), words.next(), words.next());
    let has_body = matches!(method, Some("POST" | "PATCH" | "PUT"));
    if has_body || is_indented(&template) {
        let target = target.unwrap_or_default().replace("<>", &encode(value));
        match body {
            Some(body) if has_body => {
                format!("{} {target} {}", method.unwrap_or_default(), body.replace("<>", value))
            }
            _ if has_body => format!("{} {target}", method.unwrap_or_default()),
            _ => template.replace("<>", value),
        }
    } else {
        template.replace("<>", &encode(value))
    }
}

/// The text with each `<repeat N text>` written out.
pub fn repeated(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("<repeat ") {
        out.push_str(before);
        let found = after.split_once('>').and_then(|(inside, rest)| {
            let (count, what) = inside.split_once(' ')?;
            Some((count.parse().ok()?, what, rest))
        });
        match found {
            Some((count, what, after)) => {
                out.push_str(&what.repeat(count));
                rest = after;
            }
            None => {
                out.push_str("<repeat ");
                rest = after;
            }
        }
    }
    out + rest
}

/// Percent-encodes everything but letters, digits and `-_.~`; `$` stays, for it marks remembered values.
pub fn encode(text: &str) -> String {
    let keep = |b: u8| b.is_ascii_alphanumeric() || b"-_.~$".contains(&b);
    text.bytes().map(|b| if keep(b) { (b as char).to_string() } else { format!("%{b:02X}") }).collect()
}

/// Percent-encodes what cannot stand in a request line and leaves the rest as written.
fn encode_target(text: &str) -> String {
    let bad = |b: u8| b <= b' ' || b >= 0x7f || b"\"<>`{}|\\^".contains(&b);
    text.trim().bytes().map(|b| if bad(b) { format!("%{b:02X}") } else { (b as char).to_string() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_steps_captures_and_tables() {
        let text = "scenario one\nas superuser\nPOST /a {\"x\":\n  1}\n  > id=/id\n  + X-A: b\nGET /a/$id?f=a = 'b'\n\
                    each GET /r?filter=<>\n  a = 1 && b\n  c\nfor\n  say \"x\"\n  y\ndo\nPATCH /c {\"r\":\"<json>\"}\nGET /c?<n>\nend\n";
        let scenarios = parse(text).unwrap();
        assert_eq!(scenarios.len(), 1);
        let sends: Vec<&Send> = scenarios[0]
            .steps
            .iter()
            .filter_map(|s| if let Action::Send(send) = &s.action { Some(&**send) } else { None })
            .collect();
        assert_eq!(sends.len(), 8);
        assert_eq!(sends[0].body, Some(Body::Json("{\"x\":\n1}".into())));
        assert_eq!(sends[0].captures, [("id".to_owned(), "/id".to_owned())]);
        assert_eq!(sends[1].target, "/a/$id?f=a%20=%20'b'");
        assert_eq!(sends[2].target, "/r?filter=a%20%3D%201%20%26%26%20b");
        assert_eq!(sends[4].body, Some(Body::Json("{\"r\":\"say \\\"x\\\"\"}".into())));
        assert_eq!(sends[7].target, "/c?2");
    }

    #[test]
    fn accepted_deviations_have_a_reason() {
        let scenarios =
            parse("scenario a\nGET /x\n  ! overflow\n  ! postgres 400 /data/x= none\neach GET /y?<raw>\n  a !! odd\n  b\n")
                .unwrap();
        let found: Vec<&[Deviation]> = scenarios[0]
            .steps
            .iter()
            .map(|s| if let Action::Send(send) = &s.action { &*send.deviations } else { &[] })
            .collect();
        let any = |reason: &str| Deviation { reason: reason.into(), ..Deviation::default() };
        let precise = Deviation {
            engine: Some("postgres".into()),
            status: Some(400),
            values: vec![("/data/x".into(), String::new())],
            reason: "none".into(),
        };
        assert_eq!(found, [&[any("overflow"), precise][..], &[any("odd")], &[]]);
    }

    #[test]
    fn long_bodies_are_written_out() {
        assert_eq!(repeated("a<repeat 3 xy>b<repeat 2 z>"), "axyxyxybzz");
        assert_eq!(repeated("<repeat x> <repeat 3"), "<repeat x> <repeat 3");
    }

    #[test]
    fn mails_are_awaited() {
        let scenarios = parse("scenario a\nmail a@x.io\n  > code=(\\d=?)\n  ~ code\n").unwrap();
        let Action::Mail(mail) = &scenarios[0].steps[0].action else { panic!("a mail") };
        assert_eq!(mail.to, "a@x.io");
        assert_eq!(mail.captures, [("code".to_owned(), "(\\d=?)".to_owned())]);
        assert_eq!(mail.ignores, ["code"]);
    }

    #[test]
    fn mistakes_have_a_line() {
        assert!(parse("scenario a\nGET /a\n  ! 400").is_err());
        assert_eq!(parse("scenario a\nfly away").unwrap_err(), "line 2: what is `fly`?");
    }
}
