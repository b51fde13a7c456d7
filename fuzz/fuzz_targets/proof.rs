//! Any text is either a proof that survives being written, or an error; a wrong one is refused
//! without a panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealog::Proof;

/// The key of no log: nothing that a fuzzer makes up is signed by it.
const VKEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

fuzz_target!(|text: &str| {
    let Ok(proof) = Proof::parse(text) else { return };
    let again = Proof::parse(&proof.to_text()).expect("what was written can be read");
    assert_eq!(proof, again);
    assert!(proof.verify(VKEY).is_err());
});
