//! Passkeys, which the reference cannot judge: a device in software signs in, and everything that must be refused is.

use serde_json::{Value, json};
use testkit::authenticator::Authenticator;
use testkit::pando::Engine;
use testkit::server::{Program, Server};
use testkit::{Answer, Client, Request};

use crate::candidate::{Candidate, as_superuser};

/// The default of the settings: the application's URL is `http://localhost:8090`.
const ORIGIN: &str = "http://localhost:8090";
const RP_ID: &str = "localhost";
const USERS: &str = "/api/collections/users";

struct Bench {
    client: Client,
    server: Server,
}

impl Bench {
    fn start(program: &Program, dir: &std::path::Path) -> Bench {
        let server = program.start(&dir.join("data")).unwrap();
        let bench = Bench { client: server.client(), server };
        let root = bench.server.superuser_token().unwrap();
        // The price of a hash is not what is tested here.
        let old = bench.get("/api/collections/users", &root).json();
        let mut fields = old["fields"].as_array().unwrap().clone();
        for field in fields.iter_mut().filter(|field| field["name"] == "password") {
            field["cost"] = json!(4);
        }
        let changed = json!({"fields": fields, "mfa": {"enabled": false}});
        assert_eq!(bench.send("PATCH", "/api/collections/users", &root, &changed).status, 200);
        for name in ["ann", "bob"] {
            bench.sign_up(name, true);
        }
        bench
    }

    fn sign_up(&self, name: &str, verified: bool) {
        let body = json!({"email": format!("{name}@x.io"), "password": "secret1234", "passwordConfirm": "secret1234", "verified": verified});
        as_superuser(&self.server, "POST", &format!("{USERS}/records"), &body);
    }

    fn send(&self, method: &str, path: &str, token: &str, body: &Value) -> Answer {
        self.client.send(&Request::json(method, path, body).token(token)).unwrap()
    }

    fn get(&self, path: &str, token: &str) -> Answer {
        self.client.send(&Request::get(path).token(token)).unwrap()
    }

    fn token(&self, name: &str) -> String {
        self.server.login("users", &format!("{name}@x.io"), "secret1234").unwrap()
    }

    fn register(&self, token: &str, key: &mut Authenticator) -> Answer {
        let begun = self.send("POST", &format!("{USERS}/passkeys/register-begin"), token, &json!({}));
        assert_eq!(begun.status, 200, "{}", begun.text());
        let begun = begun.json();
        let credential = key.register(&begun["publicKey"]);
        let body = json!({"challengeId": begun["challengeId"], "credential": credential, "name": "Laptop"});
        self.send("POST", &format!("{USERS}/passkeys/register-finish"), token, &body)
    }

