//! An OAuth2 and OpenID provider for tests. It keeps next to nothing: what it is to say travels in the code, so that
//! a corpus can tell it, and both servers are told the same.
//!
//! A code is JSON: `{"user": …}` is what the user info answers, `{"emails": …}` what `/userinfo/emails` does,
//! `{"token": {…}}` is added to the token's answer, `{"id_token": {…}}` are the claims of a signed token (a text such
//! as `"+600"` is a time from its start), `{"sign": {"alg", "kid"}}` how it is signed. `{"status": n}` is the status of the user info.
//!
//! | path | what it does |
//! | --- | --- |
//! | `/authorize` | redirects at once, with a code for `?user=`, and remembers the challenge |
//! | `/token`, `/userinfo`, `/userinfo/emails` | as above |
//! | `/jwks` | the public keys `rsa` and `ec` |
//! | `/bad/WHAT/…` | `500`, `html`, `empty`, `array`, `huge`, `slow`, `reset`, `private` (redirects into the own network), `form` |
//! | `/file/NAME` | a small picture, `/file/NAME.txt` a text |

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

const RSA: &[u8] = include_bytes!("openid/rsa.pem");
const EC: &[u8] = include_bytes!("openid/ec.pem");
const KEYS: &str = include_str!("openid/jwks.json");
/// A picture of one transparent point.
const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const HUGE_BYTES: usize = 8 << 20;
const SLOW_SECONDS: u64 = 60;

/// A running provider; its threads end with the process.
pub struct OpenId {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

struct Memory {
    /// What times are counted from, so that two servers are told the same.
    started: i64,
    /// Codes given by `/authorize`: what they stand for, and the challenge.
    codes: HashMap<String, (Value, String)>,
}

struct Asked {
    method: String,
    path: String,
    query: Vec<(String, String)>,
    headers: HashMap<String, String>,
    body: Vec<u8>,
}

struct Reply {
    status: u16,
    content_type: &'static str,
    location: Option<String>,
    body: Vec<u8>,
}

impl OpenId {
    pub fn start() -> OpenId {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let memory = Memory { started: jiff::Timestamp::now().as_second(), codes: HashMap::new() };
        let (memory, asked) = (Arc::new(Mutex::new(memory)), Arc::new(Mutex::new(Vec::new())));
        let seen = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (memory, seen) = (memory.clone(), seen.clone());
                std::thread::spawn(move || serve(stream, &memory, &seen));
            }
        });
        OpenId { port, asked }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Method and path of every request so far.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no panic while held").clone()
    }
}

fn serve(mut stream: TcpStream, memory: &Mutex<Memory>, seen: &Mutex<Vec<String>>) {
    let Some(asked) = read(&mut stream) else { return };
    seen.lock().expect("no panic while held").push(format!("{} {}", asked.method, asked.path));
    let reply = match asked.path.strip_prefix("/bad/").and_then(|rest| rest.split_once('/')) {
        Some(("reset", _)) => return,
        Some(("slow", _)) => {
            std::thread::sleep(Duration::from_secs(SLOW_SECONDS));
            return;
        }
        Some((what, path)) => bad(what, &asked, path, memory),
        None => answer(&asked, &asked.path, memory),
    };
    let mut head = format!(
        "HTTP/1.1 {} x\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n",
        reply.status,
        reply.content_type,
        reply.body.len()
    );
    if let Some(location) = reply.location {
        head.push_str(&format!("Location: {location}\r\n"));
    }
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.write_all(b"\r\n");
    let _ = stream.write_all(&reply.body);
}

fn plain(status: u16, content_type: &'static str, body: impl Into<Vec<u8>>) -> Reply {
    Reply { status, content_type, location: None, body: body.into() }
}

fn json_reply(status: u16, body: &Value) -> Reply {
    plain(status, "application/json", body.to_string())
}

