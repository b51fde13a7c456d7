//! What is stored of an address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::hide::{Keyed, REDACTED};
use super::{IpPolicy, Mode};
use crate::event::MAX_FIELD_BYTES;

/// What the policy leaves of the field `ip_address`.
///
/// The field may hold what proxies and load balancers write: several addresses with commas, a port, a
/// zone, a prefix length. Each address is reduced to itself. What is no address (the name of a cloud
/// service) is kept; what looks like one but cannot be read is hidden, since it may be one. So is a
/// list that would no longer fit its field.
pub(super) fn reduce(policy: IpPolicy, text: &str, keyed: &Keyed) -> String {
    if policy == IpPolicy::Keep {
        return text.to_owned();
    }
    let parts: Vec<_> = text.split(',').map(str::trim).map(|part| reduce_one(policy, part, keyed)).collect();
    let reduced = parts.join(", ");
    if reduced.len() > MAX_FIELD_BYTES { REDACTED.to_owned() } else { reduced }
}

fn reduce_one(policy: IpPolicy, part: &str, keyed: &Keyed) -> String {
    match parse(part) {
        Some(address) if policy == IpPolicy::Truncate => network(address).to_string(),
        Some(address) => keyed.hide_text(Mode::Hash, &address.to_string()),
        None if resembles_address(part) => REDACTED.to_owned(),
        None => part.to_owned(),
    }
}

/// Reads an address in any of its usual dresses. IPv4 inside IPv6 is IPv4.
fn parse(part: &str) -> Option<IpAddr> {
    fn plain(text: &str) -> Option<IpAddr> {
        let text = text.split(['%', '/']).next().unwrap_or(text);
        text.parse::<IpAddr>().ok().map(|address| address.to_canonical())
    }

    if let Some(rest) = part.strip_prefix('[') {
        return plain(rest.split(']').next().unwrap_or(rest));
    }
    plain(part).or_else(|| plain(part.split_once(':')?.0))
}

/// The addresses in the field `ip_address`, IPv4 as IPv6.
pub(crate) fn addresses(text: &str) -> impl Iterator<Item = Ipv6Addr> {
    text.split(',').filter_map(|part| parse(part.trim())).map(|address| match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    })
}

/// The network of an address: /24 of IPv4, /48 of IPv6.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits() & (u32::MAX << 8)).into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 80)).into(),
    }
}

/// Nothing but digits and dots (`10.001.002.003`), or nothing but hexadecimal digits, dots and more
/// than one colon.
pub(crate) fn resembles_address(part: &str) -> bool {
    let only = |extra: fn(&u8) -> bool| part.bytes().all(|byte| byte == b'.' || extra(&byte));
    let has_digit = part.bytes().any(|byte| byte.is_ascii_digit());
    has_digit && only(u8::is_ascii_digit)
        || part.bytes().filter(|byte| *byte == b':').count() > 1
            && only(|byte| byte.is_ascii_hexdigit() || *byte == b':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_become_their_network() {
        let keyed = Keyed::new(&[7; 32]);
        for (address, expected) in [
            ("203.0.113.9", "203.0.113.0"),
            ("203.0.113.9:8080", "203.0.113.0"),
            ("203.0.113.9/32", "203.0.113.0"),
            ("203.0.113.9, 10.1.2.3", "203.0.113.0, 10.1.2.0"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1::"),
            ("[2001:db8:1:2::6]:443", "2001:db8:1::"),
            ("fe80::1:2%eth0", "fe80::"),
            ("::ffff:203.0.113.9", "203.0.113.0"),
            ("010.001.002.003", REDACTED),
            ("aa:bb:cc:dd:ee:ff", REDACTED),
            ("cloudtrail.amazonaws.com", "cloudtrail.amazonaws.com"),
            ("AWS Internal", "AWS Internal"),
            ("db:5432", "db:5432"),
            ("", ""),
        ] {
            let once = reduce(IpPolicy::Truncate, address, &keyed);
            assert_eq!(once, expected);
            assert_eq!(reduce(IpPolicy::Truncate, &once, &keyed), once);
        }
    }

    #[test]
    fn a_hash_is_of_the_address_and_not_of_its_spelling() {
        let keyed = Keyed::new(&[7; 32]);
        let hash = |address: &str| reduce(IpPolicy::Hash, address, &keyed);
        assert_eq!(hash("2001:db8::1"), hash("[2001:DB8:0:0::1]:443"));
        assert_eq!(hash("203.0.113.9"), hash("::ffff:203.0.113.9"));
        assert!(hash("203.0.113.9").starts_with("hmac:"));
        assert_eq!(hash(&hash("203.0.113.9")), hash("203.0.113.9"));
        assert_eq!(hash("cloudtrail.amazonaws.com"), "cloudtrail.amazonaws.com");
        assert_eq!(reduce(IpPolicy::Keep, " 203.0.113.9 ", &keyed), " 203.0.113.9 ");
    }
}
