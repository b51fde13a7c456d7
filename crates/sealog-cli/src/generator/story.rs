//! What people, services and the assistant do, one event each.

use sealog::{Event, Outcome, Severity, actions};
use serde_json::{Value, json};

use super::Generator;
use super::documents::Edit;
use super::world::{ROLES, SERVICES};

/// The assistant that works for people, on their behalf.
const AGENT: &str = "agent-atlas";
const AGENT_PROGRAM: &str = "atlas/1.12.0 (tool-use; +https://atlas.example/agent)";

/// The settings of a tenant: key, and the values it takes.
const SETTINGS: [(&str, [&str; 3]); 6] = [
    ("security.sessionTimeoutMinutes", ["30", "60", "480"]),
    ("security.mfaPolicy", ["optional", "admins", "everyone"]),
    ("sharing.externalLinks", ["off", "view", "edit"]),
    ("billing.invoiceLanguage", ["en", "de", "fr"]),
    ("retention.deletedRecordsDays", ["30", "90", "365"]),
    ("branding.theme", ["light", "dark", "system"]),
];

fn named(action: &str, mut event: Event) -> Event {
    action.clone_into(&mut event.action);
    event
}

fn with_edit(mut event: Event, edit: Edit) -> Event {
    event.before = edit.before;
    event.after = edit.after;
    event.resource(edit.kind, edit.id)
}

impl Generator {
    pub(super) fn view(&mut self, session: usize, tenant: usize) -> Event {
        let document = self.documents.any(&mut self.draw, tenant);
        let (kind, id) = (document.kind(), document.id.clone());
        let page = self.draw.pick(&["detail", "list", "search", "activity"]);
        let millis = 8 + self.draw.skewed(400);
        self.by(actions::RECORD_VIEWED, session)
            .resource(kind, id)
            .metadata(json!({"view": page, "durationMs": millis}))
    }

    pub(super) fn update(&mut self, session: usize, tenant: usize) -> Event {
        let edit = self.documents.update(&mut self.draw, tenant);
        let event = self.by(actions::RECORD_UPDATED, session).metadata(json!({"form": edit.kind}));
        with_edit(event, edit)
    }

    pub(super) fn create(&mut self, session: usize, tenant: usize) -> Event {
        let edit = self.documents.create(&mut self.draw, tenant);
        let event = self.by(actions::RECORD_CREATED, session).metadata(json!({"form": edit.kind}));
        with_edit(event, edit)
    }

    pub(super) fn delete(&mut self, session: usize, tenant: usize) -> Event {
        match self.documents.delete(&mut self.draw, tenant) {
            Some(edit) => with_edit(self.by(actions::RECORD_DELETED, session).severity(Severity::Warning), edit),
            None => self.view(session, tenant),
        }
    }

    pub(super) fn export(&mut self, session: usize, _tenant: usize) -> Event {
        let rows = 20 + self.draw.skewed(60_000);
        let format = self.draw.pick(&["csv", "xlsx", "pdf"]);
        let kind = self.draw.pick(&["customer", "invoice", "ticket", "contract"]);
        let event = self
            .by(actions::RECORD_EXPORTED, session)
            .resource("collection", kind)
            .metadata(json!({"format": format, "rows": rows}))
            .tag("export");
        if rows > 20_000 { event.severity(Severity::Warning).tag("bulk") } else { event }
    }

    /// What people do to their own account.
    pub(super) fn profile(&mut self, session: usize, _tenant: usize) -> Event {
        let who = self.sessions[session].person;
        let id = self.world.people[who].id.clone();
        match self.draw.below(8) {
            0 | 1 => {
                self.by(actions::PASSWORD_CHANGED, session).resource("user", id).metadata(json!({"strength": "strong"}))
            }
            2 => {
                let mut done = self.by(actions::PASSWORD_RESET_COMPLETED, session).resource("user", id.as_str());
                done.metadata = None;
                self.queue.push_back(done);
                let email = self.world.people[who].email.clone();
                self.by(actions::PASSWORD_RESET_REQUESTED, session)
                    .resource("user", id)
                    .metadata(json!({"sentTo": email, "resetToken": self.draw.hex("rst_", 24)}))
            }
            3 | 4 => {
                let on = !self.world.people[who].mfa;
                self.world.people[who].mfa = on;
                let (action, severity) = if on {
                    (actions::MFA_ENABLED, Severity::Info)
                } else {
                    (actions::MFA_DISABLED, Severity::Warning)
                };
                self.by(action, session).severity(severity).resource("user", id).metadata(json!({"method": "totp"}))
            }
            _ => {
                let zones = ["Europe/Berlin", "Europe/Lisbon", "America/Toronto", "Asia/Osaka"];
                let (old, new) = (self.draw.below(4), 1 + self.draw.below(3));
                let name = self.world.people[who].name.clone();
                let state = |zone: usize| json!({"name": name, "timeZone": zones[zone % 4], "newsletter": zone > 3});
                self.by(actions::USER_UPDATED, session).resource("user", id).change(state(old), state(old + new))
            }
        }
    }

