//! From where a request comes.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use axum::extract::ConnectInfo;
use axum::http::request::Parts;
use serde::{Deserialize, Serialize};

/// A network of proxies that are trusted to say where a request comes from: `10.0.0.0/8`, `::1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    first: Ipv6Addr,
    prefix: u8,
}

fn v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

impl Network {
    /// Whether the address is in it.
    pub fn contains(self, address: IpAddr) -> bool {
        (self.first.to_bits() ^ v6(address).to_bits()) & mask(self.prefix) == 0
    }
}

fn mask(prefix: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0)
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no network: it is an address and 0 to 32 or 128, as in 10.0.0.0/8 or ::1");
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse::<u8>().map_err(|_| wrong())?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(bits);
        if prefix > bits {
            return Err(wrong());
        }
        Ok(Self { first: v6(address), prefix: prefix + (128 - bits) })
    }
}

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        match network.first.to_ipv4_mapped() {
            Some(address) if network.prefix >= 96 => format!("{address}/{}", network.prefix - 96),
            _ => format!("{}/{}", network.first, network.prefix),
        }
    }
}

/// The client's address: the connection's, or what trusted proxies say of it. Of `X-Forwarded-For`, the last
/// address that no trusted proxy has.
pub(crate) fn client_of(parts: &Parts, trusted: &[Network]) -> Option<IpAddr> {
    let ConnectInfo(peer) = parts.extensions.get::<ConnectInfo<SocketAddr>>()?;
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut client = peer.ip();
    let lines = parts.headers.get_all("x-forwarded-for").iter().rev();
    let hops = lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.rsplit(','));
    for hop in hops {
        if !is_trusted(client) {
            break;
        }
        // What is no address was not written by a proxy that is to be trusted.
        let Ok(address) = hop.trim().parse() else { break };
        client = address;
    }
    Some(client)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    fn client(peer: &str, forwarded: &[&str], trusted: &[&str]) -> String {
        let mut request = Request::new(());
        for line in forwarded {
            request.headers_mut().append("x-forwarded-for", line.parse().unwrap());
        }
        let peer: SocketAddr = peer.parse().unwrap();
        request.extensions_mut().insert(ConnectInfo(peer));
        let trusted: Vec<Network> = trusted.iter().map(|text| text.parse().unwrap()).collect();
        client_of(&request.into_parts().0, &trusted).unwrap().to_string()
    }

    #[test]
    fn only_trusted_proxies_say_where_a_request_comes_from() {
        for (peer, forwarded, trusted, expected) in [
            ("192.0.2.1:1", &["198.51.100.7"][..], &[][..], "192.0.2.1"),
            ("10.0.0.2:1", &["198.51.100.7"], &["10.0.0.0/8"], "198.51.100.7"),
            ("10.0.0.2:1", &["203.0.113.1, 198.51.100.7"], &["10.0.0.0/8"], "198.51.100.7"),
            ("10.0.0.2:1", &["203.0.113.1, 198.51.100.7, 10.0.0.9"], &["10.0.0.0/8"], "198.51.100.7"),
            ("10.0.0.2:1", &["203.0.113.1", "198.51.100.7"], &["10.0.0.0/8"], "198.51.100.7"),
            ("10.0.0.2:1", &["garbage"], &["10.0.0.0/8"], "10.0.0.2"),
            ("[::1]:1", &["2001:db8::1"], &["::1"], "2001:db8::1"),
            ("10.0.0.2:1", &[], &["0.0.0.0/0"], "10.0.0.2"),
        ] {
            assert_eq!(client(peer, forwarded, trusted), expected, "{peer} {forwarded:?}");
        }
    }

    #[test]
    fn networks_are_read_and_written() {
        for (text, written) in [("10.0.0.0/8", "10.0.0.0/8"), ("::1", "::1/128"), ("192.0.2.1", "192.0.2.1/32")] {
            assert_eq!(String::from(text.parse::<Network>().unwrap()), written);
        }
        for text in ["", "10.0.0.0/33", "10.0.0/8", "::1/129", "x"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}