fn bad(what: &str, asked: &Asked, path: &str, memory: &Mutex<Memory>) -> Reply {
    match what {
        "500" => plain(500, "text/plain", "boom"),
        "html" => plain(200, "text/html", "<html>hello</html>"),
        "empty" => plain(200, "application/json", ""),
        "array" => plain(200, "application/json", "[]"),
        "huge" => plain(200, "application/json", format!("\"{}\"", "x".repeat(HUGE_BYTES))),
        "private" => Reply {
            location: Some("http://169.254.169.254/latest/meta-data".into()),
            ..plain(302, "text/plain", "")
        },
        // The answer is right, and a form.
        _ => {
            let reply = answer(asked, &format!("/{path}"), memory);
            let fields: Map<String, Value> = serde_json::from_slice(&reply.body).unwrap_or_default();
            let pairs: Vec<String> = fields
                .iter()
                .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or(&value.to_string())))
                .collect();
            plain(200, "application/x-www-form-urlencoded", pairs.join("&"))
        }
    }
}

fn answer(asked: &Asked, path: &str, memory: &Mutex<Memory>) -> Reply {
    match path {
        "/authorize" => authorize(asked, memory),
        "/token" => token(asked, memory),
        "/userinfo" => said(asked, "user"),
        "/userinfo/emails" => said(asked, "emails"),
        "/jwks" => plain(200, "application/json", KEYS),
        _ if path.starts_with("/file/") && path.ends_with(".txt") => plain(200, "text/plain", "hello"),
        _ if path.starts_with("/file/") => plain(200, "image/png", STANDARD.decode(PNG).expect("base64")),
        _ => plain(404, "text/plain", "nothing here"),
    }
}

fn find<'a>(pairs: &'a [(String, String)], name: &str) -> &'a str {
    pairs.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
}

fn authorize(asked: &Asked, memory: &Mutex<Memory>) -> Reply {
    let of = |name: &str| find(&asked.query, name);
    let user = serde_json::from_str(of("user")).unwrap_or_else(
        |_| json!({"sub": "alice", "email": "alice@example.com", "email_verified": true, "name": "Alice"}),
    );
    let mut memory = memory.lock().expect("no panic while held");
    let code = format!("code{}", memory.codes.len());
    memory.codes.insert(code.clone(), (json!({"user": user}), of("code_challenge").to_owned()));
    let target = of("redirect_uri");
    let mark = if target.contains('?') { '&' } else { '?' };
    let error = of("fail");
    let outcome = if error.is_empty() { format!("code={code}") } else { format!("error={}", encode(error)) };
    Reply {
        location: Some(format!("{target}{mark}{outcome}&state={}", encode(of("state")))),
        ..plain(302, "text/plain", "")
    }
}

fn token(asked: &Asked, memory: &Mutex<Memory>) -> Reply {
    let form = pairs(&String::from_utf8_lossy(&asked.body));
    let code = find(&form, "code");
    let refused = |why: &str| json_reply(400, &json!({"error": why}));
    let (known, started) = {
        let mut memory = memory.lock().expect("no panic while held");
        (memory.codes.remove(code), memory.started)
    };
    let said: Value = match known {
        Some((said, challenge)) => {
            let verifier = find(&form, "code_verifier");
            if !challenge.is_empty()
                && URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes())) != challenge
            {
                return refused("the verifier does not match the challenge");
            }
            said
        }
        None => match serde_json::from_str(code) {
            Ok(said @ Value::Object(_)) => said,
            _ => return refused("invalid_grant"),
        },
    };
    let wants_form = said.get("auth").is_some_and(|auth| auth == "form");
    if wants_form && asked.headers.contains_key("authorization") {
        return refused("invalid_client");
    }
    let mut answer = Map::new();
    let access = URL_SAFE_NO_PAD.encode(said.to_string());
    answer.insert("access_token".into(), access.into());
    answer.insert("token_type".into(), "Bearer".into());
    if let Some(claims) = said.get("id_token") {
        answer.insert("id_token".into(), signed(claims, &said["sign"], started).into());
    }
    if let Some(Value::Object(more)) = said.get("token") {
        answer.extend(more.clone());
    }
    json_reply(200, &Value::Object(answer))
}

