//! Any text is either settings that survive their own JSON, or an error; and any change of the defaults makes
//! settings, or an error.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealog::Settings;

fuzz_target!(|text: &str| {
    if let Ok(settings) = Settings::from_json(text) {
        survives(&settings);
    }
    let Ok(patch) = serde_json::from_str(text) else { return };
    let Ok(settings) = Settings::default().patched(patch) else { return };
    survives(&settings);
    // Whole settings are a change, too, but that `null` would bring back a default.
    let whole = serde_json::to_value(&settings).expect("settings can be written");
    let again = Settings::default().patched(whole).expect("what was written is a change");
    assert_eq!((&again.rules, &again.custom_retention), (&settings.rules, &settings.custom_retention), "{text}");
});

fn survives(settings: &Settings) {
    let json = serde_json::to_string(settings).expect("settings that were read can be written");
    assert_eq!(&Settings::from_json(&json).expect("what was written can be read"), settings, "{json}");
}
