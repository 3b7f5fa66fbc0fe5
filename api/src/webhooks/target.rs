//! Where webhooks may go: to public addresses over HTTPS, so that nobody reaches the Hub's own network through it.
//!
//! Names are resolved here, and only the addresses that were checked are connected to: a name that answers something
//! else the second time gains nothing.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// Why nothing is sent to a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Forbidden {
    #[error("must be an http or https URL with a host, and without user, password and fragment")]
    NoTarget,
    #[error("must begin with https://, unless HUB_WEBHOOK_PRIVATE_TARGETS allows private targets")]
    NotHttps,
    #[error(
        "leads into a private network; use a public address, or set HUB_WEBHOOK_PRIVATE_TARGETS"
    )]
    Private,
    #[error("has a name that leads nowhere; check it")]
    NoAddress,
}

/// Checks what can be told without asking for addresses. `private`: whether the Hub's own network is allowed too.
pub(crate) fn check(url: &Url, private: bool) -> Result<(), Forbidden> {
    let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    let host = url.host().filter(|_| plain && ["http", "https"].contains(&url.scheme()));
    let host = host.ok_or(Forbidden::NoTarget)?;
    if private {
        return Ok(());
    }
    if url.scheme() != "https" {
        return Err(Forbidden::NotHttps);
    }
    let public = match host {
        Host::Ipv4(address) => is_public(address.into()),
        Host::Ipv6(address) => is_public(address.into()),
        Host::Domain(_) => true,
    };
    if public { Ok(()) } else { Err(Forbidden::Private) }
}

/// Answers public addresses only.
pub(super) struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            if found.is_empty() {
                return Err(Forbidden::NoAddress.into());
            }
            let public: Vec<_> =
                found.into_iter().filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                return Err(Forbidden::Private.into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

pub(super) fn resolver() -> Arc<PublicOnly> {
    Arc::new(PublicOnly)
}

/// Whether an address is one of the public internet.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_documentation()
        || address.is_multicast()
        // "This network", shared by carriers, protocol assignments, benchmarks, reserved.
        || a == 0
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (18..20).contains(&b))
        || a >= 240;
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let parts = address.segments();
    let [.., high, low] = parts;
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match parts {
        // Addresses that carry one of the older kind: mapped, translated, 6to4.
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => embedded(high, low),
        [0x2002, high, low, ..] => embedded(high, low),
        // Tunnels and documentation.
        [0x2001, 0 | 0xdb8, ..] | [0x3fff, ..] => false,
        // Everything that is given out to the public begins like this.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_sent_to() {
        for public in ["1.1.1.1", "100.63.0.1", "198.20.0.1", "2606:4700::1", "::ffff:8.8.8.8"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "192.0.0.8",
            "198.18.0.1",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "::ffff:127.0.0.1",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
    }

    #[test]
    fn a_url_must_lead_to_the_public_over_https() {
        let check = |url: &str, private| check(&url.parse().unwrap(), private);
        assert_eq!(check("https://example.com/hooks", false), Ok(()));
        assert_eq!(check("http://example.com/", false), Err(Forbidden::NotHttps));
        assert_eq!(check("http://127.0.0.1:9/", true), Ok(()));
        // However it is written.
        for url in ["https://127.1/", "https://2130706433/", "https://[::1]/", "https://0x7f.1/"] {
            assert_eq!(check(url, false), Err(Forbidden::Private), "{url}");
        }
        for url in ["ftp://example.com/", "https://a:b@example.com/", "data:text,x"] {
            assert_eq!(check(url, true), Err(Forbidden::NoTarget), "{url}");
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_into_a_private_network_has_no_address() {
        let refused = PublicOnly.resolve("localhost".parse().unwrap()).await.map(drop);
        assert_eq!(refused.unwrap_err().downcast_ref(), Some(&Forbidden::Private));
    }
}
