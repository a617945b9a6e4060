//! What a server says at its start.

use anyhow::Result;
use app::auth;

use crate::assemble::Assembled;
use crate::config::Config;

pub async fn greet(config: &Config, assembled: &Assembled, address: std::net::SocketAddr) -> Result<()> {
    println!("Pando {} serves {}", env!("CARGO_PKG_VERSION"), assembled.place);
    println!("  API: http://{address}/api/");
    if !auth::superuser::any(&assembled.parts).await? {
        let program = std::env::args().next().unwrap_or_else(|| "pando".into());
        let data = match config.data.url.is_empty() {
            true => format!("--dir {}", config.dir.display()),
            false => "--data URL".into(),
        };
        println!("  There is no superuser yet. Make the first one, in another terminal, with:");
        println!("    {program} superuser create EMAIL PASSWORD {data}");
    }
    warn(config, assembled);
    Ok(())
}

/// Says at the start what requests would be refused for later.
fn warn(config: &Config, assembled: &Assembled) {
    let parts = &assembled.parts;
    let settings = parts.settings.load();
    if !parts.files.has_place(&settings.s3) {
        tracing::warn!(
            "uploads are refused: files need a place that all nodes share. Set s3 in the settings, files.s3 in the \
             configuration, or files.shared = true for a directory (storage in {}) that every node mounts",
            config.dir.display()
        );
    }
    if !settings.smtp.enabled && !parts.mailer.has_outbox() {
        tracing::warn!(
            "mails wait in the database: there is no SMTP server. Set smtp in the settings, or mail.outbox to a \
             directory that every node mounts"
        );
    }
}
