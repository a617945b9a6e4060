//! Where the data comes from and where it goes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};
use app::transfer::{Mark, roll};
use backing::relocation::{self, ARRIVING, Mover, Relocation};
use base::limits::TRANSFER_ROLL_MS;
use store::Store;

use super::{answered, told};
use crate::config::Config;
use crate::place;

pub struct Source {
    pub store: Store,
    /// Without passwords.
    pub name: String,
    dir: Option<PathBuf>,
}

impl Source {
    pub async fn open(config: &Config) -> Result<Source> {
        let url = match config.data.url.is_empty() {
            false => Some(config.data.url.clone()),
            true => None,
        };
        match url {
            Some(url) => Source::server(&url).await,
            None => Source::directory(config).await,
        }
    }

    async fn server(url: &str) -> Result<Source> {
        let store = place::open(store::Target::Postgres { url: url.to_owned() }, false).await?;
        Ok(Source { store, name: without_password(url), dir: None })
    }

    /// What is there may have been left, for a database server that the directory remembers.
    async fn directory(config: &Config) -> Result<Source> {
        let dir = &config.dir;
        if !dir.join("data.db").exists() {
            bail!("there is no data in {}; name its directory with --dir", dir.display());
        }
        let store = place::beside(dir, "data.db").await?;
        Ok(Source { store, name: dir.canonicalize()?.display().to_string(), dir: Some(dir.clone()) })
    }

    /// Where the request log is.
    pub async fn logs(&self) -> Result<Store> {
        match &self.dir {
            Some(dir) => place::beside(dir, "auxiliary.db").await,
            None => Ok(self.store.clone()),
        }
    }

    /// Where the data is that has left here, unless it went to the target already.
    pub async fn onward(&self, config: &Config, mark: &Mark, target: &Target) -> Result<Option<Source>> {
        if mark.to == target.name() || self.dir.is_none() {
            return Ok(None);
        }
        match relocation::remembered(&config.dir)? {
            Some(relocation) if relocation.id == mark.id => {
                self.store.close().await;
                Source::server(&relocation.url).await.map(Some)
            }
            _ => bail!("the data has moved to {}: name it with --data", mark.to),
        }
    }

