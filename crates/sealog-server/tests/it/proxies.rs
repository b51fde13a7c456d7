//! Whose request it is, where it comes through a proxy.

use sealog_server::{Network, Options};

use crate::support::{Served, status_of};

#[tokio::test]
async fn only_a_trusted_proxy_says_whose_refusal_it_was() {
    for (trusted, forwarded, expected) in [
        // Whoever asks directly is who they are, whatever they say.
        (None, ["198.51.100.1", "198.51.100.2", "198.51.100.3"], [401, 401, 429]),
        (Some("192.0.2.0/24"), ["198.51.100.1", "198.51.100.2", "198.51.100.3"], [401, 401, 429]),
        // Behind a proxy each has their own.
        (Some("127.0.0.1"), ["198.51.100.1", "198.51.100.1", "198.51.100.1"], [401, 401, 429]),
        (Some("127.0.0.1"), ["198.51.100.1", "198.51.100.1", "198.51.100.2"], [401, 401, 401]),
        // What they sent to the proxy does not count, but what it says of them.
        (Some("127.0.0.1"), ["1.1.1.1, 198.51.100.1", "2.2.2.2, 198.51.100.1", "198.51.100.1"], [401, 401, 429]),
    ] {
        let mut options = Options::default();
        options.limits.max_refusals_per_minute = 2;
        options.trusted_proxies.extend(trusted.map(|network| network.parse::<Network>().expect("a network")));
        let served = Served::with(options).await;
        let mut statuses = Vec::new();
        for client in forwarded {
            let head = "GET /v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer wrong\r\nconnection: close\r\n";
            let request = format!("{head}x-forwarded-for: {client}\r\n\r\n");
            statuses.push(status_of(&served.send(request.as_bytes()).await).0);
        }
        assert_eq!(statuses, expected, "{trusted:?} {forwarded:?}");
    }
}