fn signed(claims: &Value, sign: &Value, now: i64) -> String {
    if let Some(text) = claims.as_str() {
        return text.to_owned();
    }
    let mut claims = claims.clone();
    for value in claims.as_object_mut().into_iter().flat_map(Map::values_mut) {
        if let Some(offset) = value.as_str().and_then(|text| text.strip_prefix(['+', '-'])) {
            let sign = if value.as_str().is_some_and(|text| text.starts_with('-')) { -1 } else { 1 };
            if let Ok(seconds) = offset.parse::<i64>() {
                *value = json!(now + sign * seconds);
            }
        }
    }
    let (alg, key) = match sign["alg"].as_str().unwrap_or("RS256") {
        "ES256" => (Algorithm::ES256, EncodingKey::from_ec_pem(EC).expect("a key")),
        "HS256" => (Algorithm::HS256, EncodingKey::from_secret(b"csec")),
        "RS384" => (Algorithm::RS384, EncodingKey::from_rsa_pem(RSA).expect("a key")),
        _ => (Algorithm::RS256, EncodingKey::from_rsa_pem(RSA).expect("a key")),
    };
    let default = if alg == Algorithm::ES256 { "ec" } else { "rsa" };
    let kid = sign["kid"].as_str().unwrap_or(default);
    let header = Header { kid: (!kid.is_empty()).then(|| kid.into()), ..Header::new(alg) };
    let token = jsonwebtoken::encode(&header, &claims, &key).expect("a signature");
    match sign["broken"].as_bool() {
        Some(true) => format!("{}AAAAAA", &token[..token.len() - 6]),
        _ => token,
    }
}

/// A part of what the token stands for.
fn said(asked: &Asked, part: &str) -> Reply {
    let token = asked.headers.get("authorization").and_then(|value| value.strip_prefix("Bearer "));
    let said = token
        .and_then(|token| URL_SAFE_NO_PAD.decode(token).ok())
        .and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    match said {
        None => plain(401, "application/json", "{}"),
        Some(said) => {
            let status = said["status"].as_u64().unwrap_or(200) as u16;
            match said.get(part) {
                Some(Value::Number(status)) => {
                    plain(status.as_u64().unwrap_or(500) as u16, "text/plain", "x")
                }
                Some(value) => json_reply(status, value),
                None => plain(404, "text/plain", "nothing here"),
            }
        }
    }
}

fn read(stream: &mut TcpStream) -> Option<Asked> {
    stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    let mut bytes = Vec::new();
    let mut chunk = [0; 16 << 10];
    loop {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut parsed = httparse::Request::new(&mut headers);
        if let httparse::Status::Complete(head) = parsed.parse(&bytes).ok()? {
            let headers: HashMap<String, String> = parsed
                .headers
                .iter()
                .map(|h| (h.name.to_ascii_lowercase(), String::from_utf8_lossy(h.value).into_owned()))
                .collect();
            let length: usize = headers.get("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
            if bytes.len() >= head + length {
                let target = parsed.path.unwrap_or("/");
                let (path, query) = target.split_once('?').unwrap_or((target, ""));
                return Some(Asked {
                    method: parsed.method.unwrap_or_default().to_owned(),
                    path: path.to_owned(),
                    query: pairs(query),
                    headers,
                    body: bytes[head..head + length].to_vec(),
                });
            }
        }
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return None,
            Ok(n) => bytes.extend_from_slice(&chunk[..n]),
        }
    }
}

fn pairs(text: &str) -> Vec<(String, String)> {
    let decode = |text: &str| crate::judge::decode(&text.replace('+', " "));
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

fn encode(text: &str) -> String {
    crate::corpus::encode(text).replace('$', "%24")
}
