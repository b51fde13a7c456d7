//! A small generator of events, until the one of the command line's demo can be used here.

use sealog::{Event, Outcome, Severity, actions};
use serde_json::{Value, json};

/// An endless stream of events that depends on nothing but its seed.
pub(crate) struct Generator {
    state: u64,
    now_ms: i64,
}

impl Generator {
    pub(crate) fn new(seed: u64, start_ms: i64) -> Self {
        Self { state: seed, now_ms: start_ms }
    }

    /// SplitMix64 (Steele, Lea and Flood, 2014).
    fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next_u64() % bound
    }

    /// Few are seen often, most seldom, as in life.
    fn skewed(&mut self, bound: u64) -> u64 {
        let widest = self.below(bound) + 1;
        self.below(widest)
    }

    fn invoice(&mut self) -> Value {
        json!({
            "number": format!("2025-{:06}", self.below(1_000_000)),
            "amountCents": self.below(500_000),
            "currency": "EUR",
            "status": (["draft", "sent", "paid", "overdue"][self.below(4) as usize]),
            "customer": { "id": format!("c-{}", self.skewed(5_000)), "country": "NL" },
        })
    }
}

impl Iterator for Generator {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        self.now_ms += self.below(200) as i64;
        let actor = self.skewed(2_000);
        let tenant = self.skewed(40);
        let kind = self.below(100);
        let event = match kind {
            0..30 => Event::new(actions::RECORD_VIEWED).resource("invoice", format!("i-{}", self.skewed(50_000))),
            30..55 => {
                let before = self.invoice();
                let mut after = before.clone();
                after["status"] = "paid".into();
                after["amountCents"] = self.below(500_000).into();
                Event::new(actions::RECORD_UPDATED)
                    .resource("invoice", format!("i-{}", self.skewed(50_000)))
                    .change(before, after)
            }
            55..80 => Event::new(actions::USER_LOGIN).outcome(Outcome::Success),
            80..90 => {
                Event::new(actions::USER_LOGIN_FAILED).severity(Severity::Warning).outcome(Outcome::Failure).tag("auth")
            }
            90..97 => Event::new(actions::API_KEY_CREATED).resource("api_key", format!("k-{}", self.below(9_000))),
            _ => Event::new(actions::UNAUTHORIZED_ACCESS).severity(Severity::Error).outcome(Outcome::Denied),
        };
        let event = event
            .timestamp(self.now_ms)
            .actor(format!("u-{actor}"))
            .actor_type("user")
            .tenant(format!("tenant-{tenant}"))
            .retention_category(if kind < 55 { "business" } else { "security" })
            .ip_address(format!("198.51.100.{}", self.skewed(256)))
            .user_agent("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
            .session(format!("s-{:016x}", self.skewed(100_000)))
            .request(format!("{:016x}{:016x}", self.next_u64(), self.next_u64()))
            .metadata(json!({ "region": "eu-west-1", "latencyMs": self.skewed(900), "route": "/api/v2/invoices" }));
        Some(event)
    }
}
