//! What inbound webhooks are signed with. An empty key would let anybody sign, so a key is checked where it is read.

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::hmac;

/// How long a key of Standard Webhooks is, in bytes.
const STANDARD_LENGTH: std::ops::RangeInclusive<usize> = 24..=64;

/// What both kinds of secrets begin with.
const PREFIX: &str = "whsec_";

/// The key of whoever sends webhooks to the Hub.
#[derive(Debug, Clone)]
pub struct WebhookKey(hmac::Key);

/// Why a secret is no key. It does not repeat the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidWebhookKey {
    #[error(
        "it must be whsec_ and the base64 of 24 to 64 bytes, as Standard Webhooks has it; \
         `openssl rand -base64 32` makes the part after whsec_"
    )]
    Standard,
    #[error("it must be the signing secret of the endpoint as Stripe shows it: whsec_ and more")]
    Stripe,
}

impl WebhookKey {
    /// Of Standard Webhooks: `whsec_` and base64.
    ///
    /// # Errors
    /// Where it is not that, or shorter or longer than the specification allows.
    pub fn standard(secret: &str) -> Result<Self, InvalidWebhookKey> {
        let secret = secret.trim();
        let key = STANDARD.decode(secret.strip_prefix(PREFIX).unwrap_or(secret));
        let key = key.ok().filter(|key| STANDARD_LENGTH.contains(&key.len()));
        Ok(Self::of(&key.ok_or(InvalidWebhookKey::Standard)?))
    }

    /// Of an endpoint of Stripe: `whsec_` and text, which signs as it stands.
    ///
    /// # Errors
    /// Where nothing stands there.
    pub fn stripe(secret: &str) -> Result<Self, InvalidWebhookKey> {
        let secret = secret.trim();
        if secret.strip_prefix(PREFIX).unwrap_or(secret).is_empty() {
            return Err(InvalidWebhookKey::Stripe);
        }
        Ok(Self::of(secret.as_bytes()))
    }

    fn of(key: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// Whether a signature is that of `signed` by this key.
    pub(crate) fn signed(&self, signed: &[u8], signature: &[u8]) -> bool {
        hmac::verify(&self.0, signed, signature).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_or_weak_secret_is_no_key() {
        for weak in ["", " ", "whsec_", "whsec_c2hvcnQ=", "whsec_no base64 at all, and long enough"]
        {
            assert_eq!(
                WebhookKey::standard(weak).unwrap_err(),
                InvalidWebhookKey::Standard,
                "{weak:?}"
            );
        }
        assert!(WebhookKey::standard(&format!("whsec_{}", STANDARD.encode([7; 65]))).is_err());
        for fair in [24, 32, 64] {
            let secret = STANDARD.encode(vec![7; fair]);
            assert!(WebhookKey::standard(&secret).is_ok());
            assert!(WebhookKey::standard(&format!("whsec_{secret}\n")).is_ok());
        }
        for empty in ["", "  ", "whsec_"] {
            assert_eq!(WebhookKey::stripe(empty).unwrap_err(), InvalidWebhookKey::Stripe);
        }
        assert!(WebhookKey::stripe("whsec_text").is_ok());
    }
}
