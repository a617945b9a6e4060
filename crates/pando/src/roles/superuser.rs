//! `pando superuser`: works without a server and beside a running one.

use anyhow::{Result, anyhow};
use app::audit::{self, Actor, Doing};
use app::auth::superuser;

use crate::assemble::{self, Purpose};
use crate::cli::Superuser;
use crate::config::Config;

pub async fn run(config: Config, command: Superuser) -> Result<()> {
    let assembled = assemble::open(&config, Purpose::Command).await?;
    let parts = &assembled.parts;
    let by_hand = Actor { email: "command line".into(), ..Actor::default() };
    let (email, done) = audit::scope(Doing::new(by_hand), save(parts, &command)).await;
    // Whoever reads on any node from here on sees it.
    app::nodes::caught_up(parts).await;
    assembled.close().await;
    match done {
        Ok(verb) => {
            println!("{verb} superuser {email}.");
            Ok(())
        }
        Err(error) => Err(explain(error, email)),
    }
}

async fn save<'a>(parts: &app::Parts, command: &'a Superuser) -> (&'a String, app::Result<&'static str>) {
    match command {
        Superuser::Create { email, password } => {
            (email, superuser::create(parts, email, password).await.map(|()| "Created"))
        }
        Superuser::Update { email, password } => {
            (email, superuser::update(parts, email, password).await.map(|()| "Updated"))
        }
        Superuser::Upsert { email, password } => {
            (email, superuser::upsert(parts, email, password).await.map(|()| "Saved"))
        }
        Superuser::Delete { email } => (email, superuser::delete(parts, email).await.map(|()| "Deleted")),
    }
}

/// The use case speaks to API clients; here is a person.
fn explain(error: app::Error, email: &str) -> anyhow::Error {
    if error.kind == base::Kind::NotFound {
        return anyhow!("there is no superuser {email}");
    }
    let mut lines = vec![error.message.clone()];
    for (field, node) in &error.violations.0 {
        if let model::violation::Node::Leaf(violation) = node {
            lines.push(format!("  {field}: {}", violation.message));
        }
    }
    if let Some(details) = &error.details {
        lines.push(format!("  {details}"));
    }
    anyhow!(lines.join("\n"))
}
