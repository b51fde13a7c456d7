//! Any text is either a key file that survives being written, or an error.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealog::Key;

fuzz_target!(|text: &str| {
    let Ok(key) = Key::parse(text) else { return };
    let again = Key::parse(&key.to_text()).expect("what was written can be read");
    assert_eq!(key.vkey(), again.vkey());
    assert_eq!(key.to_text(), again.to_text());
});
