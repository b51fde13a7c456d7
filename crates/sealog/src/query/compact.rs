//! The filter as people write it: `actor:u1 severity>=warning "reset link" since:7d`.

use std::fmt;

use jiff::Timestamp;

use super::text::{self, Char};
use super::{Filter, Resource};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Severity;

/// The keys, for people.
const KEYS: &str = "severity: (or severity>=), action:, actor:, actor-type:, resource-type:, resource:, tag:, \
                    outcome:, tenant:, ip:, session:, request:, retention:, since:, until:, changed:";

impl Filter {
    /// Reads a filter from the compact form that people write. Times such as `7d` are before `now_ms`, in
    /// milliseconds since the Unix epoch.
    ///
    /// ```
    /// use sealog::{Filter, Severity};
    ///
    /// let now_ms = 1_769_904_000_000;
    /// let filter = Filter::parse(r#"actor:u1,u2 severity>=error since:7d "reset link" -expired"#, now_ms).unwrap();
    /// let same = Filter::new()
    ///     .actor("u1")
    ///     .actor("u2")
    ///     .severity_from(Severity::Error)
    ///     .from_timestamp(now_ms - 7 * 24 * 60 * 60 * 1000)
    ///     .text("\"reset link\" -expired");
    /// assert_eq!(filter, same);
    /// assert_eq!(
    ///     filter.to_string(),
    ///     r#"severity>=error actor:u1,u2 since:2026-01-25T00:00:00.000Z "reset link" -expired"#
    /// );
    /// ```
    ///
    /// White space separates conditions, all of which must hold. Any other word is one of the text. A
    /// double quote holds together what stands between it and the next, and a backslash takes the meaning
    /// from the next character.
    ///
    /// | condition | is met by |
    /// |---|---|
    /// | `severity:error` | this severity |
    /// | `severity>=warning` | this severity and every higher one |
    /// | `action:user.login`, `action:user.*` | this action, each that begins with `user.` |
    /// | `actor:u1`, `actor-type:user` | this actor, this kind of actor |
    /// | `resource:invoice:i-4`, `resource-type:invoice` | this resource, this kind of resource |
    /// | `tag:a` | this tag |
    /// | `outcome:denied` | this outcome |
    /// | `tenant:acme` | this tenant |
    /// | `ip:203.0.113.9`, `ip:10.0.0.0/8` | this address, this network |
    /// | `session:s-1`, `request:r-1` | this session, this request |
    /// | `retention:short` | this retention category |
    /// | `since:7d`, `until:2026-01-31` | not before this time, before this time |
    /// | `changed:spec.replicas` | a change that touches this path |
    ///
    /// Commas separate alternatives (`actor:u1,u2`), and a key that comes again adds more of them. Of
    /// tags, `tag:a,b` asks for any, and `tag:a tag:b` for each; `tag:a,` is the `tag:a,b` of one tag.
    ///
    /// A time is an age in seconds (`45s`), minutes (`30m`), hours (`12h`), days (`7d`) or weeks (`2w`), a
    /// date in UTC (`2026-01-31`), a time of RFC 3339 (`2026-01-31T08:30:00Z`), or milliseconds since the
    /// Unix epoch.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] when a key is unknown, which quotes make text (`"http://x"`), when a
    /// quote is not closed, when a condition with one value is given two, or when a value makes no sense;
    /// the pointer then names the field in JSON.
    pub fn parse(text: &str, now_ms: i64) -> Result<Self> {
        let mut filter = Self::new();
        filter.add_compact(text, now_ms)?;
        filter.validate()?;
        Ok(filter)
    }

    /// Adds the conditions of a text, which remain to be validated.
    pub(super) fn add_compact(&mut self, text: &str, now_ms: i64) -> Result<()> {
        let mut terms: Vec<String> = self.text.take().into_iter().collect();
        for token in text::tokens(text)? {
            if let Some(end) = token.end_of_key() {
                let (key, value) = token.chars.split_at(end);
                self.add_condition(&text::string(key), value, now_ms)?;
            } else {
                terms.extend(token.term().map(|term| term.to_string()));
            }
        }
        self.text = Some(terms.join(" ")).filter(|text| !text.is_empty());
        Ok(())
    }

