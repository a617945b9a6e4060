//! Collections that say what caches may do with their answers: how that is set, kept and shown, and what answers then tell
//! caches.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::pando::Engine;
use testkit::server::Server;
use testkit::{Answer, Request, oracle};

use crate::candidate::{Candidate, as_superuser};

const PASSWORD: &str = "1234567890";

struct Site {
    server: Server,
    user: String,
    _dir: tempfile::TempDir,
    _candidate: Candidate,
}

impl Site {
    /// One that believes that there is a front door, as it says more then.
    fn start(engine: Engine) -> Site {
        Site::with(engine, &[("PANDO_ANNOUNCE_TO", "http://127.0.0.1:9")])
    }

    fn with(engine: Engine, variables: &[(&str, &str)]) -> Site {
        let mut candidate = Candidate::new(engine);
        let variables = variables.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        candidate.program.variables.extend(variables);
        let dir = tempfile::tempdir().unwrap();
        let server = candidate.program.start(&dir.path().join("data")).unwrap();
        let make = |body: &Value| as_superuser(&server, "POST", "/api/collections", body);
        let insert = |name: &str, body: &Value| {
            as_superuser(&server, "POST", &format!("/api/collections/{name}/records"), body)
        };
        let users = as_superuser(&server, "GET", "/api/collections/users", &Value::Null);
        as_superuser(&server, "PATCH", "/api/collections/users", &json!({"viewRule": ""}));
        for id in ["ann000000000000", "bob000000000000"] {
            let visible = id.starts_with("bob");
            let body = json!({"id": id, "email": format!("{id}@example.com"), "emailVisibility": visible,
                "password": PASSWORD, "passwordConfirm": PASSWORD});
            insert("users", &body);
        }
        let posts = make(&json!({"name": "posts", "type": "base", "listRule": "", "viewRule": "",
        "cache": {"ttl": 60, "scope": "public", "staleIfError": 600},
        "fields": [
            {"name": "title", "type": "text"},
            {"name": "author", "type": "relation", "collectionId": users.at("/id").unwrap(), "maxSelect": 1},
            {"name": "file", "type": "file", "maxSelect": 1},
        ]}));
        make(&json!({"name": "comments", "type": "base", "listRule": "", "viewRule": "",
        "fields": [
            {"name": "text", "type": "text"},
            {"name": "post", "type": "relation", "collectionId": posts.at("/id").unwrap(), "maxSelect": 1},
        ]}));
        make(&json!({"name": "notes", "type": "base",
            "listRule": "owner = @request.auth.id", "viewRule": "owner = @request.auth.id",
            "cache": {"ttl": 60, "scope": "user", "staleWhileRevalidate": 5},
            "fields": [{"name": "owner", "type": "text"}]}));
        make(&json!({"name": "mixed", "type": "base", "listRule": "owner = '' || owner = @request.auth.id",
            "viewRule": "@request.headers.x_a = 'b'", "cache": {"ttl": 60, "scope": "public"},
            "fields": [{"name": "owner", "type": "text"}]}));
        make(&json!({"name": "timed", "type": "base", "listRule": "at < @now", "viewRule": "",
            "cache": {"ttl": 60, "scope": "public"}, "fields": [{"name": "at", "type": "date"}]}));
        make(&json!({"name": "titles", "type": "view", "listRule": "", "viewRule": "",
            "cache": {"ttl": 60, "scope": "public"}, "viewQuery": "select id, title from posts"}));
        for (id, author) in [("post00000000001", "ann000000000000"), ("post00000000002", "bob000000000000")] {
            insert("posts", &json!({"id": id, "title": "t", "author": author}));
        }
        insert("comments", &json!({"id": "comment00000001", "text": "c", "post": "post00000000001"}));
        insert("notes", &json!({"id": "note00000000001", "owner": "ann000000000000"}));
        insert("mixed", &json!({"id": "mixed0000000001", "owner": ""}));
        let user = server.login("users", "ann000000000000@example.com", PASSWORD).unwrap();
        Site { server, user, _dir: dir, _candidate: candidate }
    }

