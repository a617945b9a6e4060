//! Opening a place for files. The only match on kinds of places.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base::limits::{BLOB_CALL_MS, BLOB_CONNECT_MS, BLOB_REQUEST_MS, BLOB_RETRIES_MAX};
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::{BackoffConfig, ClientOptions, RetryConfig};
use url::Url;

use super::{Blobs, Error, Result};

#[derive(Clone, Debug)]
pub enum Place {
    /// Made when it is not there.
    Directory(PathBuf),
    Bucket(Bucket),
}

/// A bucket of an S3-compatible store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// With or without its scheme.
    pub endpoint: String,
    pub region: String,
    pub name: String,
    pub access_key: String,
    pub secret: String,
    /// `endpoint/bucket/key` rather than `bucket.endpoint/key`.
    pub path_style: bool,
}

impl Blobs {
    pub fn open(place: &Place) -> Result<Self> {
        match place {
            Place::Directory(dir) => {
                std::fs::create_dir_all(dir)?;
                let store =
                    LocalFileSystem::new_with_prefix(dir)?.with_automatic_cleanup(true).with_fsync(true);
                Ok(Blobs { store: Arc::new(store), sidecars: true })
            }
            Place::Bucket(bucket) => {
                let endpoint = endpoint(bucket)?;
                let options = ClientOptions::new()
                    .with_allow_http(true)
                    .with_connect_timeout(Duration::from_millis(BLOB_CONNECT_MS))
                    .with_read_timeout(Duration::from_millis(BLOB_CALL_MS))
                    .with_timeout(Duration::from_millis(BLOB_REQUEST_MS));
                let retry = RetryConfig {
                    backoff: BackoffConfig::default(),
                    max_retries: BLOB_RETRIES_MAX,
                    retry_timeout: Duration::from_millis(BLOB_CALL_MS),
                };
                let mut builder = AmazonS3Builder::new()
                    .with_endpoint(endpoint)
                    .with_region(if bucket.region.is_empty() { "us-east-1" } else { &bucket.region })
                    .with_bucket_name(&bucket.name)
                    .with_virtual_hosted_style_request(!bucket.path_style)
                    // One call for each file, which every store knows.
                    .with_disable_bulk_delete(true)
                    .with_client_options(options)
                    .with_retry(retry);
                // Without a key nothing is signed, rather than credentials looked for in the network.
                builder = match bucket.access_key.is_empty() {
                    true => builder.with_skip_signature(true),
                    false => {
                        builder.with_access_key_id(&bucket.access_key).with_secret_access_key(&bucket.secret)
                    }
                };
                Ok(Blobs { store: Arc::new(builder.build()?), sidecars: false })
            }
        }
    }
}

/// The address that requests go to: the bucket is part of its name unless it is part of the path. What could not become a
/// request is refused here: the client that makes them takes it for granted that it can.
fn endpoint(bucket: &Bucket) -> Result<String> {
    let refused = |why: String| Err(Error::Refused(why));
    let given = bucket.endpoint.trim().trim_end_matches('/');
    let (scheme, host) = given.split_once("://").unwrap_or(("https", given));
    if host.is_empty() || bucket.name.is_empty() {
        return refused("an endpoint and a bucket are needed".into());
    }
    if !bucket.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)) {
        return refused(format!("the bucket {:?} has signs that no bucket's name has", bucket.name));
    }
    for (what, text) in [("region", &bucket.region), ("access key", &bucket.access_key)] {
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return refused(format!("the {what} has spaces or signs that it cannot have"));
        }
    }
    if !["http", "https"].contains(&scheme) {
        return refused(format!("the endpoint {given:?} is neither http nor https"));
    }
    let whole = match bucket.path_style {
        true => format!("{scheme}://{host}"),
        false => format!("{scheme}://{}.{host}", bucket.name),
    };
    match Url::parse(&whole) {
        Ok(url) if url.query().is_none() && url.fragment().is_none() && url.username().is_empty() => {
            Ok(String::from(url).trim_end_matches('/').to_owned())
        }
        // An address of numbers is no name that a bucket's could stand before.
        Err(_) if !bucket.path_style && Url::parse(&format!("{scheme}://{host}")).is_ok() => {
            refused(format!("the endpoint {given:?} needs the bucket in the path"))
        }
        _ => refused(format!("the endpoint {given:?} is no address of a store")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bucket_is_part_of_the_host_or_of_the_path() {
        let mut bucket = Bucket {
            endpoint: "https://s3.example.com/".into(),
            region: String::new(),
            name: "files".into(),
            access_key: String::new(),
            secret: String::new(),
            path_style: true,
        };
        assert_eq!(endpoint(&bucket).unwrap(), "https://s3.example.com");
        bucket.path_style = false;
        assert_eq!(endpoint(&bucket).unwrap(), "https://files.s3.example.com");
        bucket.endpoint = "s3.example.com".into();
        assert_eq!(endpoint(&bucket).unwrap(), "https://files.s3.example.com");
        bucket.endpoint = "https://münchen.example/sub/".into();
        assert_eq!(endpoint(&bucket).unwrap(), "https://files.xn--mnchen-3ya.example/sub");
        bucket.endpoint = String::new();
        assert!(endpoint(&bucket).is_err());
    }

    #[test]
    fn what_could_not_become_a_request_is_refused() {
        let good = Bucket {
            endpoint: "http://127.0.0.1:9000".into(),
            region: "here".into(),
            name: "files".into(),
            access_key: "key".into(),
            secret: "a secret".into(),
            path_style: true,
        };
        assert_eq!(endpoint(&good).unwrap(), "http://127.0.0.1:9000");
        let why = endpoint(&Bucket { path_style: false, ..good.clone() }).unwrap_err().to_string();
        assert!(why.contains("in the path"), "{why}");
        for text in ["http://a b", "http://a:port", "ftp://a", "http://a?b", "http://u@a", "http://[::1"] {
            assert!(endpoint(&Bucket { endpoint: text.into(), ..good.clone() }).is_err(), "{text}");
        }
        for name in ["a b", "ä", "a/b", "a?b", "a%"] {
            assert!(endpoint(&Bucket { name: name.into(), ..good.clone() }).is_err(), "{name}");
        }
        for text in ["a b", "ä", "a\nb"] {
            assert!(endpoint(&Bucket { region: text.into(), ..good.clone() }).is_err(), "{text}");
            assert!(endpoint(&Bucket { access_key: text.into(), ..good.clone() }).is_err(), "{text}");
        }
    }
}
