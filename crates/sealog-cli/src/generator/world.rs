//! Who is there: the customers of the company, their people, and what works for them.

use super::draw::Draw;

const TENANTS: [(&str, &str); 24] = [
    ("acme", "Acme Tools"),
    ("northwind", "Northwind Trading"),
    ("bluebird", "Bluebird Health"),
    ("cobalt", "Cobalt Energy"),
    ("delft", "Delft Ceramics"),
    ("everglade", "Everglade Insurance"),
    ("fjord", "Fjord Shipping"),
    ("granite", "Granite Construction"),
    ("harbor", "Harbor Legal"),
    ("iris", "Iris Optics"),
    ("juniper", "Juniper Foods"),
    ("kestrel", "Kestrel Aviation"),
    ("lumen", "Lumen Media"),
    ("meridian", "Meridian Bank"),
    ("nimbus", "Nimbus Hosting"),
    ("orchard", "Orchard Schools"),
    ("pioneer", "Pioneer Logistics"),
    ("quartz", "Quartz Analytics"),
    ("ridge", "Ridge Outdoor"),
    ("saffron", "Saffron Hotels"),
    ("tundra", "Tundra Mining"),
    ("umbra", "Umbra Security"),
    ("vela", "Vela Robotics"),
    ("willow", "Willow Care"),
];

const GIVEN: [&str; 40] = [
    "Ada", "Amir", "Anika", "Ben", "Chidi", "Clara", "Diego", "Elif", "Emma", "Farid", "Grace", "Hana", "Ines", "Ivan",
    "Jonas", "Julia", "Kenji", "Lea", "Lina", "Luca", "Maja", "Marta", "Mei", "Nadia", "Noah", "Olga", "Omar", "Paula",
    "Priya", "Rafael", "Rosa", "Samir", "Sofia", "Tariq", "Tomas", "Uma", "Vera", "Wei", "Yara", "Zoe",
];

const FAMILY: [&str; 40] = [
    "Abdi", "Bauer", "Becker", "Costa", "Dahl", "Diaz", "Dubois", "Eriksen", "Fischer", "Garcia", "Haddad", "Hansen",
    "Ito", "Jensen", "Kaya", "Keller", "Khan", "Kim", "Kovac", "Larsen", "Lopez", "Mbeki", "Meyer", "Moreau", "Nair",
    "Novak", "Okafor", "Patel", "Petrov", "Rossi", "Sato", "Schmid", "Silva", "Singh", "Sousa", "Tanaka", "Vogel",
    "Weber", "Yilmaz", "Zhang",
];

const BROWSERS: [&str; 6] = [
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/134.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/134.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/133.0.0.0 Safari/537.36 Edg/133.0.0.0",
    "Mozilla/5.0 (X11; Linux x86_64; rv:136.0) Gecko/20100101 Firefox/136.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.3 Safari/605.1.15",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_3 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.3 Mobile/15E148 Safari/604.1",
];

/// Roles, from the least to the most powerful.
pub(super) const ROLES: [&str; 5] = ["viewer", "member", "editor", "billing", "admin"];

/// The programs that work without a person: name, its user agent, its address.
pub(super) const SERVICES: [(&str, &str, &str); 4] = [
    ("svc-billing", "billing-worker/4.18.2 (linux; rust 1.94)", "10.20.4.11"),
    ("svc-sync", "crm-sync/2.7.0 (linux; node 24.1)", "10.20.4.27"),
    ("svc-mailer", "mailer/1.33.5 (linux; go1.26)", "10.20.5.9"),
    ("svc-reports", "report-runner/3.2.1 (linux; python 3.14)", "10.20.6.40"),
];

/// A person who works at one of the tenants.
#[derive(Debug)]
pub(super) struct Person {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) email: String,
    pub(super) home_ip: String,
    pub(super) browser: &'static str,
    pub(super) tenant: usize,
    /// Index into [`ROLES`].
    pub(super) role: usize,
    /// The hour of the day, in UTC, at which they start; they stay nine hours.
    pub(super) starts: usize,
    pub(super) mfa: bool,
}

impl Person {
    pub(super) fn works_at(&self, hour: usize) -> bool {
        (self.starts..self.starts + 9).contains(&hour)
    }
}

/// Everybody.
#[derive(Debug)]
pub(super) struct World {
    pub(super) people: Vec<Person>,
}

impl World {
    /// Some 600 people at 24 tenants, those of the first ones the most.
    pub(super) fn new(draw: &mut Draw) -> Self {
        let mut people = Vec::new();
        for tenant in 0..TENANTS.len() {
            let staff = 12 + 160 / (tenant + 2);
            for _ in 0..staff {
                let person = Self::person(draw, tenant, people.len());
                people.push(person);
            }
        }
        // The busiest are drawn from the front; they should not all sit at the first tenant.
        for last in (1..people.len()).rev() {
            people.swap(last, draw.below(last + 1));
        }
        Self { people }
    }

    fn person(draw: &mut Draw, tenant: usize, number: usize) -> Person {
        let (given, family) = (draw.pick(&GIVEN), draw.pick(&FAMILY));
        // 198.18.0.0/15 and 2001:db8::/32 belong to nobody (RFC 2544, RFC 3849), and are wide enough.
        let home_ip = if draw.chance(200) {
            format!("2001:db8:{:x}:{:x}::{:x}", draw.below(0xffff), draw.below(0xffff), 1 + draw.below(0xfe))
        } else {
            format!("198.{}.{}.{}", 18 + draw.below(2), draw.below(256), 1 + draw.below(254))
        };
        Person {
            id: format!("usr_{number:04}{}", draw.hex("", 6)),
            name: format!("{given} {family}"),
            email: format!("{}.{}@{}.example", given.to_lowercase(), family.to_lowercase(), TENANTS[tenant].0),
            home_ip,
            browser: draw.pick(&BROWSERS),
            tenant,
            role: if draw.chance(80) { 4 } else { draw.below(4) },
            starts: 6 + draw.below(5),
            mfa: draw.chance(600),
        }
    }

    pub(super) fn tenant(&self, person: usize) -> &'static str {
        TENANTS[self.people[person].tenant].0
    }

    /// Somebody who may be at work at this hour; the same few more often.
    pub(super) fn somebody(&self, draw: &mut Draw, hour: usize) -> usize {
        let mut person = draw.skewed(self.people.len());
        for _ in 0..4 {
            if self.people[person].works_at(hour) {
                break;
            }
            person = draw.below(self.people.len());
        }
        person
    }
}

/// How many tenants there are.
pub(super) const TENANT_COUNT: usize = TENANTS.len();

/// The name of a tenant's company, for documents that speak of it.
pub(super) fn company(number: usize) -> &'static str {
    TENANTS[number % TENANTS.len()].1
}