    fn get(&self, path: &str, token: &str) -> Answer {
        self.server.client().send(&Request::get(path).token(token)).unwrap()
    }
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.header(name).unwrap_or_default()
}

const PUBLIC: &str = "public, max-age=0, s-maxage=60, stale-if-error=600";
const PLAIN: &str = "public, max-age=0, s-maxage=60";
const PRIVATE: &str = "private, no-cache";
const ALL: &str = "Accept-Encoding";
const EACH: &str = "Authorization, Accept-Encoding";

#[test]
fn answers_say_who_may_keep_them() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let site = Site::start(engine);
        let user = site.user.clone();
        let superuser = site.server.superuser_token().unwrap();
        let posts = "/api/collections/posts/records";
        let own = "max-age=0, s-maxage=60, must-revalidate";
        let ann = "r:users/ann000000000000 t:users";
        let stray = "not.a.token";
        for (path, token, freshness, vary, tags) in [
            (format!("{posts}?sort=id"), "", PUBLIC, ALL, "c:posts".to_owned()),
            (format!("{posts}?sort=id"), &user, PUBLIC, ALL, "c:posts".into()),
            (format!("{posts}?sort=id"), stray, PUBLIC, ALL, "c:posts".into()),
            (format!("{posts}?sort=id"), &superuser, "no-store", "", String::new()),
            (format!("{posts}?sort=@random"), "", PRIVATE, "", String::new()),
            (format!("{posts}?filter=created<@now"), "", "", "", String::new()),
            (format!("{posts}/post00000000001"), "", PUBLIC, ALL, "r:posts/post00000000001 t:posts".into()),
            // Whose email is there for some only.
            (
                format!("{posts}/post00000000001?expand=author"),
                "",
                PUBLIC,
                EACH,
                "r:posts/post00000000001 r:users/ann000000000000 t:posts t:users".into(),
            ),
            (format!("{posts}/post00000000001?expand=author"), &user, PRIVATE, "", String::new()),
            (
                format!("{posts}/post00000000002?expand=author"),
                &user,
                PUBLIC,
                ALL,
                "r:posts/post00000000002 r:users/bob000000000000 t:posts t:users".into(),
            ),
            (
                format!("{posts}/post00000000001?expand=comments_via_post"),
                "",
                PUBLIC,
                ALL,
                "c:comments r:posts/post00000000001 t:posts".into(),
            ),
            (
                format!("{posts}?filter=comments_via_post.text?='c'"),
                "",
                PUBLIC,
                ALL,
                "c:posts c:comments".into(),
            ),
            (
                "/api/collections/notes/records".into(),
                "",
                "public, max-age=0, s-maxage=60, stale-while-revalidate=5",
                EACH,
                "c:notes".into(),
            ),
            ("/api/collections/notes/records".into(), &user, own, EACH, format!("c:notes {ann}")),
            (
                "/api/collections/notes/records/note00000000001".into(),
                &user,
                own,
                EACH,
                format!("r:notes/note00000000001 t:notes {ann}"),
            ),
            ("/api/collections/notes/records".into(), stray, PRIVATE, "", String::new()),
            ("/api/collections/notes/records/note00000000001".into(), "", "", "", String::new()),
            ("/api/collections/mixed/records".into(), "", PLAIN, EACH, "c:mixed".into()),
            ("/api/collections/mixed/records".into(), &user, PRIVATE, "", String::new()),
            ("/api/collections/timed/records".into(), "", PRIVATE, "", String::new()),
            ("/api/collections/titles/records".into(), "", PLAIN, ALL, "c:titles c:posts".into()),
            (
                "/api/collections/titles/records/post00000000001".into(),
                "",
                PLAIN,
                ALL,
                "c:posts r:titles/post00000000001 t:titles".into(),
            ),
            // What says nothing of caches is answered as ever.
            ("/api/collections/comments/records".into(), &user, "", "", String::new()),
            ("/api/collections/comments/records".into(), &superuser, "no-store", "", String::new()),
        ] {
            // Twice: the second time it may be this process's own cache that answers.
            for _ in 0..2 {
                let answer = site.get(&path, token);
                let what = format!("{engine:?} {path} {}: {}", token.len(), answer.text());
                assert_eq!(header(&answer, "cache-control"), freshness, "{what}");
                assert_eq!(header(&answer, "vary"), vary, "{what}");
                assert_eq!(header(&answer, "surrogate-key"), tags, "{what}");
                let etag = header(&answer, "etag");
                assert_eq!(etag.is_empty(), freshness.is_empty() || freshness == "no-store", "{what}");
                if !etag.is_empty() {
                    let again = Request::get(&path).token(token).header("If-None-Match", etag);
                    let again = site.server.client().send(&again).unwrap();
                    assert_eq!(
                        (again.status, again.body.len()),
                        if path.contains("random") { (again.status, again.body.len()) } else { (304, 0) },
                        "{what}"
                    );
                    assert_eq!(header(&again, "surrogate-key"), tags, "{what}");
                }
            }
        }
        let before = site.get(&format!("{posts}/post00000000001"), "");
        as_superuser(&site.server, "PATCH", &format!("{posts}/post00000000001"), &json!({"title": "new"}));
        let again = Request::get(&format!("{posts}/post00000000001"))
            .header("If-None-Match", header(&before, "etag"));
        let again = site.server.client().send(&again).unwrap();
        assert_eq!((again.status, again.at("/title").as_deref()), (200, Some("new")));
    }
}