    fn add_condition(&mut self, key: &str, value: &[Char], now_ms: i64) -> Result<()> {
        let mut alternatives = value.split(|char| *char == (',', false));
        let mut values = alternatives.clone().map(text::string);
        match key {
            "severity:" => values.try_for_each(|value| value.parse().map(|severity| self.severities.push(severity)))?,
            "severity>=" => {
                let lowest: Severity = text::string(value).parse()?;
                self.severities.extend(&Severity::ALL[lowest as usize..]);
            }
            "action:" => self.actions.extend(values),
            "actor:" => self.actor_ids.extend(values),
            "actor-type:" => self.actor_types.extend(values),
            "resource-type:" => self.resource_types.extend(values),
            "resource:" => alternatives.try_for_each(|value| once(&mut self.resource, key, resource(value)?))?,
            "tag:" => self.add_tags(values.collect())?,
            "outcome:" => values.try_for_each(|value| value.parse().map(|outcome| self.outcomes.push(outcome)))?,
            "tenant:" => values.try_for_each(|value| once(&mut self.tenant, key, value))?,
            "ip:" => self.ip_addresses.extend(values),
            "session:" => values.try_for_each(|value| once(&mut self.session_id, key, value))?,
            "request:" => values.try_for_each(|value| once(&mut self.request_id, key, value))?,
            "retention:" => self.retention_categories.extend(values),
            "since:" => values.try_for_each(|value| once(&mut self.from_timestamp, key, time(&value, now_ms)?))?,
            "until:" => values.try_for_each(|value| once(&mut self.to_timestamp, key, time(&value, now_ms)?))?,
            "changed:" => values.try_for_each(|value| once(&mut self.changed, key, value))?,
            _ => {
                let word = text::quote(&format!("{key}{}", text::string(value)));
                return Err(wrong(format!(
                    "there is no condition `{key}`; put it in quotes if it is text: {word}. The keys are {KEYS}"
                )));
            }
        }
        Ok(())
    }

    fn add_tags(&mut self, mut tags: Vec<String>) -> Result<()> {
        if tags.len() == 1 {
            self.tags_all.append(&mut tags);
        } else if self.tags_any.is_empty() {
            tags.pop_if(|last| last.is_empty());
            self.tags_any = tags;
        } else {
            return Err(wrong(format!(
                "`tag:{}` is a second list of tags of which an event must have one, after `tag:{}`, and a filter holds \
                 one such list; `tag:a tag:b` asks for each",
                tags.join(","),
                self.tags_any.join(",")
            )));
        }
        Ok(())
    }
}

fn wrong(message: String) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}

/// Sets what can have one value only.
fn once<T: PartialEq>(slot: &mut Option<T>, key: &str, value: T) -> Result<()> {
    if slot.as_ref().is_some_and(|first| *first != value) {
        return Err(wrong(format!(
            "`{key}` has two different values, and takes one; put a value with a comma in quotes"
        )));
    }
    *slot = Some(value);
    Ok(())
}

fn resource(value: &[Char]) -> Result<Resource> {
    let mut parts = value.splitn(2, |char| *char == (':', false)).map(text::string);
    match (parts.next(), parts.next()) {
        (Some(kind), Some(id)) => Ok(Resource { kind, id }),
        _ => Err(wrong(format!(
            "`resource:{}` has no `:` between type and id, as in `resource:invoice:i-4`",
            text::string(value)
        ))),
    }
}

fn time(text: &str, now_ms: i64) -> Result<i64> {
    // A date is a time of RFC 3339 that stops early.
    let timestamp = || text.parse().or_else(|_| format!("{text}T00:00:00Z").parse::<Timestamp>()).ok();
    let ms = text.parse().ok().or_else(|| before(text, now_ms)).or_else(|| Some(timestamp()?.as_millisecond()));
    ms.ok_or_else(|| {
        wrong(format!(
            "{text:?} is no time: it is an age (`45s`, `30m`, `12h`, `7d`, `2w`), a date (`2026-01-31`), a time of \
             RFC 3339 (`2026-01-31T08:30:00Z`), or milliseconds since the Unix epoch"
        ))
    })
}

/// The time that is an age such as `7d` before now.
fn before(age: &str, now_ms: i64) -> Option<i64> {
    let (digits, unit) = age.split_at(age.find(|char: char| !char.is_ascii_digit())?);
    let unit_ms = match unit {
        "s" => 1000,
        "m" => 60 * 1000,
        "h" => 60 * 60 * 1000,
        "d" => 24 * 60 * 60 * 1000,
        "w" => 7 * 24 * 60 * 60 * 1000,
        _ => return None,
    };
    now_ms.checked_sub(i64::from(digits.parse::<u32>().ok()?) * unit_ms)
}

