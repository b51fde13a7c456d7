//! Any text is either rules that survive their own JSON, or an error.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealog::Rule;

fuzz_target!(|text: &str| {
    if let Ok(rule) = Rule::from_json(text) {
        let json = serde_json::to_string(&rule).expect("a rule that was read can be written");
        assert_eq!(Rule::from_json(&json).expect("what was written can be read"), rule, "{json}");
    }
    let Ok(rules) = Rule::list_from_json(text) else { return };
    let json = serde_json::to_string(&rules).expect("rules that were read can be written");
    assert_eq!(Rule::list_from_json(&json).expect("what was written can be read"), rules, "{json}");
});
