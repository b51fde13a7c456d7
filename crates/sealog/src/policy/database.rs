//! The rules for who redacts inside a database: in PostgreSQL, and in the triggers of a tracked table.

use serde_json::{Map, Value, json};

use super::compiled::Compiled;
use super::paths::stronger;
use super::{IpPolicy, Mode};

impl Compiled {
    /// How a column of a tracked table is hidden, if it is: by its name, or by a path into either state.
    pub(crate) fn column_mode(&self, name: &str) -> Option<Mode> {
        let rules = &self.rules;
        let by_path = |paths: &super::paths::Paths| paths.enter_member(&paths.start(), name, &mut Vec::new());
        stronger(by_path(&rules.before), by_path(&rules.after)).or_else(|| rules.names.mode(name))
    }

    /// All rules, in the form that the functions in `journal/postgres/functions` read. The key is not in it.
    #[cfg_attr(not(feature = "postgres"), expect(dead_code, reason = "only PostgreSQL redacts events by itself"))]
    pub(crate) fn database_rules(&self) -> Value {
        let rules = &self.rules;
        let names = rules.names.all().map(|(name, mode)| (name.to_owned(), json!(mode))).collect::<Map<_, _>>();
        let mut all = json!({
            "names": names,
            "metadata": rules.metadata.places(),
            "before": rules.before.places(),
            "after": rules.after.places(),
            "ipAddress": match self.ip_address {
                IpPolicy::Keep => "keep",
                IpPolicy::Truncate => "truncate",
                IpPolicy::Hash => "hash",
            },
            "maxFutureMs": self.max_future_ms,
        });
        if !rules.detectors.is_empty() {
            all["detectors"] = json!(rules.detectors.list());
            all["detectorMode"] = json!(rules.detector_mode);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::{Detector, IpPolicy, Mode, Policy};
    use serde_json::json;

    #[test]
    fn rules_for_a_database_say_all_but_the_key() {
        let policy = Policy::default()
            .defaults(false)
            .redact_with("e-mail", Mode::Mask)
            .redact_path("before.items.0.pin")
            .redact_path_with("metadata.*.ip", Mode::Remove)
            .detect(Detector::CardNumber)
            .ip_address(IpPolicy::Truncate);
        let rules = policy.compile([7; 32]).unwrap().database_rules();
        let pin = json!({"members": {"pin": {"mode": "redact"}}});
        assert_eq!(
            rules,
            json!({
                "names": {"email": "mask"},
                "metadata": [{"inside": false, "node": {"any": {"members": {"ip": {"mode": "remove"}}}}}],
                "before": [{"inside": false, "node": {"members": {"items": {
                    "members": {"0": pin}, "elements": {"0": pin}
                }}}}],
                "after": [],
                "ipAddress": "truncate",
                "maxFutureMs": 300_000,
                "detectors": ["cardNumber"],
                "detectorMode": "redact"
            })
        );
    }

    #[test]
    fn a_column_is_hidden_by_its_name_or_by_a_path() {
        let policy = Policy::default().redact_with("e_mail", Mode::Hash).redact_path_with("after.EMail", Mode::Mask);
        let compiled = policy.redact_path("before.note").compile([7; 32]).unwrap();
        let modes = ["password", "email", "note", "name"].map(|name| compiled.column_mode(name));
        assert_eq!(modes, [Some(Mode::Redact), Some(Mode::Mask), Some(Mode::Redact), None]);
    }
}
