//! What inbound webhooks are signed with. An empty key would let anybody sign, so a key is checked where it is read.

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::{
    hmac,
    signature::{ED25519, ED25519_PUBLIC_KEY_LEN, UnparsedPublicKey},
};

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
    #[error(
        "it must be the application's public key as Discord's developer portal shows it: 64 hexadecimal digits"
    )]
    Discord,
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

/// The public key of the application, which Discord signs its webhook events for.
#[derive(Debug, Clone)]
pub struct DiscordKey(UnparsedPublicKey<Vec<u8>>);

impl DiscordKey {
    /// As Discord's developer portal shows it, in hexadecimal.
    ///
    /// # Errors
    /// Where it is not that.
    pub fn new(public_key: &str) -> Result<Self, InvalidWebhookKey> {
        let key = unhex(public_key.trim()).filter(|key| key.len() == ED25519_PUBLIC_KEY_LEN);
        Ok(Self(UnparsedPublicKey::new(&ED25519, key.ok_or(InvalidWebhookKey::Discord)?)))
    }

    /// Whether a signature is Discord's of `signed`.
    pub(crate) fn signed(&self, signed: &[u8], signature: &[u8]) -> bool {
        self.0.verify(signed, signature).is_ok()
    }
}

/// What hexadecimal digits say; `None` where it is something else.
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |digit: &u8| char::from(*digit).to_digit(16);
    let pairs = text.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => u8::try_from(digit(high)? << 4 | digit(low)?).ok(),
        _ => None,
    });
    pairs.collect()
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
    #[test]
    fn a_public_key_is_64_hexadecimal_digits() {
        for wrong in ["", "00", &"0".repeat(63), &"0".repeat(66), &"g".repeat(64), &"+f".repeat(32)]
        {
            assert_eq!(
                DiscordKey::new(wrong).unwrap_err(),
                InvalidWebhookKey::Discord,
                "{wrong:?}"
            );
        }
        for fair in [&"0".repeat(64), &"aF".repeat(32), &format!(" {}\n", "1".repeat(64))] {
            assert!(DiscordKey::new(fair).is_ok(), "{fair:?}");
        }
    }
}