#[test]
fn files_say_who_may_keep_them() {
    let site = Site::start(Engine::Sqlite);
    let token = site.server.superuser_token().unwrap();
    let boundary =
        "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\nhello\r\n--x--\r\n";
    let upload = |protected: bool| {
        let fields = as_superuser(&site.server, "GET", "/api/collections/posts", &Value::Null).json();
        let mut fields = fields["fields"].as_array().unwrap().clone();
        let file = fields.iter_mut().find(|field| field["name"] == "file").unwrap();
        file["protected"] = protected.into();
        as_superuser(&site.server, "PATCH", "/api/collections/posts", &json!({"fields": fields}));
        let request = Request::new("PATCH", "/api/collections/posts/records/post00000000001")
            .body("multipart/form-data; boundary=x", boundary);
        let answer = site.server.client().send(&request.token(&token)).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        format!("/api/files/posts/post00000000001/{}", answer.at("/file").unwrap())
    };
    let file = site.get(&upload(false), "");
    assert_eq!(header(&file, "cdn-cache-control"), "public, max-age=2592000");
    assert_eq!(header(&file, "surrogate-key"), "r:posts/post00000000001 t:posts");
    let file = site.get(&upload(true), "");
    assert_eq!(file.status, 200, "{}", file.text());
    assert_eq!(header(&file, "cdn-cache-control"), "private, no-store");
    assert_eq!(header(&file, "surrogate-key"), "");
}

#[test]
fn nobody_is_told_of_tags_where_no_front_door_takes_them_away() {
    let site = Site::with(Engine::Sqlite, &[]);
    for path in ["/api/collections/posts/records", "/api/collections/posts/records/post00000000001"] {
        let answer = site.get(path, "");
        assert_eq!(answer.header("surrogate-key"), None, "{path}");
        assert!(header(&answer, "cache-control").starts_with("public"), "{path}: {:?}", answer.headers);
    }
}

