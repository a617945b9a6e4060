//! How streams and groups are defined, whom their rules let in, and what is refused.

use serde_json::{Value, json};
use testkit::pando::Engine;

use super::{on_both, world};

on_both! {
    definitions
    rules
    hostile_input
}

mod check {
    use super::*;

    pub fn definitions(engine: Engine) {
        let world = world(engine);
        let definition = json!({"name": "orders", "subjects": ["orders.>"], "maxMessages": 10});
        let made = world.post("/api/queues", &definition);
        assert_eq!((&made["maxMessages"], &made["publishRule"]), (&json!(10), &Value::Null));
        for (wrong, field) in [
            (json!({"name": "orders", "subjects": ["a"]}), "name"),
            (json!({"name": "a b", "subjects": ["a"]}), "name"),
            (json!({"name": "b", "subjects": []}), "subjects"),
            (json!({"name": "b", "subjects": ["a..b"]}), "subjects"),
            (json!({"name": "b", "subjects": ["a"], "maxAgeMs": 1}), "maxAgeMs"),
            (json!({"name": "b", "subjects": ["a"], "publishRule": "nothing = 1"}), "publishRule"),
            (json!({"name": "b", "subjects": ["a"], "consumeRule": "((("}), "consumeRule"),
        ] {
            let answer = world.asked(&world.root, "POST", "/api/queues", &wrong);
            assert_eq!(answer.status, 400, "{wrong}: {}", answer.text());
            assert!(answer.at(&format!("/data/{field}/code")).is_some(), "{wrong}: {}", answer.text());
        }
        let changed = world.root("PATCH", "/api/queues/orders", &json!({"publishRule": "", "id": "other"}));
        assert_eq!((&changed["id"], &changed["publishRule"]), (&made["id"], &json!("")));
        let group = world.post("/api/queues/orders/groups", &json!({"name": "eu", "filter": "orders.eu.*"}));
        assert_eq!(group["leaseMs"], json!(30_000));
        assert_eq!(
            world.asked(&world.root, "POST", "/api/queues/orders/groups", &json!({"name": "eu"})).status,
            400
        );
        let group = world.root("PATCH", "/api/queues/orders/groups/eu", &json!({"leaseMs": 500}));
        assert_eq!(group["leaseMs"], json!(500));
        assert_eq!(world.root("GET", "/api/queues", &Value::Null).as_array().unwrap().len(), 1);
        assert_eq!(world.asked("", "GET", "/api/queues", &Value::Null).status, 401);

        world.post("/api/queues/orders/publish", &json!({"subject": "orders.eu.made"}));
        world.root("DELETE", "/api/queues/orders/groups/eu", &Value::Null);
        assert_eq!(
            world.asked(&world.root, "POST", "/api/queues/orders/groups/eu/pull", &json!({})).status,
            404
        );
        world.root("DELETE", "/api/queues/orders", &Value::Null);
        let answer =
            world.asked(&world.root, "POST", "/api/queues/orders/publish", &json!({"subject": "orders.a"}));
        assert_eq!(answer.status, 404);
        assert!(answer.text().contains("There is no stream"), "{}", answer.text());
        // Nothing of the old one is in a new one of that name.
        world.stream(&definition, &[json!({"name": "eu"})]);
        assert!(world.pull("/api/queues/orders/groups/eu", &json!({})).is_empty());
        assert_eq!(world.stats("orders", "/messages"), 0);
    }

