//! The HTTP client of the room: one TLS stack with its own roots, a name that Discord accepts.

use std::{sync::Arc, time::Duration};

use rustls::{ClientConfig, RootCertStore, crypto::ring};

/// The longest that a call may take, connection and body included.
pub(crate) const DEADLINE: Duration = Duration::from_secs(15);

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client cannot be made: {0}; this is a defect of the build, so report it")]
pub struct ClientError(String);

/// A client without a deadline of its own: streams stay open.
pub fn client(user_agent: &str) -> Result<reqwest::Client, ClientError> {
    build(builder(user_agent)?)
}

/// Makes a client of what `builder` gave.
pub fn build(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, ClientError> {
    builder.build().map_err(|error| ClientError(error.to_string()))
}

/// What every client has: the TLS stack, a name, no redirects followed.
pub fn builder(user_agent: &str) -> Result<reqwest::ClientBuilder, ClientError> {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| ClientError(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(user_agent)
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(5)))
}