    /// Keeps servers out of a directory that none runs on; waits for the answer of one that does.
    pub async fn keep_or_await(
        &self,
        config: &Config,
        mover: &Mover,
        id: &str,
        target: &Target,
    ) -> Result<Option<Box<dyn Send>>> {
        let Some(dir) = &self.dir else {
            self.call_roll(config, mover, id, target).await?;
            return Ok(None);
        };
        match store::lock(dir) {
            Ok(lock) => Ok(Some(Box::new(lock))),
            Err(store::Error::Locked(_)) => {
                println!("A server runs on {}: it goes on, and follows", config.dir.display());
                answered(mover, id).await.map(|()| None)
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl Source {
    /// One server can follow, if it is on this directory; several cannot.
    async fn call_roll(&self, config: &Config, mover: &Mover, id: &str, target: &Target) -> Result<()> {
        roll::call(&self.store, id).await.map_err(told)?;
        tokio::time::sleep(Duration::from_millis(TRANSFER_ROLL_MS)).await;
        let servers = roll::answers(&self.store, id).await.map_err(told)?;
        roll::dismiss(&self.store).await.map_err(told)?;
        match (servers, target) {
            (0, _) => Ok(()),
            (1, Target::Directory(dir)) if config.dir.canonicalize().is_ok_and(|own| own == *dir) => {
                println!("A server runs on {}: it goes on, and follows", self.name);
                answered(mover, id).await
            }
            (1, _) => bail!(
                "a server runs on {}, and would not follow to {}: stop it, or move into its own --dir",
                self.name,
                target.name()
            ),
            _ => bail!("{servers} servers run on {}: stop all but one on this machine", self.name),
        }
    }
}

pub enum Target {
    Postgres { url: String },
    Directory(PathBuf),
}

impl Target {
    pub fn of(to: &str) -> Result<Target> {
        if to.starts_with("postgres://") || to.starts_with("postgresql://") {
            return Ok(Target::Postgres { url: to.to_owned() });
        }
        if to.contains("://") {
            bail!("--to takes postgres://… or a directory");
        }
        std::fs::create_dir_all(to)?;
        Ok(Target::Directory(Path::new(to).canonicalize()?))
    }

    /// For people: without a password.
    pub fn name(&self) -> String {
        match self {
            Target::Postgres { url } => without_password(url),
            Target::Directory(dir) => dir.display().to_string(),
        }
    }

    pub fn url(&self) -> String {
        match self {
            Target::Postgres { url } => url.clone(),
            Target::Directory(_) => String::new(),
        }
    }

    pub async fn open(&self) -> Result<Store> {
        let target = match self {
            Target::Postgres { url } => store::Target::Postgres { url: url.clone() },
            Target::Directory(dir) => store::Target::Sqlite { dir: dir.join(ARRIVING), file: "data.db" },
        };
        place::open(target, matches!(self, Target::Directory(_))).await
    }

    pub async fn logs(&self, data: &Store) -> Result<Store> {
        match self {
            Target::Postgres { .. } => Ok(data.clone()),
            Target::Directory(dir) => place::beside(&dir.join(ARRIVING), "auxiliary.db").await,
        }
    }

    pub async fn open_settled(&self) -> Result<Store> {
        match self {
            Target::Postgres { .. } => self.open().await,
            Target::Directory(dir) => place::beside(dir, "data.db").await,
        }
    }

    /// What has arrived is put in its place.
    pub async fn settle(&self) -> Result<()> {
        match self {
            Target::Postgres { .. } => Ok(()),
            Target::Directory(dir) => place::settle(dir).await,
        }
    }

    /// Lets the directory that is left know the way.
    pub fn remember(&self, config: &Config, relocation: &Relocation) -> Result<()> {
        match self {
            Target::Postgres { .. } => Ok(relocation::remember(&config.dir, relocation)?),
            Target::Directory(_) => Ok(()),
        }
    }

    pub fn forget(&self, config: &Config) -> Result<()> {
        match self {
            Target::Postgres { .. } => Ok(relocation::forget(&config.dir)?),
            Target::Directory(_) => Ok(()),
        }
    }

    pub fn advise(&self, config: &Config) {
        match self {
            Target::Postgres { url } => {
                println!("From now on every start with --dir {} goes there by itself.", config.dir.display());
                println!("To say so plainly, set in pando.toml:");
                println!("  [data]\n  url = \"{}\"", without_password(url));
                println!("with the password, or PANDO_DATA_URL in the environment.");
            }
            Target::Directory(dir) => {
                println!("From now on serve it with --dir {}, and without data.url.", dir.display());
            }
        }
    }
}

/// The address without what must not be read by everybody.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    // A password may hold anything but the last @ before the host.
    let host = rest.find('/').map_or(rest.len(), |at| at);
    let Some(at) = rest[..host].rfind('@').or_else(|| rest.rfind('@')) else { return url.to_owned() };
    let user = rest[..at].split(':').next().unwrap_or_default();
    let tail: String = match rest[at..].split_once("password=") {
        Some((before, after)) => {
            format!("{before}{}", after.split_once('&').map_or("", |(_, rest)| rest))
        }
        None => rest[at..].to_owned(),
    };
    format!("{scheme}://{user}{tail}")
}

#[cfg(test)]
mod tests {
    use super::without_password;

    #[test]
    fn passwords_are_not_shown() {
        for (url, shown) in [
            ("postgres://app:s3cret@db/app", "postgres://app@db/app"),
            (
                "postgres://app:a/b@c@h1:5432,h2:5433/app?sslmode=require",
                "postgres://app@h1:5432,h2:5433/app?sslmode=require",
            ),
            ("postgres://app@db/app", "postgres://app@db/app"),
            ("postgres://db/app", "postgres://db/app"),
            ("postgres://app@db/app?password=x&sslmode=require", "postgres://app@db/app?sslmode=require"),
        ] {
            assert_eq!(without_password(url), shown, "{url}");
        }
    }
}
