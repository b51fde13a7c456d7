//! A company that does not exist: the events of its product, from a seed.
//!
//! Some 600 people at 24 customers sign in, look at records, change them and leave. Services and an
//! assistant work beside them, somebody guesses passwords, and now and then somebody asks for what
//! they may not have. The demo tells its story, and the benchmark measures with it.
//!
//! ```
//! let events: Vec<_> = sealog_cli::Generator::new(7, 1_772_434_800_000).take(3).collect();
//! assert_eq!(events, sealog_cli::Generator::new(7, 1_772_434_800_000).take(3).collect::<Vec<_>>());
//! ```

mod documents;
mod draw;
#[cfg(feature = "serve")]
mod scene;
mod story;
mod world;

use std::collections::VecDeque;

use sealog::{Event, Outcome, Severity, actions};
use serde_json::json;

#[cfg(feature = "serve")]
pub(crate) use scene::Scene;

use documents::Documents;
use draw::Draw;
use world::{TENANT_COUNT, World};

/// How many people are signed in at a time, about.
const SESSIONS: usize = 48;

/// A seeded, endless history. The same seed and start give the same events on every machine.
///
/// The events have no id, so that the log gives them one; timestamps go up from the start, by
/// some seconds in working hours and by more at night (UTC).
#[derive(Debug)]
pub struct Generator {
    draw: Draw,
    now_ms: i64,
    world: World,
    documents: Documents,
    sessions: Vec<Session>,
    attack: Option<Attack>,
    /// What follows at once from what just happened.
    queue: VecDeque<Event>,
}

/// Somebody who is signed in.
#[derive(Debug)]
struct Session {
    person: usize,
    id: String,
    ip: String,
}

/// Somebody who guesses passwords.
#[derive(Debug)]
struct Attack {
    ip: String,
    victim: usize,
    left: usize,
    tried: usize,
}

/// What a person at a browser does next, in parts of 1,000 of what is not done by others.
const VIEWS: usize = 610;
const UPDATES: usize = 165;
const CREATES: usize = 75;
const EXPORTS: usize = 18;
const DELETES: usize = 14;
const PROFILES: usize = 30;
const REFUSALS: usize = 14;

impl Generator {
    /// A history that starts at `start_ms`, milliseconds since the Unix epoch.
    pub fn new(seed: u64, start_ms: i64) -> Self {
        let mut draw = Draw::new(seed);
        let world = World::new(&mut draw);
        let documents = Documents::new(&mut draw, TENANT_COUNT);
        Self {
            draw,
            now_ms: start_ms,
            world,
            documents,
            sessions: Vec::with_capacity(SESSIONS),
            attack: None,
            queue: VecDeque::new(),
        }
    }

    fn hour(&self) -> usize {
        (self.now_ms.div_euclid(3_600_000)).rem_euclid(24) as usize
    }

    fn pass_time(&mut self) {
        let mean_ms = if self.attack.is_some() || !self.queue.is_empty() {
            400
        } else {
            match self.hour() {
                7..=17 => 9_000,
                6 | 18 | 19 => 25_000,
                _ => 90_000,
            }
        };
        self.now_ms += 1 + self.draw.below(2 * mean_ms) as i64;
    }

    fn step(&mut self) -> Event {
        if let Some(event) = self.queue.pop_front() {
            return event.timestamp(self.now_ms);
        }
        if self.attack.is_some() && self.draw.chance(700) {
            return self.attack_step();
        }
        match self.draw.below(1000) {
            0..=1 => self.attack_begins(),
            2..=9 => self.login_failed(),
            10..=24 => self.admin_step(),
            25..=134 => self.service_step(),
            135..=214 => self.agent_step(),
            _ if self.sessions.len() < SESSIONS / 2 => self.login(),
            _ if self.sessions.len() < SESSIONS && self.draw.chance(60) => self.login(),
            _ => self.person_step(),
        }
    }

