//! Several `pando web` on one PostgreSQL: whatever one is told, the others know.

use std::path::Path;
use std::time::Duration;

use serde_json::json;
use testkit::pando::Engine;
use testkit::server::{SUPERUSER, Server};
use testkit::{Request, tools};

use crate::candidate::Candidate;

/// A candidate whose servers are nodes.
fn candidate() -> Candidate {
    let mut candidate = Candidate::new(Engine::Postgres);
    candidate.program = candidate.program.role("web");
    candidate
}

#[test]
fn start_at_once_on_an_empty_database() {
    let candidate = candidate();
    let dir = tempfile::tempdir().unwrap();
    let spawn = |n: usize| {
        Server::spawn(candidate.program.clone(), dir.path().join(n.to_string()), tools::free_port()).unwrap()
    };
    let mut nodes: Vec<Server> = (0..4).map(spawn).collect();
    for node in &mut nodes {
        node.wait_ready().unwrap();
    }
    candidate.program.upsert_superuser(dir.path(), SUPERUSER.0, SUPERUSER.1).unwrap();
    let shown: Vec<_> = nodes
        .iter()
        .map(|node| {
            let token = node.superuser_token().unwrap();
            let path = "/api/collections?sort=id&skipTotal=1&fields=id,name,fields";
            node.client().send(&Request::get(path).token(&token)).unwrap().json()
        })
        .collect();
    assert!(shown.iter().all(|one| *one == shown[0] && one["items"].as_array().unwrap().len() > 4));
    for node in &mut nodes {
        assert!(std::fs::read_dir(node.dir()).unwrap().next().is_none(), "a node keeps nothing");
        assert_eq!(node.terminate(Duration::from_secs(30)), Some(0));
    }
}

#[test]
fn refuse_sqlite() {
    let candidate = Candidate::new(Engine::Sqlite);
    let dir = tempfile::tempdir().unwrap();
    let program = candidate.program.role("web");
    let (code, said) = program.serve_to_end(dir.path(), Duration::from_secs(30)).unwrap();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("--data postgres://") && said.contains("pando serve"), "{said}");
}

#[test]
fn refuse_uploads_that_others_could_not_see() {
    let candidate = candidate();
    let dir = tempfile::tempdir().unwrap();
    let node = candidate.program.start(&dir.path().join("node")).unwrap();
    assert!(node.log().contains("files.shared"), "{}", node.log());
    assert_eq!(upload(&node), 501);

    let options = configured(dir.path(), "[files]\nshared = true\n");
    let mut program = candidate.program.clone();
    program.options = options;
    let (one, other) =
        (program.serve(&dir.path().join("mounted")), program.serve(&dir.path().join("mounted")));
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_eq!(upload(&one), 200);
    let token = other.superuser_token().unwrap();
    let listed = other.client().send(&Request::get("/api/collections/users/records").token(&token)).unwrap();
    let (id, name) = (listed.at("/items/0/id").unwrap(), listed.at("/items/0/avatar").unwrap());
    let answer = other.client().send(&Request::get(&format!("/api/files/users/{id}/{name}"))).unwrap();
    assert_eq!((answer.status, answer.body.as_slice()), (200, &b"GIF89a"[..]));
}

/// The arguments that name a configuration file with that text.
fn configured(dir: &Path, text: &str) -> Vec<String> {
    let path = dir.join("pando.toml");
    std::fs::write(&path, text).unwrap();
    vec!["--config".into(), path.to_str().unwrap().into()]
}

/// The status of the answer to a record with a file.
fn upload(node: &Server) -> u16 {
    let mut body = Vec::new();
    for (name, value) in
        [("email", "a@example.com"), ("password", "12345678"), ("passwordConfirm", "12345678")]
    {
        body.extend(
            format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").bytes(),
        );
    }
    let head = "--b\r\nContent-Disposition: form-data; name=\"avatar\"; filename=\"a.gif\"\r\n\r\n";
    body.extend([head.as_bytes(), b"GIF89a\r\n--b--\r\n"].concat());
    let request = Request::new("POST", "/api/collections/users/records");
    let request =
        request.body("multipart/form-data; boundary=b", body).token(&node.superuser_token().unwrap());
    node.client().send(&request).unwrap().status
}

#[test]
fn the_configuration_names_the_bucket() {
    let candidate = candidate();
    let dir = tempfile::tempdir().unwrap();
    let mut program = candidate.program.clone();
    program.options = configured(
        dir.path(),
        "[files.s3]\nendpoint = 'http://127.0.0.1:9'\nbucket = 'b'\nregion = 'r'\naccess_key = 'k'\npath_style = true\n",
    );
    program.variables = vec![("PANDO_FILES_S3_SECRET".into(), "hush".into())];
    let node = program.start(&dir.path().join("node")).unwrap();
    let token = node.superuser_token().unwrap();
    let settings = node.client().send(&Request::get("/api/settings").token(&token)).unwrap();
    assert_eq!(settings.at("/s3/enabled").unwrap(), "true");
    assert_eq!(settings.at("/s3/bucket").unwrap(), "b");
    assert!(!settings.text().contains("hush"));
    let patch = |body| {
        let request = Request::json("PATCH", "/api/settings", &body).token(&token);
        node.client().send(&request).unwrap()
    };
    // What is shown may be sent back; anything else would have no effect.
    let shown = settings.json();
    assert_eq!(patch(shown).status, 200);
    let refused = patch(json!({"s3": {"bucket": "other"}}));
    assert_eq!(refused.status, 400);
    assert_eq!(refused.at("/data/s3/code").unwrap(), "validation_fixed_by_configuration");
    let stored =
        candidate.postgres.as_ref().unwrap().sql("test0", "SELECT value->'s3' FROM _params").unwrap();
    assert!(!stored.contains("hush") && stored.contains("\"enabled\":false"), "{stored}");
}
