//! One order: account, proof for each domain, certificate.

use std::path::PathBuf;
use std::time::Duration;

use base::limits;
use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, ChallengeType, Identifier, NewAccount, NewOrder,
    OrderStatus, RetryPolicy,
};

use super::{AcmeError, Challenges, Options};

/// The key, then the certificate and those of its issuers, as PEM.
pub async fn certificate(options: &Options) -> Result<String, AcmeError> {
    let account = account(options).await?;
    let challenges = Challenges::in_dir(&options.dir);
    challenges.clear();
    let pem = match order(options, &account, &challenges).await {
        // An authority that forgot the account gets a new one at the next try.
        Err(AcmeError::Authority(error)) if is_forgotten(&error) => {
            let _ = std::fs::remove_file(file(options));
            Err(error.into())
        }
        pem => pem,
    };
    challenges.clear();
    pem
}

async fn order(options: &Options, account: &Account, challenges: &Challenges) -> Result<String, AcmeError> {
    let domains: Vec<Identifier> = options.domains.iter().cloned().map(Identifier::Dns).collect();
    let mut order = account.new_order(&NewOrder::new(&domains)).await?;
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        let domain = authorization.identifier().to_string();
        match authorization.status {
            AuthorizationStatus::Valid => continue,
            AuthorizationStatus::Pending => {}
            _ => return Err(AcmeError::Refused(domain)),
        }
        let mut challenge =
            authorization.challenge(ChallengeType::Http01).ok_or(AcmeError::NoChallenge(domain))?;
        challenges.add(&challenge.token, challenge.key_authorization().as_str())?;
        challenge.set_ready().await?;
    }
    let patience = RetryPolicy::new().timeout(Duration::from_millis(limits::FRONT_ACME_ORDER_MS));
    if order.poll_ready(&patience).await? != OrderStatus::Ready {
        return Err(refused(&mut order).await);
    }
    let key = order.finalize().await?;
    let chain = order.poll_certificate(&patience).await?;
    Ok(format!("{key}{chain}"))
}

/// What the authority has against it.
async fn refused(order: &mut instant_acme::Order) -> AcmeError {
    let mut reasons = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let domain = authorization.identifier().to_string();
        let Ok(state) = authorization.refresh().await else { continue };
        let errors = state.challenges.iter().filter_map(|challenge| challenge.error.as_ref());
        reasons.extend(errors.map(|error| format!("{domain}: {error}")));
    }
    AcmeError::Refused(if reasons.is_empty() { "the order".into() } else { reasons.join("; ") })
}

/// The one that is kept, or a new one. Whoever configures an authority agrees to its terms.
async fn account(options: &Options) -> Result<Account, AcmeError> {
    let builder = || match &options.ca {
        Some(root) => Account::builder_with_root(root),
        None => Account::builder(),
    };
    let path = file(options);
    match std::fs::read(&path) {
        Ok(text) => {
            let kept: AccountCredentials = serde_json::from_slice(&text)
                .map_err(|reason| AcmeError::Account { path: path.clone(), reason })?;
            return Ok(builder()?.from_credentials(kept).await?);
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(super::told(&path, error).into()),
    }
    let contact = format!("mailto:{}", options.email);
    let contact: &[&str] = if options.email.is_empty() { &[] } else { &[contact.as_str()] };
    let new = NewAccount { contact, terms_of_service_agreed: true, only_return_existing: false };
    let (account, credentials) = builder()?.create(&new, options.directory.clone(), None).await?;
    let text = serde_json::to_vec(&credentials)
        .map_err(|reason| AcmeError::Account { path: path.clone(), reason })?;
    super::write(&path, &text)?;
    Ok(account)
}

/// Each authority has its own account.
fn file(options: &Options) -> PathBuf {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '-' };
    let name: String = options.directory.chars().map(plain).collect();
    options.dir.join(format!("account-{name}.json"))
}

/// The authority does not know the account.
fn is_forgotten(error: &instant_acme::Error) -> bool {
    let instant_acme::Error::Api(problem) = error else { return false };
    problem.r#type.as_deref().is_some_and(|kind| kind.ends_with(":accountDoesNotExist"))
}