    /// An event of somebody at a browser.
    fn by(&mut self, action: &str, session: usize) -> Event {
        let session = &self.sessions[session];
        let person = &self.world.people[session.person];
        Event::new(action)
            .timestamp(self.now_ms)
            .actor(person.id.as_str())
            .actor_type("user")
            .actor_name(person.name.as_str())
            .tenant(self.world.tenant(session.person))
            .ip_address(session.ip.as_str())
            .user_agent(person.browser)
            .session(session.id.as_str())
            .request(self.draw.hex("req_", 20))
            .outcome(Outcome::Success)
            .tag("web")
    }

    fn login(&mut self) -> Event {
        let hour = self.hour();
        let person = self.world.somebody(&mut self.draw, hour);
        let home = self.draw.chance(850);
        let ip = if home { self.world.people[person].home_ip.clone() } else { self.roaming_ip() };
        self.sessions.push(Session { person, id: self.draw.hex("ses_", 22), ip });
        let mfa = self.world.people[person].mfa;
        let method = if mfa { "password+totp" } else { "password" };
        let event = self.by(actions::USER_LOGIN, self.sessions.len() - 1).metadata(json!({
            "method": method,
            "mfa": mfa,
            "newDevice": !home,
            // What careless code logs, and what a policy has to catch.
            "sessionToken": self.draw.hex("st_", 32),
        }));
        if home { event } else { event.tag("new-device") }
    }

    fn roaming_ip(&mut self) -> String {
        format!("198.{}.{}.{}", 18 + self.draw.below(2), self.draw.below(256), 1 + self.draw.below(254))
    }

    fn login_failed(&mut self) -> Event {
        let hour = self.hour();
        let person = self.world.somebody(&mut self.draw, hour);
        let ip = self.world.people[person].home_ip.clone();
        self.failed_login(person, ip, 1, "wrong password")
    }

    fn failed_login(&mut self, person: usize, ip: String, attempt: usize, reason: &str) -> Event {
        let victim = &self.world.people[person];
        Event::new(actions::USER_LOGIN_FAILED)
            .timestamp(self.now_ms)
            .actor(victim.id.as_str())
            .actor_type("user")
            .tenant(self.world.tenant(person))
            .resource("account", victim.email.as_str())
            .severity(Severity::Warning)
            .outcome(Outcome::Failure)
            .ip_address(ip)
            .user_agent(victim.browser)
            .request(self.draw.hex("req_", 20))
            .metadata(json!({"reason": reason, "attempt": attempt, "method": "password"}))
            .tag("web")
    }

    fn attack_begins(&mut self) -> Event {
        // Of the blocks kept for documentation (RFC 5737), so that nobody is accused.
        let block = if self.draw.chance(500) { "203.0.113" } else { "198.51.100" };
        let ip = format!("{block}.{}", 1 + self.draw.below(254));
        let victim = self.draw.below(self.world.people.len());
        self.attack = Some(Attack { ip, victim, left: 6 + self.draw.below(18), tried: 0 });
        self.attack_step()
    }

    fn attack_step(&mut self) -> Event {
        let Some(mut attack) = self.attack.take() else { return self.login_failed() };
        attack.tried += 1;
        let mut event = self.failed_login(attack.victim, attack.ip.clone(), attack.tried, "wrong password");
        event.user_agent = Some("python-requests/2.32.3".to_owned());
        if attack.left > 0 {
            // Password spraying tries many accounts from one address.
            if self.draw.chance(300) {
                attack.victim = self.draw.below(self.world.people.len());
            }
            attack.left -= 1;
            self.attack = Some(attack);
            return event;
        }
        for (action, severity, outcome) in [
            (actions::RATE_LIMIT_EXCEEDED, Severity::Warning, Outcome::Denied),
            (actions::SUSPICIOUS_ACTIVITY, Severity::Critical, Outcome::Denied),
        ] {
            self.queue.push_back(
                Event::new(action)
                    .actor("svc-gateway")
                    .actor_type("service")
                    .tenant(self.world.tenant(attack.victim))
                    .resource("account", self.world.people[attack.victim].email.as_str())
                    .severity(severity)
                    .outcome(outcome)
                    .ip_address(attack.ip.as_str())
                    .request(self.draw.hex("req_", 20))
                    .metadata(json!({"rule": "login-burst", "attempts": attack.tried, "windowSeconds": 60}))
                    .tag("gateway"),
            );
        }
        event
    }

