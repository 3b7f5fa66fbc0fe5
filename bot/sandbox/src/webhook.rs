//! Webhook events: what the sandbox tells of authorisations, signed as Discord signs.
//!
//! An address is told only once it has shown that it checks signatures, as Discord asks of one. What is not taken in is
//! sent again a few times.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use chrono::{DateTime, Utc};
use reqwest::StatusCode;
use ring::signature::{Ed25519KeyPair, KeyPair};
use rustls::{ClientConfig, RootCertStore, crypto::ring::default_provider};
use serde_json::{Value, json};
use url::Url;

use crate::server::{is_local, lock, now};

/// The seed of the one application's key: like its other secrets it is no secret.
const SEED: [u8; 32] = *b"the sandbox signs with this seed";

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// How often an event is sent, with pauses that double.
const TRIES: u32 = 6;
const PAUSE: Duration = Duration::from_millis(250);

/// Tells an address what happens to authorisations.
#[derive(Debug)]
pub(crate) struct Teller {
    key: Ed25519KeyPair,
    http: reqwest::Client,
    address: Mutex<Option<Url>>,
}

fn failed(error: impl std::fmt::Display) -> std::io::Error {
    std::io::Error::other(error.to_string())
}

impl Teller {
    pub(crate) fn new() -> std::io::Result<Self> {
        // Only this machine is told, in the clear.
        let tls = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(failed)?
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(reqwest::redirect::Policy::none())
            .timeout(PATIENCE)
            .build()
            .map_err(failed)?;
        let key = Ed25519KeyPair::from_seed_unchecked(&SEED).map_err(failed)?;
        Ok(Self { key, http, address: Mutex::default() })
    }

    /// The application's public key, in hexadecimal.
    pub(crate) fn public_key(&self) -> String {
        hex(self.key.public_key().as_ref())
    }

    async fn send(&self, to: &Url, body: &Value, genuine: bool) -> Result<StatusCode, String> {
        let (body, at) = (body.to_string(), now().timestamp().to_string());
        let signed = if genuine { format!("{at}{body}") } else { at.clone() };
        let request = self
            .http
            .post(to.clone())
            .header("content-type", "application/json")
            .header("x-signature-timestamp", at)
            .header("x-signature-ed25519", hex(self.key.sign(signed.as_bytes()).as_ref()))
            .body(body);
        request.send().await.map(|answer| answer.status()).map_err(|error| error.to_string())
    }

    /// From now on `address` is told. Discord asks it first whether it checks signatures.
    pub(crate) async fn tell_to(&self, application: &str, address: Url) -> Result<(), String> {
        if !is_local(&address) {
            return Err("The sandbox tells addresses of this machine only.".to_owned());
        }
        let ping = json!({ "version": 1, "application_id": application, "type": 0 });
        for (genuine, wanted) in [(true, StatusCode::NO_CONTENT), (false, StatusCode::UNAUTHORIZED)]
        {
            let said = self.send(&address, &ping, genuine).await?;
            if said != wanted {
                let signature = if genuine { "genuine" } else { "wrong" };
                return Err(format!(
                    "The address must answer {wanted} to a {signature} signature, and answered {said}."
                ));
            }
        }
        *lock(&self.address) = Some(address);
        Ok(())
    }

    /// Tells that a user removed the application, until it is taken in.
    pub(crate) fn deauthorized(self: &Arc<Self>, application: &str, user: &Value) {
        let (teller, application) = (Arc::clone(self), application.to_owned());
        let (data, at) = (json!({ "user": user }), now());
        tokio::spawn(async move {
            for tried in 0..TRIES {
                let told = teller.tell(&application, "APPLICATION_DEAUTHORIZED", &data, at).await;
                match told {
                    Ok(None | Some(StatusCode::NO_CONTENT)) => return,
                    Ok(Some(_)) | Err(_) => tokio::time::sleep(PAUSE * 2u32.pow(tried)).await,
                }
            }
            tracing::warn!("a webhook event was not taken in");
        });
    }

    /// Tells of something once; answers what was said to it, and `None` where nobody is told.
    pub(crate) async fn tell(
        &self,
        application: &str,
        kind: &str,
        data: &Value,
        at: DateTime<Utc>,
    ) -> Result<Option<StatusCode>, String> {
        let Some(to) = lock(&self.address).clone() else { return Ok(None) };
        // Without an offset, as Discord writes it.
        let at = at.format("%Y-%m-%dT%H:%M:%S%.6f").to_string();
        let event = json!({ "type": kind, "timestamp": at, "data": data });
        let body =
            json!({ "version": 1, "application_id": application, "type": 1, "event": event });
        self.send(&to, &body, true).await.map(Some)
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;

    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