    pub fn rules(engine: Engine) {
        let world = world(engine);
        world.root("PATCH", "/api/collections/users", &json!({"createRule": ""}));
        for name in ["ann", "bob"] {
            let body = json!({
                "email": format!("{name}@example.com"), "password": "12345678", "passwordConfirm": "12345678",
                "name": name,
            });
            world.post("/api/collections/users/records", &body);
        }
        let ann = world.server.login("users", "ann@example.com", "12345678").unwrap();
        let bob = world.server.login("users", "bob@example.com", "12345678").unwrap();
        let definition = json!({
            "name": "chat",
            "subjects": ["chat.*"],
            "publishRule": "@request.auth.id != '' && data.from = @request.auth.name && @request.body.subject ~ 'chat'",
            "consumeRule": "@request.auth.name = 'ann' && subject ~ 'chat.%' && group != 'secret'",
        });
        world.stream(
            &definition,
            &[json!({"name": "all", "filter": "chat.*"}), json!({"name": "secret", "filter": "chat.*"})],
        );
        let publish =
            |token: &str, body: Value| world.asked(token, "POST", "/api/queues/chat/publish", &body).status;
        assert_eq!(publish(&ann, json!({"subject": "chat.a", "data": {"from": "ann"}})), 200);
        assert_eq!(publish(&ann, json!({"subject": "chat.a", "data": {"from": "bob"}})), 403);
        assert_eq!(publish("", json!({"subject": "chat.a", "data": {"from": ""}})), 403);
        let pull = |token: &str, group: &str| {
            world.asked(token, "POST", &format!("/api/queues/chat/groups/{group}/pull"), &json!({})).status
        };
        assert_eq!(
            (pull(&ann, "all"), pull(&bob, "all"), pull(&ann, "secret"), pull("", "all")),
            (200, 403, 403, 403)
        );
        let read = |token: &str, filter: &str| {
            world.asked(token, "POST", "/api/queues/chat/read", &json!({"filter": filter})).status
        };
        assert_eq!((read(&ann, "chat.*"), read(&ann, ">"), read(&bob, "chat.*")), (200, 403, 403));
        world.root("PATCH", "/api/queues/chat", &json!({"consumeRule": null}));
        assert_eq!((pull(&ann, "all"), pull(&world.root, "all")), (403, 200));
        world.root("PATCH", "/api/queues/chat", &json!({"consumeRule": ""}));
        assert_eq!(pull("", "all"), 200);
    }

    pub fn hostile_input(engine: Engine) {
        let world = world(engine);
        world.stream(&json!({"name": "s", "subjects": [">"]}), &[json!({"name": "g"})]);
        let long = "a".repeat(300 << 10);
        for body in [
            json!({}),
            json!({"subject": "*"}),
            json!({"subject": 5}),
            json!({"subject": "a\u{0}b"}),
            json!({"subject": "a", "data": long}),
            json!({"subject": "a", "headers": {"a": 1}}),
            json!({"subject": "a", "headers": {"a": long}}),
            json!({"subject": "a", "id": "a/b"}),
            json!({"subject": "a", "id": ""}),
            json!({"subject": "a", "priority": "urgent"}),
            json!({"subject": "a", "delayMs": -1}),
            json!({"subject": "a", "delayMs": u64::MAX}),
            json!({"subject": "a", "at": "never"}),
            json!({"messages": []}),
            json!({"messages": [1]}),
            json!({"messages": vec![json!({"subject": "a"}); 501]}),
            json!({"messages": [{"subject": "a"}, {"subject": ""}]}),
        ] {
            let answer = world.asked(&world.root, "POST", "/api/queues/s/publish", &body);
            assert_eq!(
                answer.status,
                400,
                "{}: {}",
                &body.to_string()[..body.to_string().len().min(80)],
                answer.text()
            );
        }
        for (path, body) in [
            ("groups/g/pull", json!({"max": 0})),
            ("groups/g/pull", json!({"max": 501})),
            ("groups/g/pull", json!({"leaseMs": 1})),
            ("groups/g/pull", json!({"leaseMs": u64::MAX})),
            ("groups/g/pull", json!({"waitMs": "a"})),
            ("groups/g/ack", json!({})),
            ("groups/g/ack", json!({"receipts": []})),
            ("groups/g/nak", json!({"receipts": ["a.b"], "delayMs": u64::MAX})),
            ("groups/g/dead/retry", json!({})),
            ("read", json!({"filter": "a..b"})),
            ("read", json!({"from": "yesterday"})),
            ("read", json!({"from": -1})),
            ("read", json!({"subscriber": "a/b"})),
        ] {
            let answer = world.asked(&world.root, "POST", &format!("/api/queues/s/{path}"), &body);
            assert_eq!(answer.status, 400, "{path} {body}: {}", answer.text());
        }
        let stale =
            json!({"receipts": ["", ".", "a", "a.b", "'; DROP TABLE _pando_messages; --.x", "\u{0}.\u{0}"]});
        for verb in ["ack", "nak", "extend"] {
            let answer = world.asked(&world.root, "POST", &format!("/api/queues/s/groups/g/{verb}"), &stale);
            assert!(answer.status == 200 || answer.status == 400, "{verb}: {}", answer.text());
        }
        assert_eq!(world.stats("s", "/messages"), 0);
        // Any JSON comes back as it was.
        let data = json!({"a": [1.5, -0.0, 1e300, null, true, "\u{1f332}\n\"\\"], "ключ": {"": {}}});
        world.post("/api/queues/s/publish", &json!({"subject": "a", "data": data}));
        assert_eq!(world.pull("/api/queues/s/groups/g", &json!({}))[0]["data"], data);
    }
}