    /// Somebody asks for what their role does not give.
    pub(super) fn refused(&mut self, session: usize, tenant: usize) -> Event {
        let document = self.documents.any(&mut self.draw, tenant);
        let (kind, id) = (document.kind(), document.id.clone());
        let role = ROLES[self.world.people[self.sessions[session].person].role];
        let needed = self.draw.pick(&["records:delete", "records:export", "settings:write", "billing:read"]);
        self.by(actions::UNAUTHORIZED_ACCESS, session)
            .severity(Severity::Warning)
            .outcome(Outcome::Denied)
            .resource(kind, id)
            .metadata(json!({"needed": needed, "role": role, "status": 403}))
    }

    /// What administrators do to others and to their tenant.
    pub(super) fn admin_step(&mut self) -> Event {
        if self.sessions.is_empty() {
            return self.login();
        }
        let session = self.draw.below(self.sessions.len());
        let tenant = self.world.people[self.sessions[session].person].tenant;
        let other = self.colleague(tenant);
        let target = self.world.people[other].id.clone();
        match self.draw.below(16) {
            0..=3 => {
                let old = self.world.people[other].role;
                let new = (old + 1 + self.draw.below(ROLES.len() - 1)) % ROLES.len();
                self.world.people[other].role = new;
                let severity = if new == ROLES.len() - 1 { Severity::Warning } else { Severity::Info };
                self.by(actions::USER_ROLE_CHANGED, session)
                    .severity(severity)
                    .resource("user", target)
                    .change(json!({"role": ROLES[old]}), json!({"role": ROLES[new]}))
            }
            4 | 5 => {
                let grant = self.draw.pick(&["billing:read", "records:export", "settings:write"]);
                self.by(actions::USER_PERMISSIONS_CHANGED, session)
                    .resource("user", target)
                    .change(json!({"permissions": ["records:read"]}), json!({"permissions": ["records:read", grant]}))
            }
            6..=9 => self.setting(session),
            10 | 11 => {
                let key = self.draw.hex("key_", 8);
                let scope = self.draw.pick(&["read", "read-write", "admin"]);
                self.by(actions::API_KEY_CREATED, session)
                    .severity(if scope == "admin" { Severity::Warning } else { Severity::Info })
                    .resource("api_key", key)
                    .metadata(json!({"name": "ci pipeline", "scope": scope, "apiKey": self.draw.hex("sk_live_", 32)}))
            }
            12 => {
                let key = self.draw.hex("key_", 8);
                self.by(actions::API_KEY_REVOKED, session)
                    .resource("api_key", key)
                    .metadata(json!({"reason": "rotated", "lastUsedDays": self.draw.below(90)}))
            }
            13 => self.by(actions::USER_CREATED, session).resource("user", target).metadata(json!({"invited": true})),
            14 => self.by(actions::USER_DELETED, session).severity(Severity::Warning).resource("user", target),
            _ => {
                // Who was invited signs up by themselves, at home, before they have a session.
                let event = self.by(actions::USER_SIGNUP, session);
                let password = self.draw.hex("", 12);
                let invited = &self.world.people[other];
                let mut event = event
                    .actor(target.as_str())
                    .actor_name(invited.name.as_str())
                    .tenant(self.world.tenant(other))
                    .ip_address(invited.home_ip.as_str())
                    .user_agent(invited.browser)
                    .resource("user", target)
                    .metadata(json!({"email": invited.email, "source": "invitation", "password": password}));
                event.session_id = None;
                event
            }
        }
    }