    fn challenge(&self, identity: &str) -> Value {
        let body = json!({"identity": identity});
        let answer = self.send("POST", &format!("{USERS}/auth-with-passkey-begin"), "", &body);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    fn finish(&self, challenge: &Value, credential: &Value) -> Answer {
        let body = json!({"challengeId": challenge["challengeId"], "credential": credential});
        self.send("POST", &format!("{USERS}/auth-with-passkey"), "", &body)
    }

    fn sign_in(&self, identity: &str, key: &mut Authenticator) -> Answer {
        let challenge = self.challenge(identity);
        let credential = key.sign_in(&challenge["publicKey"]);
        self.finish(&challenge, &credential)
    }

    fn refused(&self, answer: &Answer, why: &str) {
        assert_eq!(answer.status, 400, "{why}: {}", answer.text());
        assert_eq!(answer.at("/message").unwrap(), "Failed to authenticate.", "{why}");
    }
}

fn check(engine: Engine) {
    if testkit::pando::is_oracle() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let candidate = Candidate::new(engine);
    let bench = Bench::start(&candidate.program, dir.path());
    let (ann, bob) = (bench.token("ann"), bench.token("bob"));

    let mut laptop = Authenticator::new(ORIGIN, RP_ID, "laptop-of-ann");
    let made = bench.register(&ann, &mut laptop);
    assert_eq!(made.status, 200, "{}", made.text());
    signs_in(&bench, &laptop);
    refuses_what_is_wrong(&bench, &laptop);
    refuses_registrations(&bench, &ann, &bob, &laptop);
    tells_nothing(&bench, &laptop);
    is_the_owners_alone(&bench, &ann, &bob, &made.at("/id").unwrap(), &laptop);
    counts_as_a_factor(&bench, &ann);
    goes_with_what_it_belongs_to(&bench);
}

fn signs_in(bench: &Bench, laptop: &Authenticator) {
    let mut laptop = laptop.clone();
    for identity in ["", "ann@x.io"] {
        let done = bench.sign_in(identity, &mut laptop);
        assert_eq!(done.status, 200, "{}", done.text());
        assert_eq!(done.at("/record/email").unwrap(), "ann@x.io");
        let token = done.at("/token").unwrap();
        assert_eq!(bench.send("POST", &format!("{USERS}/auth-refresh"), &token, &json!({})).status, 200);
    }
    // A key that does not say whose it is works once the account is named.
    laptop.user_handle.clear();
    assert_eq!(bench.sign_in("ann@x.io", &mut laptop).status, 200);
    bench.refused(&bench.sign_in("", &mut laptop), "no user handle");
    let listed = bench.get(&format!("{USERS}/passkeys"), &bench.token("ann"));
    assert!(!listed.at("/items/0/lastUsed").unwrap().is_empty());
}

fn refuses_what_is_wrong(bench: &Bench, laptop: &Authenticator) {
    let used = Authenticator { counter: 10, ..laptop.clone() };
    // A challenge is good once, whether its answer was right or wrong.
    let challenge = bench.challenge("");
    let answer = used.clone().sign_in(&challenge["publicKey"]);
    assert_eq!(bench.finish(&challenge, &answer).status, 200);
    bench.refused(&bench.finish(&challenge, &answer), "the same answer again");
    let other = bench.challenge("");
    bench.refused(&bench.finish(&other, &answer), "an answer to another challenge");
    let fresh = Authenticator { counter: 20, ..used.clone() }.sign_in(&other["publicKey"]);
    bench.refused(&bench.finish(&other, &fresh), "a challenge that was answered wrongly");

    let wrong = [
        ("another page", Authenticator { origin: "http://localhost:9999".into(), ..used.clone() }),
        ("a page elsewhere", Authenticator { origin: "https://evil.example".into(), ..used.clone() }),
        ("another domain", Authenticator { rp_id: "evil.example".into(), ..used.clone() }),
        ("a copy of the key that is behind", Authenticator { counter: 5, ..used.clone() }),
        ("nobody verified the user", Authenticator { counter: 30, verifies_user: false, ..used.clone() }),
        ("an unknown key", Authenticator { credential_id: b"unknown".to_vec(), ..used.clone() }),
        ("another user", Authenticator { counter: 30, user_handle: vec![7; 16], ..used.clone() }),
    ];
    for (why, mut key) in wrong {
        bench.refused(&bench.sign_in("", &mut key), why);
    }
    let mut used = Authenticator { counter: 40, ..used };
    bench.refused(&bench.sign_in("bob@x.io", &mut used), "somebody else was named");
    let challenge = bench.challenge("");
    let mut broken = used.sign_in(&challenge["publicKey"]);
    broken["response"]["signature"] = "AAAA".into();
    bench.refused(&bench.finish(&challenge, &broken), "a broken signature");
    for credential in [json!(null), json!({}), json!("x"), json!({"id": 5})] {
        bench.refused(&bench.finish(&bench.challenge(""), &credential), "no credential");
    }
    bench.refused(&bench.finish(&json!({"challengeId": "none"}), &json!({})), "no challenge");
    assert_eq!(bench.sign_in("", &mut Authenticator { counter: 50, ..used }).status, 200);
}

fn refuses_registrations(bench: &Bench, ann: &str, bob: &str, laptop: &Authenticator) {
    let path = |rest: &str| format!("{USERS}/passkeys/{rest}");
    assert_eq!(bench.send("POST", &path("register-begin"), "", &json!({})).status, 401);
    let root = bench.server.superuser_token().unwrap();
    assert_eq!(bench.send("POST", &path("register-begin"), &root, &json!({})).status, 403);
    assert_eq!(bench.send("POST", &path("register-finish"), "", &json!({})).status, 401);

    let wrong = [
        Authenticator { origin: "https://evil.example".into(), ..laptop.clone() },
        Authenticator { rp_id: "evil.example".into(), ..laptop.clone() },
        Authenticator { verifies_user: false, ..laptop.clone() },
    ];
    for key in wrong {
        let mut key = Authenticator { credential_id: b"another".to_vec(), ..key };
        assert_eq!(bench.register(ann, &mut key).status, 400, "{key:?}");
    }
    assert_eq!(bench.register(bob, &mut laptop.clone()).status, 400, "the id of somebody else's key");

    // Begun by one, finished by the other; and twice.
    let begun = bench.send("POST", &path("register-begin"), ann, &json!({})).json();
    let mut phone = Authenticator::new(ORIGIN, RP_ID, "phone-of-ann");
    let body =
        json!({"challengeId": begun["challengeId"], "credential": phone.register(&begun["publicKey"])});
    assert_eq!(bench.send("POST", &path("register-finish"), bob, &body).status, 400);
    assert_eq!(bench.send("POST", &path("register-finish"), ann, &body).status, 400, "it is over");
    let login = bench.challenge("");
    let body =
        json!({"challengeId": login["challengeId"], "credential": phone.register(&login["publicKey"])});
    assert_eq!(bench.send("POST", &path("register-finish"), ann, &body).status, 400, "a sign-in's challenge");
    let long = json!({"challengeId": "x", "credential": {}, "name": "n".repeat(101)});
    assert_eq!(bench.send("POST", &path("register-finish"), ann, &long).status, 400);
}

/// An account with keys, one without, and none at all look alike.
fn tells_nothing(bench: &Bench, laptop: &Authenticator) {
    let ids = |identity: &str| bench.challenge(identity)["publicKey"]["allowCredentials"].clone();
    let keys = |value: &Value| value[0].as_object().map(|key| key.keys().cloned().collect::<Vec<_>>());
    let (real, without, unknown) = (ids("ann@x.io"), ids("bob@x.io"), ids("nobody@x.io"));
    assert_eq!(real.as_array().map(Vec::len), Some(1), "{laptop:?}");
    for made_up in [&without, &unknown] {
        assert_eq!(made_up.as_array().map(Vec::len), Some(1));
        assert_eq!(keys(made_up), keys(&real));
    }
    assert_ne!(without, unknown);
    assert_eq!(unknown, ids("nobody@x.io"), "a made-up key stays the same");
    assert_eq!(ids(""), json!([]));
}

fn is_the_owners_alone(bench: &Bench, ann: &str, bob: &str, id: &str, laptop: &Authenticator) {
    let one = format!("{USERS}/passkeys/{id}");
    let list = format!("{USERS}/passkeys");
    assert_eq!(bench.get(&list, "").status, 401);
    assert_eq!(bench.get(&list, bob).at("/items").unwrap(), "[]");
    let listed = bench.get(&list, ann).json();
    assert_eq!(listed["items"][0]["name"], "Laptop");
    assert_eq!(listed["items"][0].as_object().unwrap().len(), 4, "nothing that proves the key: {listed}");
    for (method, body) in [("PATCH", json!({"name": "mine"})), ("DELETE", json!({}))] {
        assert_eq!(bench.send(method, &one, bob, &body).status, 404);
        assert_eq!(bench.send(method, &one, "", &body).status, 401);
    }
    assert_eq!(bench.send("PATCH", &one, ann, &json!({"name": "Old"})).at("/name").unwrap(), "Old");
    assert_eq!(bench.send("DELETE", &one, ann, &json!({})).status, 204);
    assert_eq!(bench.send("DELETE", &one, ann, &json!({})).status, 404);
    bench.refused(
        &bench.sign_in("", &mut Authenticator { counter: 100, ..laptop.clone() }),
        "it was taken away",
    );
}

fn counts_as_a_factor(bench: &Bench, ann: &str) {
    let root = bench.server.superuser_token().unwrap();
    let mut key = Authenticator::new(ORIGIN, RP_ID, "second-factor");
    assert_eq!(bench.register(ann, &mut key).status, 200);
    let mfa = json!({"otp": {"enabled": true}, "mfa": {"enabled": true}});
    assert_eq!(bench.send("PATCH", "/api/collections/users", &root, &mfa).status, 200);
    let half = bench.sign_in("", &mut key);
    assert_eq!(half.status, 401, "{}", half.text());
    let again = bench.challenge("");
    let twice = key.sign_in(&again["publicKey"]);
    let body = json!({"challengeId": again["challengeId"], "credential": twice, "mfaId": half.at("/mfaId")});
    assert_ne!(
        bench.send("POST", &format!("{USERS}/auth-with-passkey"), "", &body).status,
        200,
        "one factor twice"
    );
    let half = bench.sign_in("", &mut key);
    let password = json!({"identity": "ann@x.io", "password": "secret1234", "mfaId": half.at("/mfaId")});
    let done = bench.send("POST", &format!("{USERS}/auth-with-password"), "", &password);
    assert_eq!(done.status, 200, "{}", done.text());
    let mfa = json!({"otp": {"enabled": false}, "mfa": {"enabled": false}});
    assert_eq!(bench.send("PATCH", "/api/collections/users", &root, &mfa).status, 200);
}

fn goes_with_what_it_belongs_to(bench: &Bench) {
    let root = bench.server.superuser_token().unwrap();
    // With the record.
    bench.sign_up("cid", true);
    let mut key = Authenticator::new(ORIGIN, RP_ID, "of-cid");
    let token = bench.token("cid");
    assert_eq!(bench.register(&token, &mut key).status, 200);
    let id =
        bench.send("POST", &format!("{USERS}/auth-refresh"), &token, &json!({})).at("/record/id").unwrap();
    assert_eq!(bench.send("DELETE", &format!("{USERS}/records/{id}"), &token, &json!({})).status, 204);
    bench.refused(&bench.sign_in("", &mut key), "the record is gone");
    // With a password that is reset on an account whose address nobody has proven.
    bench.sign_up("dan", false);
    let mut key = Authenticator::new(ORIGIN, RP_ID, "of-dan");
    let token = bench.token("dan");
    assert_eq!(bench.register(&token, &mut key).status, 200);
    assert_eq!(bench.sign_in("", &mut key).status, 200);
    let id =
        bench.send("POST", &format!("{USERS}/auth-refresh"), &token, &json!({})).at("/record/id").unwrap();
    let body = json!({"password": "another123", "passwordConfirm": "another123"});
    assert_eq!(bench.send("PATCH", &format!("{USERS}/records/{id}"), &root, &body).status, 200);
    bench.refused(&bench.sign_in("", &mut key), "it was laid in wait");
}

#[test]
fn sqlite() {
    check(Engine::Sqlite);
}

#[test]
fn postgres() {
    check(Engine::Postgres);
}

/// A challenge that is too old, and more challenges than are kept: what the clock and a crowd would do is done to the
/// rows.
fn challenges(engine: Engine) {
    if testkit::pando::is_oracle() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let candidate = Candidate::new(engine);
    let bench = Bench::start(&candidate.program, dir.path());
    let root = bench.server.superuser_token().unwrap();
    let sql = |query: &str| {
        let answer = bench.send("POST", "/api/sql", &root, &json!({"query": query}));
        assert_eq!(answer.status, 200, "{query}: {}", answer.text());
        answer.json()
    };
    let ann = bench.token("ann");
    let mut laptop = Authenticator::new(ORIGIN, RP_ID, "laptop-of-ann");
    let registration = |key: &mut Authenticator, begun: &Value| json!({"challengeId": begun["challengeId"], "credential": key.register(&begun["publicKey"])});
    let finish = |body: &Value| bench.send("POST", &format!("{USERS}/passkeys/register-finish"), &ann, body);
    let begin = || {
        let begun = bench.send("POST", &format!("{USERS}/passkeys/register-begin"), &ann, &json!({}));
        assert_eq!(begun.status, 200, "{}", begun.text());
        begun.json()
    };

    let begun = begin();
    let body = registration(&mut laptop, &begun);
    sql("UPDATE _pando_ceremonies SET expires = expires - 300001");
    assert_eq!(finish(&body).status, 400, "a registration that took too long");
    assert_eq!(bench.register(&ann, &mut laptop).status, 200);
    let challenge = bench.challenge("");
    let answer = laptop.sign_in(&challenge["publicKey"]);
    sql("UPDATE _pando_ceremonies SET expires = expires - 300001");
    bench.refused(&bench.finish(&challenge, &answer), "a sign-in that took too long");

    // A crowd asks for challenges and answers none, in the middle of a registration.
    let begun = begin();
    let counted = if engine == Engine::Sqlite {
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 20000) SELECT x FROM n"
    } else {
        "SELECT x FROM generate_series(1, 20000) AS n(x)"
    };
    sql("DELETE FROM _pando_ceremonies WHERE purpose = 'login'");
    let challenge = bench.challenge("");
    sql(&format!(
        "INSERT INTO _pando_ceremonies (id, purpose, \"collectionRef\", \"recordRef\", state, expires) \
         SELECT 'crowd' || n.x, c.purpose, c.\"collectionRef\", c.\"recordRef\", c.state, c.expires - 20001 + n.x \
         FROM _pando_ceremonies c, ({counted}) AS n WHERE c.purpose = 'login'"
    ));
    let late = bench.challenge("");
    for (challenge, why) in [(&challenge, "one of the younger"), (&late, "one after the crowd")] {
        let answer = laptop.sign_in(&challenge["publicKey"]);
        let done = bench.finish(challenge, &answer);
        assert_eq!(done.status, 200, "{why}: {}", done.text());
    }
    let left = sql("SELECT count(*) FROM _pando_ceremonies").to_string();
    let mut phone = Authenticator::new(ORIGIN, RP_ID, "phone-of-ann");
    assert_eq!(finish(&registration(&mut phone, &begun)).status, 200, "{left}");
    let rows: u64 = sql("SELECT count(*) FROM _pando_ceremonies")["rows"][0][0]
        .to_string()
        .trim_matches('"')
        .parse()
        .unwrap();
    assert!((17_000..20_000).contains(&rows), "the oldest are gone, and only they: {rows}");
}

#[test]
fn challenges_end_and_give_way_on_sqlite() {
    challenges(Engine::Sqlite);
}

#[test]
fn challenges_end_and_give_way_on_postgres() {
    challenges(Engine::Postgres);
}
