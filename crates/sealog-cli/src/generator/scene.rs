//! What somebody makes happen: a few events that belong together, and that a rule is there to find.

use sealog::{Event, Severity, actions};
use serde_json::json;

use super::Generator;
use super::world::ROLES;

/// How many events of its kind each scene has: more than the built-in rules let pass.
const EVENTS: usize = 24;

/// Something that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Scene {
    /// Somebody guesses the password of one account.
    FailedLogins,
    /// Somebody deletes many records.
    MassDeletion,
    /// Somebody is made an administrator, and goes to work.
    PrivilegeChange,
    /// Somebody takes the data out.
    MassExport,
}

impl Generator {
    /// The events of a scene. Their timestamps are where the history stands.
    pub(crate) fn scene(&mut self, scene: Scene) -> Vec<Event> {
        self.now_ms += 1;
        if scene == Scene::FailedLogins {
            return self.guessing();
        }
        let mut events = vec![self.login()];
        let session = self.sessions.len() - 1;
        let tenant = self.world.people[self.sessions[session].person].tenant;
        match scene {
            Scene::MassExport => {
                events.extend((0..EVENTS).map(|_| self.export(session, tenant).severity(Severity::Warning)));
            }
            Scene::PrivilegeChange => self.privileges(session, tenant, &mut events),
            _ => {
                for _ in 0..EVENTS {
                    let mut event = self.delete(session, tenant);
                    while event.action != actions::RECORD_DELETED {
                        // Nothing was left to delete, so there is something first.
                        events.push(self.create(session, tenant));
                        event = self.delete(session, tenant);
                    }
                    events.push(event);
                }
            }
        }
        events
    }

    fn guessing(&mut self) -> Vec<Event> {
        let mut attack = self.attack.take();
        let mut events = Vec::new();
        // The first attempt may be at another account than those after it; all of these are at one.
        self.attack_begins();
        let victim = self.attack.as_ref().map_or(0, |attack| attack.victim);
        while let Some(mut begun) = self.attack.take() {
            begun.victim = victim;
            begun.left = EVENTS.saturating_sub(events.len());
            self.attack = Some(begun);
            events.push(self.attack_step());
        }
        events.extend(self.queue.drain(..));
        std::mem::swap(&mut self.attack, &mut attack);
        events
    }

    fn privileges(&mut self, session: usize, tenant: usize, events: &mut Vec<Event>) {
        let other = self.colleague(tenant);
        let target = self.world.people[other].id.clone();
        let (old, new) = (ROLES[0], ROLES[ROLES.len() - 1]);
        self.world.people[other].role = ROLES.len() - 1;
        events.push(
            self.by(actions::USER_ROLE_CHANGED, session)
                .severity(Severity::Critical)
                .resource("user", target.as_str())
                .change(json!({"role": old}), json!({"role": new})),
        );
        events.push(
            self.by(actions::USER_PERMISSIONS_CHANGED, session)
                .severity(Severity::Warning)
                .resource("user", target.as_str())
                .change(
                    json!({"permissions": ["records:read"]}),
                    json!({"permissions": ["records:read", "records:export", "settings:write", "billing:write"]}),
                ),
        );
        events.push(
            self.by(actions::MFA_DISABLED, session)
                .severity(Severity::Warning)
                .resource("user", target)
                .metadata(json!({"method": "totp"})),
        );
        let (key, secret) = (self.draw.hex("key_", 8), self.draw.hex("sk_live_", 32));
        events.push(
            self.by(actions::API_KEY_CREATED, session)
                .severity(Severity::Critical)
                .resource("api_key", key)
                .metadata(json!({"name": "temporary", "scope": "admin", "apiKey": secret})),
        );
    }
}

#[cfg(test)]
mod tests {
    use sealog::{Filter, Rule};

    use super::*;

    #[test]
    fn each_scene_is_what_a_rule_finds() {
        let mut story = Generator::new(42, 1_772_434_800_000);
        for _ in 0..500 {
            story.next();
        }
        let rule = |name: &str| Rule::built_in().into_iter().find(|rule| rule.name == name).unwrap();
        for (scene, action, threshold) in [
            (Scene::FailedLogins, actions::USER_LOGIN_FAILED, 10),
            (Scene::MassDeletion, actions::RECORD_DELETED, 20),
            (Scene::MassExport, actions::RECORD_EXPORTED, 20),
            (Scene::PrivilegeChange, actions::USER_ROLE_CHANGED, 1),
        ] {
            let events = story.scene(scene);
            let mut actors: Vec<_> =
                events.iter().filter(|event| event.action == action).map(|event| event.actor_id.clone()).collect();
            assert!(actors.len() >= threshold, "{scene:?}: {}", actors.len());
            actors.dedup();
            assert_eq!(actors.len(), 1, "{scene:?}: {actors:?}");
            assert!(events.len() <= 3 * EVENTS, "{scene:?}");
        }
        assert_eq!(rule("mass-export").filter, Filter::new().action(actions::RECORD_EXPORTED));
    }
}
