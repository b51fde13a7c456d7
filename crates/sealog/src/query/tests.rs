//! Each form of the filter gives back what was written in it.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::{Filter, Resource, text};
use crate::event::{Outcome, Severity};

/// A value with what means something somewhere.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[a-z]{1,4}",
        3 => r#"[a:,"\\ =>&%+~/.\-\n]{1,6}"#,
        1 => "\\PC{1,6}",
        1 => "(?s:.){1,4}",
        1 => Just("\u{3000}7d".to_owned()),
    ]
}

fn values() -> impl Strategy<Value = Vec<String>> {
    vec(value(), 0..3)
}

/// Any time, most often one that RFC 3339 can hold.
fn time() -> impl Strategy<Value = Option<i64>> {
    option::of(prop_oneof![3 => -100_000_000_000_000..300_000_000_000_000_i64, 1 => any::<i64>()])
}

/// Any filter that is valid.
fn filter() -> impl Strategy<Value = Filter> {
    let severities = prop_oneof![
        vec(prop::sample::select(&Severity::ALL[..]), 0..4),
        (0..4_usize).prop_map(|lowest| Severity::ALL[lowest..].to_vec()),
    ];
    let enums = (severities, vec(prop::sample::select(&Outcome::ALL[..]), 0..3));
    let lists = (values(), values(), values(), values(), values(), values(), values(), values());
    let single = [(); 5].map(|()| option::of(value()));
    let resource = option::of((value(), value()).prop_map(|(kind, id)| Resource { kind, id }));
    (enums, lists, single, resource, time(), time()).prop_map(
        |(enums, lists, single, resource, from_timestamp, to_timestamp)| {
            let (severities, outcomes) = enums;
            let (actions, actor_ids, actor_types, resource_types, tags_any, tags_all, ip_addresses, categories) = lists;
            let [tenant, session_id, request_id, words, changed] = single;
            let mut filter = Filter {
                severities,
                actions,
                actor_ids,
                actor_types,
                resource_types,
                resource,
                tags_any,
                tags_all,
                outcomes,
                tenant,
                ip_addresses,
                session_id,
                request_id,
                retention_categories: categories,
                from_timestamp,
                to_timestamp,
                text: words,
                changed,
            };
            // Rather than throw the whole away, leave out what makes no sense.
            while let Err(error) = filter.validate() {
                match error.pointer() {
                    Some("/toTimestamp") => filter.to_timestamp = None,
                    Some("/text") => filter.text = None,
                    Some("/changed") => filter.changed = None,
                    Some(pointer) if pointer.starts_with("/actions/") => filter.actions.clear(),
                    Some(pointer) if pointer.starts_with("/ipAddresses/") => filter.ip_addresses.clear(),
                    _ => panic!("{error}"),
                }
            }
            filter
        },
    )
}

/// The filter with its text in the one way that the forms write it.
fn canonical(filter: &Filter) -> Filter {
    let text = filter.text.as_deref().and_then(|text| text::canonical(text).unwrap());
    Filter { text, ..filter.clone() }
}

proptest! {
    #[test]
    fn the_compact_form_comes_back(filter in filter(), now_ms: i64) {
        let written = filter.to_string();
        prop_assert_eq!(Filter::parse(&written, now_ms).map_err(|error| format!("{written}: {error}")), Ok(canonical(&filter)));
    }

    #[test]
    fn the_query_string_comes_back(filter in filter(), now_ms: i64) {
        prop_assert_eq!(Filter::from_query(&filter.to_query(), now_ms).unwrap(), canonical(&filter));
        let inside: String = form_urlencoded::Serializer::new(String::new()).append_pair("filter", &filter.to_string()).finish();
        prop_assert_eq!(Filter::from_query(&inside, now_ms).unwrap(), canonical(&filter));
    }

    #[test]
    fn the_json_comes_back(filter in filter()) {
        prop_assert_eq!(Filter::from_json(&serde_json::to_string(&filter).unwrap()).unwrap(), canonical(&filter));
    }

    #[test]
    fn any_text_is_read_or_refused(text in r"([a-z]{1,8}[:>=]{1,2})?[ -~\n]{0,12}|\PC{0,8}", now_ms: i64) {
        if let Ok(filter) = Filter::parse(&text, now_ms) {
            prop_assert_eq!(Filter::parse(&filter.to_string(), 0).unwrap(), filter);
        }
        let _ = Filter::from_query(&text, now_ms);
        let _ = Filter::from_json(&text);
    }
}
