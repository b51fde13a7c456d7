//! Any text is either a checkpoint, kept byte for byte, or an error; a wrong one is refused without a
//! panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealog::Checkpoint;

/// The key of no log: nothing that a fuzzer makes up is signed by it.
const VKEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

fuzz_target!(|text: &str| {
    let Ok(checkpoint) = Checkpoint::parse(text) else { return };
    assert_eq!(checkpoint.note(), text, "signatures are over these very bytes");
    assert!(checkpoint.verify(VKEY).is_err());
});
