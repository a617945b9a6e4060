//! `pando move --files`: the files to a bucket, or back to the data directory.

use std::time::Instant;

use anyhow::{Context, Result, bail};
use app::settings::S3;
use app::transfer::files::{Passed, relocate};

use super::progress::Files;
use super::told;
use crate::assemble::{self, Purpose};
use crate::config::Config;

pub async fn run(config: &Config, place: &str) -> Result<()> {
    let bucket = match place {
        "local" => None,
        place => Some(bucket(place)?),
    };
    let assembled = assemble::open(config, Purpose::Command).await?;
    let progress = Files::new();
    let begun = Instant::now();
    let tell = |passed: Passed| progress.tell(passed);
    let moved = relocate(&assembled.parts, &config.dir, bucket.as_ref(), &tell).await;
    assembled.close().await;
    let passed = moved.map_err(violated)?;
    progress.moved(passed, begun.elapsed());
    match &bucket {
        Some(bucket) => println!(
            "The settings name the bucket {} now; the old files stay until you remove them.",
            bucket.bucket
        ),
        None => {
            println!("The settings name the data directory now; the old files stay until you remove them.")
        }
    }
    Ok(())
}

fn violated(error: app::Error) -> anyhow::Error {
    if error.violations.is_empty() { told(error) } else { anyhow::anyhow!("{error} {:?}", error.violations) }
}

/// `s3://BUCKET?endpoint=HOST&region=…&path-style=true`, the keys from the environment.
fn bucket(place: &str) -> Result<S3> {
    let Some(rest) = place.strip_prefix("s3://") else {
        bail!("--files takes s3://BUCKET?endpoint=… or local")
    };
    let (name, options) = rest.split_once('?').unwrap_or((rest, ""));
    let mut bucket = S3 {
        enabled: true,
        bucket: name.trim_end_matches('/').to_owned(),
        region: "us-east-1".to_owned(),
        access_key: key("AWS_ACCESS_KEY_ID")?,
        secret: key("AWS_SECRET_ACCESS_KEY")?,
        ..S3::default()
    };
    for option in options.split('&').filter(|option| !option.is_empty()) {
        match option.split_once('=') {
            Some(("endpoint", value)) => bucket.endpoint = value.to_owned(),
            Some(("region", value)) => bucket.region = value.to_owned(),
            Some(("path-style", value)) => bucket.force_path_style = value == "true",
            _ => bail!("unknown option {option:?}; they are endpoint, region and path-style"),
        }
    }
    if bucket.endpoint.is_empty() {
        bucket.endpoint = format!("https://s3.{}.amazonaws.com", bucket.region);
    }
    Ok(bucket)
}

fn key(name: &str) -> Result<String> {
    std::env::var(name)
        .with_context(|| format!("the keys of the bucket are read from the environment: {name}"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn other_places_are_refused() {
        for place in ["/srv/files", "ftp://x", "s3:/x"] {
            assert!(super::bucket(place).is_err(), "{place}");
        }
    }
}