/// The compact form, which [`Filter::parse`] reads.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        let mut severities = &self.severities[..];
        if let [lowest, _, ..] = self.severities[..]
            && severities == &Severity::ALL[lowest as usize..]
        {
            parts.push(format!("severity>={lowest}"));
            severities = &[];
        }
        let lists = [
            ("severity", &words(severities)[..]),
            ("action", &self.actions),
            ("actor", &self.actor_ids),
            ("actor-type", &self.actor_types),
            ("resource-type", &self.resource_types),
            ("outcome", &words(&self.outcomes)),
            ("tenant", self.tenant.as_slice()),
            ("ip", &self.ip_addresses),
            ("session", self.session_id.as_slice()),
            ("request", self.request_id.as_slice()),
            ("retention", &self.retention_categories),
            ("changed", self.changed.as_slice()),
            ("since", &words(self.from_timestamp.map(rfc3339).as_slice())),
            ("until", &words(self.to_timestamp.map(rfc3339).as_slice())),
        ];
        parts.extend(
            lists
                .iter()
                .filter(|(_, values)| !values.is_empty())
                .map(|(key, values)| format!("{key}:{}", alternatives(values))),
        );
        if let Some(Resource { kind, id }) = &self.resource {
            parts.push(format!("resource:{}:{}", quoted(kind, ':'), quoted(id, ',')));
        }
        match &self.tags_any[..] {
            [] => {}
            [tag] => parts.push(format!("tag:{},", quoted(tag, ','))),
            tags => parts.push(format!("tag:{}", alternatives(tags))),
        }
        parts.extend(self.tags_all.iter().map(|tag| format!("tag:{}", quoted(tag, ','))));
        if let Some(text) = &self.text {
            // What is no text is no filter either; it is shown as it is.
            parts.extend(text::canonical(text).unwrap_or_else(|_| Some(text.clone())));
        }
        f.write_str(&parts.join(" "))
    }
}

fn words<T: ToString>(values: &[T]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}

fn alternatives(values: &[String]) -> String {
    values.iter().map(|value| quoted(value, ',')).collect::<Vec<_>>().join(",")
}

/// The value, in quotes if it is empty or some of it would mean something, as `also` does.
fn quoted(value: &str, also: char) -> String {
    let means = |char: char| char.is_whitespace() || matches!(char, '"' | '\\' | ',') || char == also;
    if value.is_empty() || value.contains(means) { text::quote(value) } else { value.to_owned() }
}

