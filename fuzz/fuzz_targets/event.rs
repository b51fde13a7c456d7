//! Any text is either an event that survives its own JSON, or an error.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealog::Event;

fuzz_target!(|text: &str| {
    let Ok(event) = Event::from_json(text) else { return };
    let json = serde_json::to_string(&event).expect("an event that was read can be written");
    let again = Event::from_json(&json).expect("what was written can be read");
    assert_eq!(event, again, "{json}");
});
