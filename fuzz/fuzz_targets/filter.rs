//! Any text is either a filter that survives being written, in its compact form and in JSON, or an error.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealog::Filter;

/// When ages such as `7d` are counted from.
const NOW_MS: i64 = 1_769_904_000_000;

fuzz_target!(|text: &str| {
    let Ok(filter) = Filter::parse(text, NOW_MS) else { return };
    // What is written has no ages any more, so that the time does not matter.
    let written = filter.to_string();
    let again = Filter::parse(&written, 0).expect("what was written can be read");
    assert_eq!(again.to_string(), written, "a filter is written in one way");
    let json = serde_json::to_string(&filter).expect("a filter that was read can be written");
    assert_eq!(Filter::from_json(&json).expect("what was written can be read"), filter, "{json}");
});