#[test]
fn what_a_collection_says_of_caches_is_judged_kept_and_shown() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let site = Site::start(engine);
        let token = site.server.superuser_token().unwrap();
        let client = site.server.client();
        let patch = |cache: Value| {
            let request = Request::json("PATCH", "/api/collections/comments", &json!({"cache": cache}));
            client.send(&request.token(&token)).unwrap()
        };
        for (cache, at, code) in [
            (json!({}), "ttl", "validation_required"),
            (json!({}), "scope", "validation_required"),
            (json!({"ttl": -1, "scope": "public"}), "ttl", "validation_min_greater_equal_than_required"),
            (
                json!({"ttl": 9_000_000_000_u64, "scope": "public"}),
                "ttl",
                "validation_max_less_equal_than_required",
            ),
            (json!({"ttl": 5, "scope": "all"}), "scope", "validation_in_invalid"),
            (
                json!({"ttl": 5, "scope": "user", "staleIfError": -1}),
                "staleIfError",
                "validation_min_greater_equal_than_required",
            ),
        ] {
            let answer = patch(cache.clone());
            assert_eq!(answer.status, 400, "{cache}");
            assert_eq!(
                answer.at(&format!("/data/cache/{at}/code")).as_deref(),
                Some(code),
                "{}",
                answer.text()
            );
        }
        assert_eq!(patch(json!("x")).status, 400);
        let shown = || as_superuser(&site.server, "GET", "/api/collections/comments", &Value::Null).json();
        assert_eq!(shown().get("cache"), None);
        assert_eq!(patch(json!({"ttl": 5, "scope": "user"})).status, 200);
        let expected = json!({"ttl": 5, "scope": "user", "staleWhileRevalidate": 0, "staleIfError": 0});
        assert_eq!(shown()["cache"], expected);
        // What is not named stays, and an import carries it along.
        assert_eq!(patch(json!({"ttl": 6})).json()["cache"]["scope"], "user");
        let exported = shown();
        assert_eq!(patch(Value::Null).status, 200);
        assert_eq!(shown().get("cache"), None);
        let import = json!({"collections": [exported], "deleteMissing": false});
        as_superuser(&site.server, "PUT", "/api/collections/import", &import);
        assert_eq!(shown()["cache"]["ttl"], 6);
        let system = Request::json(
            "PATCH",
            "/api/collections/_superusers",
            &json!({"cache": {"ttl": 5, "scope": "user"}}),
        );
        let answer = client.send(&system.token(&token)).unwrap();
        assert_eq!(answer.at("/data/cache/code").as_deref(), Some("validation_empty"), "{}", answer.text());
    }
}

#[test]
fn pocketbase_opens_a_directory_whose_collections_speak_of_caches() {
    let candidate = Candidate::new(Engine::Sqlite).program;
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut server = candidate.start(&data).unwrap();
    let body = json!({"name": "posts", "type": "base", "listRule": "", "cache": {"ttl": 60, "scope": "public"},
        "fields": [{"name": "title", "type": "text"}]});
    as_superuser(&server, "POST", "/api/collections", &body);
    as_superuser(&server, "PATCH", "/api/collections/users", &json!({"cache": {"ttl": 7, "scope": "user"}}));
    as_superuser(&server, "POST", "/api/collections/posts/records", &json!({"title": "a"}));
    server.terminate(Duration::from_secs(10));
    let mut server = oracle::program().unwrap().serve(&data).unwrap();
    let posts = as_superuser(&server, "GET", "/api/collections/posts", &Value::Null).json();
    assert_eq!(posts.get("cache"), None);
    assert_eq!(posts.get("pandoCache"), None);
    let list = server.client().send(&Request::get("/api/collections/posts/records")).unwrap();
    assert_eq!(list.at("/totalItems").as_deref(), Some("1"));
    // What it saves, it saves without.
    as_superuser(&server, "PATCH", "/api/collections/posts", &json!({"viewRule": ""}));
    server.terminate(Duration::from_secs(10));
    let server = candidate.serve(&data).unwrap();
    let shown =
        |name: &str| as_superuser(&server, "GET", &format!("/api/collections/{name}"), &Value::Null).json();
    assert_eq!(shown("posts").get("cache"), None);
    assert_eq!(shown("users")["cache"]["ttl"], 7);
}