/// The time in RFC 3339, as far as it goes: years 0 to 9999.
fn rfc3339(ms: i64) -> String {
    let time = Timestamp::from_millisecond(ms).map(|time| format!("{time:.3}"));
    time.ok().filter(|time| !time.starts_with('-')).unwrap_or_else(|| ms.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Outcome;

    const NOW_MS: i64 = 1_769_904_000_000;

    #[test]
    fn known_forms_are_read() {
        for (text, expected) in [
            ("", Filter::new()),
            ("severity:error,critical", Filter::new().severity_from(Severity::Error)),
            ("severity>=warning", Filter::new().severity_from(Severity::Warning)),
            ("action:user.* action:team.*", Filter::new().action("user.*").action("team.*")),
            (r#"actor:u1,"u 2",u\,3"#, Filter::new().actor("u1").actor("u 2").actor("u,3")),
            ("actor:arn:aws:iam::1:user/ada", Filter::new().actor("arn:aws:iam::1:user/ada")),
            ("actor-type:user resource-type:invoice", Filter::new().actor_type("user").resource_type("invoice")),
            ("resource:invoice:i:4", Filter::new().resource("invoice", "i:4")),
            (r#"resource:"a:b":c resource:a\:b:c"#, Filter::new().resource("a:b", "c")),
            ("tag:a,b tag:c tag:d", Filter::new().tag_any("a").tag_any("b").tag_all("c").tag_all("d")),
            ("tag:a,", Filter::new().tag_any("a")),
            ("outcome:denied tenant:acme", Filter::new().outcome(Outcome::Denied).tenant("acme")),
            ("ip:2001:db8::/32,::1", Filter::new().ip_address("2001:db8::/32").ip_address("::1")),
            ("session:s request:r", Filter::new().session("s").request("r")),
            ("retention:short,long", Filter::new().retention_category("short").retention_category("long")),
            ("changed:spec.replicas", Filter::new().changed("spec.replicas")),
            (r#"a tenant:t "b  c" -d"#, Filter::new().tenant("t").text(r#"a "b  c" -d"#)),
            (r#""http://x" "actor:u1""#, Filter::new().text(r#""http://x" "actor:u1""#)),
        ] {
            assert_eq!(Filter::parse(text, NOW_MS).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn times_are_ages_dates_and_milliseconds() {
        for (text, expected) in [
            ("45s", NOW_MS - 45_000),
            ("30m", NOW_MS - 1_800_000),
            ("12h", NOW_MS - 43_200_000),
            ("7d", NOW_MS - 604_800_000),
            ("2w", NOW_MS - 1_209_600_000),
            ("2026-01-31", 1_769_817_600_000),
            ("2026-01-31T08:30:00Z", 1_769_848_200_000),
            ("2026-01-31T08:30:00.123+02:00", 1_769_841_000_123),
            ("1769817600000", 1_769_817_600_000),
            ("-1", -1),
        ] {
            assert_eq!(
                Filter::parse(&format!("since:{text}"), NOW_MS).unwrap(),
                Filter::new().from_timestamp(expected)
            );
            assert_eq!(Filter::parse(&format!("until:{text}"), NOW_MS).unwrap(), Filter::new().to_timestamp(expected));
        }
        for text in ["", "tomorrow", "7y", "d", "-7d", "+7d", "2026-02-30", "2026-01-31T08:30", "99999999999w"] {
            let error = Filter::parse(&format!("since:{text}"), NOW_MS).unwrap_err();
            assert!(error.message().starts_with(&format!("{text:?} is no time: it is an age")), "{error}");
        }
        assert!(Filter::parse("since:1s", i64::MIN).is_err());
    }

    #[test]
    fn filters_are_written_in_one_way() {
        let filter = Filter::new()
            .severity_from(Severity::Warning)
            .action("user.*")
            .actor("u 1")
            .actor("u,2")
            .resource("a:b", "c:d")
            .tag_any("a")
            .tag_all("b")
            .tag_all("c")
            .ip_address("2001:db8::/32")
            .from_timestamp(0)
            .to_timestamp(i64::MAX)
            .text("http://x   y");
        assert_eq!(
            filter.to_string(),
            "severity>=warning action:user.* actor:\"u 1\",\"u,2\" ip:2001:db8::/32 since:1970-01-01T00:00:00.000Z \
             until:9223372036854775807 resource:\"a:b\":c:d tag:a, tag:b tag:c \"http://x\" y"
        );
        assert_eq!(Filter::new().severity(Severity::Critical).to_string(), "severity:critical");
        assert_eq!(Filter::new().from_timestamp(-62_167_219_200_000).to_string(), "since:0000-01-01T00:00:00.000Z");
        assert_eq!(Filter::new().from_timestamp(-62_167_219_200_001).to_string(), "since:-62167219200001");
        assert_eq!(Filter::new().to_string(), "");
    }

    #[test]
    fn errors_say_what_to_do() {
        for (text, expected) in [
            ("http://x", "there is no condition `http:`; put it in quotes if it is text: \"http://x\". The keys are"),
            ("-actor:u1", "there is no condition `-actor:`"),
            ("actor>=u1", "there is no condition `actor>=`"),
            (r#"actor:"u1"#, "the double quote that is character 7 is not closed"),
            ("severity:loud", "unknown severity \"loud\"; it is one of info"),
            ("severity>=error,info", "unknown severity \"error,info\""),
            ("outcome:", "unknown outcome \"\""),
            ("tenant:a tenant:b", "`tenant:` has two different values, and takes one"),
            ("tenant:a,b", "put a value with a comma in quotes"),
            ("resource:invoice", "`resource:invoice` has no `:` between type and id"),
            ("tag:a,b tag:c,d", "`tag:c,d` is a second list of tags of which an event must have one, after `tag:a,b`"),
            ("actor:", "/actorIds/0: is empty"),
            ("actor:a,", "/actorIds/1: is empty"),
            ("action:*", "/actions/0: \"*\" is no action"),
            ("since:1d until:2d", "/toTimestamp: the time to end before"),
        ] {
            let error = Filter::parse(text, NOW_MS).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            assert!(error.to_string().contains(expected), "{error}");
        }
        assert_eq!(Filter::parse("tenant:a tenant:a", 0).unwrap(), Filter::new().tenant("a"));
    }

    #[test]
    fn every_key_that_is_named_is_read() {
        for key in KEYS.split([',', ' ', '(', ')']).filter(|word| word.ends_with([':', '='])) {
            let result = Filter::new().add_condition(key, &[], 0);
            assert!(!result.is_err_and(|error| error.message().contains("there is no condition")), "{key}");
        }
    }
}