    fn setting(&mut self, session: usize) -> Event {
        let event = self.by(actions::SETTINGS_CHANGED, session);
        if self.draw.chance(250) {
            // A secret changes: the log shows that it did, and neither the old one nor the new one.
            let (old, new) = (self.draw.hex("whsec_", 24), self.draw.hex("whsec_", 24));
            let url = "https://hooks.example/sealed";
            return event.severity(Severity::Warning).resource("settings", "webhooks.delivery").change(
                json!({"url": url, "retries": 3, "secret": old}),
                json!({"url": url, "retries": 5, "secret": new}),
            );
        }
        let (key, values) = self.draw.pick(&SETTINGS);
        let old = self.draw.below(3);
        let new = (old + 1 + self.draw.below(2)) % 3;
        let severity = if key.starts_with("security.") { Severity::Warning } else { Severity::Info };
        event
            .severity(severity)
            .resource("settings", key)
            .change(json!({"value": values[old]}), json!({"value": values[new]}))
    }

    /// Somebody of the same tenant; after some tries, anybody.
    pub(super) fn colleague(&mut self, tenant: usize) -> usize {
        let mut person = 0;
        for _ in 0..30 {
            person = self.draw.below(self.world.people.len());
            if self.world.people[person].tenant == tenant {
                break;
            }
        }
        person
    }

    pub(super) fn service_step(&mut self) -> Event {
        let (name, program, address) = SERVICES[self.draw.skewed(SERVICES.len())];
        let person = self.draw.skewed(self.world.people.len());
        let tenant = self.world.people[person].tenant;
        let event = Event::new(actions::RECORD_VIEWED)
            .timestamp(self.now_ms)
            .actor(name)
            .actor_type("service")
            .tenant(self.world.tenant(person))
            .ip_address(address)
            .user_agent(program)
            .request(self.draw.hex("req_", 20))
            .outcome(Outcome::Success)
            .tag("automation");
        let job = self.draw.hex("job_", 10);
        match self.draw.below(10) {
            0..=2 => with_edit(named(actions::RECORD_UPDATED, event), self.documents.update(&mut self.draw, tenant))
                .metadata(json!({"job": job, "attempt": 1})),
            3 => named("job.failed", event)
                .severity(Severity::Error)
                .outcome(Outcome::Failure)
                .resource("job", job)
                .metadata(
                    json!({"error": "upstream timeout", "attempt": 1 + self.draw.below(4), "retryInSeconds": 30}),
                ),
            4..=6 => named("email.sent", event)
                .resource("user", self.world.people[person].id.as_str())
                .metadata(json!({"template": "invoice-reminder", "job": job})),
            _ => {
                let document = self.documents.any(&mut self.draw, tenant);
                event
                    .resource(document.kind(), document.id.as_str())
                    .metadata(json!({"job": job, "durationMs": self.draw.below(40)}))
            }
        }
    }

    /// The assistant does what somebody asked it to, and sometimes more.
    pub(super) fn agent_step(&mut self) -> Event {
        if self.sessions.is_empty() {
            return self.login();
        }
        let session = self.draw.skewed(self.sessions.len());
        let (person, id) = (self.sessions[session].person, self.sessions[session].id.clone());
        let tenant = self.world.people[person].tenant;
        let run = self.draw.hex("run_", 12);
        let about = |tool: &str| -> Value { json!({"tool": tool, "run": run, "model": "atlas-2"}) };
        let event = Event::new(actions::RECORD_VIEWED)
            .timestamp(self.now_ms)
            .actor(AGENT)
            .actor_type("agent")
            .on_behalf_of(self.world.people[person].id.as_str())
            .tenant(self.world.tenant(person))
            .ip_address("10.20.9.3")
            .user_agent(AGENT_PROGRAM)
            .session(id)
            .request(self.draw.hex("req_", 20))
            .outcome(Outcome::Success)
            .tag("agent");
        match self.draw.below(20) {
            0..=3 => with_edit(
                named(actions::RECORD_UPDATED, event).metadata(about("update_record")),
                self.documents.update(&mut self.draw, tenant),
            ),
            4 => with_edit(
                named(actions::RECORD_CREATED, event).metadata(about("create_record")),
                self.documents.create(&mut self.draw, tenant),
            ),
            5 => named(actions::UNAUTHORIZED_ACCESS, event)
                .severity(Severity::Error)
                .outcome(Outcome::Denied)
                .resource("settings", "security.mfaPolicy")
                .metadata(about("change_setting")),
            _ => {
                let document = self.documents.any(&mut self.draw, tenant);
                event.resource(document.kind(), document.id.as_str()).metadata(about("read_record"))
            }
        }
    }
}
