use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::policy::arbitrary;

fn canonical(value: &Value) -> String {
    String::from_utf8(to_vec(value)).unwrap()
}

fn reparse(text: &str) -> String {
    canonical(&serde_json::from_str(text).unwrap())
}

#[test]
fn numbers_are_written_as_ecmascript_does() {
    // RFC 8785, appendix B.
    for (bits, expected) in [
        (0x0000_0000_0000_0000_u64, "0"),
        (0x8000_0000_0000_0000, "0"),
        (0x0000_0000_0000_0001, "5e-324"),
        (0x8000_0000_0000_0001, "-5e-324"),
        (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
        (0x4340_0000_0000_0000, "9007199254740992"),
        (0x4430_0000_0000_0000, "295147905179352830000"),
        (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
        (0x44b5_2d02_c7e1_4af6, "1e+23"),
        (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
        (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"),
        (0x444b_1ae4_d6e2_ef50, "1e+21"),
        (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
        (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
        (0x41b3_de43_5555_5553, "333333333.3333332"),
        (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
        (0x4314_3ff3_c1cb_0959, "1424953923781206.2"),
    ] {
        assert_eq!(canonical(&Value::from(f64::from_bits(bits))), expected);
    }
    assert_eq!(reparse("-0"), "0");
    assert_eq!(reparse("1.0"), "1");
    assert_eq!(reparse("1e2"), "100");
}

#[test]
fn integers_of_64_bits_keep_all_digits() {
    assert_eq!(canonical(&json!(u64::MAX)), "18446744073709551615");
    assert_eq!(canonical(&json!(i64::MIN)), "-9223372036854775808");
    assert_eq!(canonical(&json!(9_007_199_254_740_993_u64)), "9007199254740993");
    // One beyond is a float, as in any JSON without the extension.
    assert_eq!(reparse("18446744073709551616"), "18446744073709552000");
}

#[test]
fn strings_escape_only_what_they_must() {
    assert_eq!(
        canonical(&json!("\u{0}\u{8}\t\n\u{b}\u{c}\r\u{1f}\"\\/\u{7f}\u{2028}é€😀")),
        "\"\\u0000\\b\\t\\n\\u000b\\f\\r\\u001f\\\"\\\\/\u{7f}\u{2028}é€😀\""
    );
}

#[test]
fn members_are_sorted_by_utf16_code_units() {
    // The example of RFC 8785, section 3.2.3.
    assert_eq!(
        reparse(r#"{"€":5,"\r":1,"\ufb33":7,"1":2,"😀":6,"\u0080":3,"ö":4}"#),
        "{\"\\r\":1,\"1\":2,\"\u{80}\":3,\"ö\":4,\"€\":5,\"😀\":6,\"\u{fb33}\":7}"
    );
}

#[test]
fn equality_is_equality_of_canonical_bytes() {
    assert!(equal(&json!({"a": 1, "b": [1.0]}), &json!({"b": [1], "a": 1.0})));
    assert!(equal(&json!(0), &json!(-0.0)));
    assert!(!equal(&json!(9_007_199_254_740_993_u64), &json!(9_007_199_254_740_993.0)));
    assert!(!equal(&json!(null), &json!({})));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn names_are_ordered_as_their_utf16(a in "\\PC{0,4}", b in "\\PC{0,4}") {
        prop_assert_eq!(compare_names(&a, &b), a.encode_utf16().cmp(b.encode_utf16()));
    }

    #[test]
    fn random_json_survives_the_round_trip(value in arbitrary::value()) {
        let text = canonical(&value);
        let back: Value = serde_json::from_str(&text).unwrap();
        prop_assert!(equal(&value, &back));
        prop_assert_eq!(canonical(&back), text);
    }

    #[test]
    fn floats_are_exact(float in any::<f64>().prop_filter("finite", |float| float.is_finite())) {
        let back: Value = serde_json::from_str(&canonical(&Value::from(float))).unwrap();
        prop_assert_eq!(back.as_f64(), Some(float));
    }

    #[test]
    fn equal_agrees_with_the_bytes((a, b) in arbitrary::pair()) {
        prop_assert_eq!(equal(&a, &b), to_vec(&a) == to_vec(&b));
    }

    #[test]
    fn sealing_gives_the_canonical_json_of_the_whole_event(event in arbitrary::event(true)) {
        let generic = canonical(&serde_json::to_value(&event).unwrap());

        let mut sealed = b"before".to_vec();
        let parts = sealed_parts(&event, &AsTheyAre);
        parts.seal(event.recorded_at.unwrap(), event.seq.unwrap(), &mut sealed);
        prop_assert_eq!(std::str::from_utf8(&sealed[6..]).unwrap(), &generic);
        prop_assert!(sealed.len() - 6 <= parts.max_len());

        let written = with_event(&event, <[u8]>::to_vec);
        prop_assert_eq!(std::str::from_utf8(&written).unwrap(), &generic);

        let back: Event = serde_json::from_str(&generic).unwrap();
        let mut again = Vec::new();
        sealed_parts(&back, &AsTheyAre).seal(back.recorded_at.unwrap(), back.seq.unwrap(), &mut again);
        prop_assert_eq!(&again, &sealed[6..]);
    }

    #[test]
    fn an_event_without_its_place_is_canonical_too(event in arbitrary::event(false)) {
        let generic = to_vec(&serde_json::to_value(&event).unwrap());
        let parts = sealed_parts(&event, &AsTheyAre);
        prop_assert_eq!(parts.unsealed(), &*generic);
        let written = with_event(&event, <[u8]>::to_vec);
        prop_assert_eq!(written, generic);
    }
}