    fn person_step(&mut self) -> Event {
        let session = self.draw.skewed(self.sessions.len());
        let tenant = self.world.people[self.sessions[session].person].tenant;
        let mut roll = self.draw.below(1000);
        for (share, what) in [
            (VIEWS, Self::view as fn(&mut Self, usize, usize) -> Event),
            (UPDATES, Self::update),
            (CREATES, Self::create),
            (EXPORTS, Self::export),
            (DELETES, Self::delete),
            (PROFILES, Self::profile),
            (REFUSALS, Self::refused),
        ] {
            if roll < share {
                return what(self, session, tenant);
            }
            roll -= share;
        }
        let event = self.by(actions::USER_LOGOUT, session).metadata(json!({"reason": "signed out"}));
        self.sessions.swap_remove(session);
        event
    }
}

impl Iterator for Generator {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        self.pass_time();
        Some(self.step())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    const START: i64 = 1_772_434_800_000;

    #[test]
    fn a_seed_is_a_history() {
        let one: Vec<Event> = Generator::new(42, START).take(5_000).collect();
        assert_eq!(one, Generator::new(42, START).take(5_000).collect::<Vec<_>>());
        assert_ne!(one, Generator::new(43, START).take(5_000).collect::<Vec<_>>());
        assert!(one.is_sorted_by_key(|event| event.timestamp));
    }

    #[test]
    fn every_predefined_action_occurs_and_nothing_of_the_log_itself() {
        let mut seen: HashMap<String, usize> = HashMap::new();
        for event in Generator::new(42, START).take(60_000) {
            *seen.entry(event.action).or_default() += 1;
        }
        let missing: Vec<_> = actions::ALL.iter().filter(|action| !seen.contains_key(**action)).collect();
        assert!(missing.is_empty(), "{missing:?} do not occur");
        assert!(seen.keys().all(|action| !action.starts_with("sealog.")));
    }

    #[test]
    fn events_have_the_shape_that_the_benchmark_counts_on() {
        let events: Vec<Event> = Generator::new(1, START).take(20_000).collect();
        let bytes: usize = events.iter().map(|event| serde_json::to_vec(event).unwrap().len()).sum();
        let changes = events.iter().filter(|event| event.before.is_some() && event.after.is_some()).count();
        let (mean, share) = (bytes / events.len(), changes * 100 / events.len());
        assert!((400..=700).contains(&mean), "{mean} bytes an event");
        assert!((12..=18).contains(&share), "{share} % are changes");
        assert!(events.iter().all(|event| event.resource_id.is_none() || event.resource_type.is_some()));
    }

    #[test]
    fn people_sign_up_as_themselves() {
        let people: HashMap<_, _> = Generator::new(42, START)
            .take(60_000)
            .filter(|event| event.action == actions::USER_SIGNUP)
            .map(|event| (event.actor_id.clone(), event))
            .collect();
        assert!(!people.is_empty());
        for (actor, event) in people {
            assert_eq!(actor, event.resource_id);
            let family = event.actor_name.as_deref().and_then(|name| name.split(' ').next_back()).unwrap_or_default();
            let email = event.metadata.unwrap_or_default()["email"].to_string();
            assert!(email.contains(&family.to_lowercase()), "{family}: {email}");
        }
    }

    #[test]
    fn a_record_goes_on_where_the_last_change_left_it() {
        let mut states = HashMap::new();
        let mut followed = 0;
        for event in Generator::new(5, START).take(20_000) {
            if !event.action.starts_with("record.") {
                continue;
            }
            let id = event.resource_id.clone().unwrap_or_default();
            if let (Some(before), Some(known)) = (&event.before, states.get(&id)) {
                assert_eq!(before, known);
                followed += 1;
            }
            if let Some(after) = event.after {
                states.insert(id, after);
            }
        }
        assert!(followed > 500);
    }
}
