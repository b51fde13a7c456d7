//! What is worked on: records that are created, evolve one field at a time, and go.

use serde_json::{Value, json};

use super::draw::Draw;
use super::world::company;

/// The most records that exist at once; past it, old ones are reused, so that a benchmark of any
/// length stays in bounded memory.
const MAX_DOCUMENTS: usize = 20_000;

const KINDS: [&str; 4] = ["customer", "invoice", "ticket", "contract"];
const PLANS: [&str; 4] = ["free", "team", "business", "enterprise"];
const CITIES: [(&str, &str); 8] = [
    ("Berlin", "DE"),
    ("Lisbon", "PT"),
    ("Lagos", "NG"),
    ("Osaka", "JP"),
    ("Toronto", "CA"),
    ("Austin", "US"),
    ("Pune", "IN"),
    ("Oslo", "NO"),
];
const INVOICE_STATES: [&str; 5] = ["draft", "sent", "overdue", "paid", "refunded"];
const TICKET_STATES: [&str; 5] = ["open", "triaged", "in progress", "waiting for customer", "closed"];
const PRIORITIES: [&str; 4] = ["low", "normal", "high", "urgent"];
const CONTRACT_STATES: [&str; 4] = ["draft", "in review", "signed", "ended"];
const SKUS: [&str; 5] = ["SEAT-TEAM", "SEAT-BUSINESS", "STORAGE-100G", "SUPPORT-GOLD", "SETUP"];
const TITLES: [&str; 8] = [
    "Export stops at page 3",
    "Wrong VAT on the March invoice",
    "Cannot invite a colleague",
    "Dashboard is slow on Mondays",
    "Webhook arrives twice",
    "SSO redirect loops",
    "Date shows a day early",
    "Logo is cut off in PDF",
];

/// A record, kept as the few numbers that its JSON is made from.
#[derive(Debug)]
pub(super) struct Document {
    kind: usize,
    pub(super) id: String,
    version: u32,
    fields: [u32; 6],
}

impl Document {
    fn new(draw: &mut Draw) -> Self {
        let kind = draw.below(KINDS.len());
        let prefix = ["cus_", "inv_", "tkt_", "con_"][kind];
        let mut fields = [0; 6];
        for field in &mut fields {
            *field = draw.below(100_000) as u32;
        }
        // A new record starts at the first of its states.
        fields[0] = 0;
        Self { kind, id: draw.hex(prefix, 12), version: 1, fields }
    }

    pub(super) fn kind(&self) -> &'static str {
        KINDS[self.kind]
    }

    /// Changes one or two things, as an edit does.
    fn evolve(&mut self, draw: &mut Draw) {
        self.version += 1;
        match draw.below(10) {
            0..=4 => self.fields[0] = self.fields[0].wrapping_add(1),
            5..=6 => self.fields[1] = self.fields[1].wrapping_add(1 + draw.below(40) as u32),
            7..=8 => self.fields[2] = draw.below(100_000) as u32,
            _ => {
                self.fields[0] = self.fields[0].wrapping_add(1);
                self.fields[3] = draw.below(100_000) as u32;
            }
        }
    }

    fn json(&self) -> Value {
        let [state, count, a, b, c, d] = self.fields.map(|field| field as usize);
        match self.kind {
            0 => {
                let (city, country) = CITIES[b % CITIES.len()];
                json!({
                    "name": company(c),
                    "plan": PLANS[state % PLANS.len()],
                    "seats": 1 + count % 400,
                    "contact": {"phone": format!("+1 555 01{:02}", a % 100), "city": city, "country": country},
                    "labels": [if d % 2 == 0 { "partner" } else { "direct" }],
                    "version": self.version,
                })
            }
            1 => {
                let (quantity, price) = (1 + count % 40, 900 + (a % 90) * 50);
                json!({
                    "number": format!("INV-{:06}", c),
                    "status": INVOICE_STATES[state % INVOICE_STATES.len()],
                    "currency": if d % 3 == 0 { "USD" } else { "EUR" },
                    "lines": [{"sku": SKUS[b % SKUS.len()], "quantity": quantity, "unitPriceCents": price}],
                    "totalCents": quantity * price,
                    "version": self.version,
                })
            }
            2 => json!({
                "title": TITLES[c % TITLES.len()],
                "state": TICKET_STATES[state % TICKET_STATES.len()],
                "priority": PRIORITIES[b % PRIORITIES.len()],
                "comments": count % 30,
                "assignee": format!("usr_{:04}", a % 600),
                "version": self.version,
            }),
            _ => json!({
                "party": company(c),
                "status": CONTRACT_STATES[state % CONTRACT_STATES.len()],
                "valueCents": 100_000 + (a % 5_000) * 1_000,
                "term": {"months": 6 + count % 36, "renews": b % 2 == 0},
                "signatures": {"seller": state % CONTRACT_STATES.len() >= 1, "buyer": state % CONTRACT_STATES.len() >= 2},
                "version": self.version,
            }),
        }
    }
}

/// The records of all tenants.
#[derive(Debug)]
pub(super) struct Documents(Vec<Vec<Document>>);

/// An edit: which record, and its state on both sides.
#[derive(Debug)]
pub(super) struct Edit {
    pub(super) kind: &'static str,
    pub(super) id: String,
    pub(super) before: Option<Value>,
    pub(super) after: Option<Value>,
}

impl Documents {
    pub(super) fn new(draw: &mut Draw, tenants: usize) -> Self {
        Self((0..tenants).map(|_| (0..40).map(|_| Document::new(draw)).collect()).collect())
    }

    /// A record to look at: the newest more often than the old.
    pub(super) fn any(&self, draw: &mut Draw, tenant: usize) -> &Document {
        let list = &self.0[tenant];
        &list[list.len() - 1 - draw.skewed(list.len())]
    }

    pub(super) fn create(&mut self, draw: &mut Draw, tenant: usize) -> Edit {
        let full = MAX_DOCUMENTS / self.0.len();
        let list = &mut self.0[tenant];
        let document = Document::new(draw);
        let edit = Edit { kind: document.kind(), id: document.id.clone(), before: None, after: Some(document.json()) };
        if list.len() < full {
            list.push(document);
        } else {
            let old = draw.below(full / 2);
            list[old] = document;
        }
        edit
    }

    pub(super) fn update(&mut self, draw: &mut Draw, tenant: usize) -> Edit {
        let list = &mut self.0[tenant];
        let place = list.len() - 1 - draw.skewed(list.len());
        let document = &mut list[place];
        let before = document.json();
        document.evolve(draw);
        Edit { kind: document.kind(), id: document.id.clone(), before: Some(before), after: Some(document.json()) }
    }

    /// `None` when so few are left that deleting would leave nothing to look at.
    pub(super) fn delete(&mut self, draw: &mut Draw, tenant: usize) -> Option<Edit> {
        let list = &mut self.0[tenant];
        if list.len() < 10 {
            return None;
        }
        let document = list.swap_remove(draw.below(list.len()));
        Some(Edit { kind: document.kind(), before: Some(document.json()), id: document.id, after: None })
    }
}
