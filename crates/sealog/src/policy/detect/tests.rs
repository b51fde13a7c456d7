use proptest::prelude::*;

use super::*;

const ALL: [Detector; 5] =
    [Detector::Email, Detector::CardNumber, Detector::Jwt, Detector::BearerToken, Detector::CloudKeyId];

fn clean(detector: Detector, text: &str) -> String {
    Detectors::new(&[detector]).clean(text, |_| "#".to_owned()).unwrap_or_else(|| text.to_owned())
}

fn assert_cleans(detector: Detector, cases: &[(&str, &str)]) {
    for (text, cleaned) in cases {
        assert_eq!(clean(detector, text), *cleaned, "{text}");
    }
}

#[test]
fn email_addresses() {
    assert_cleans(
        Detector::Email,
        &[
            ("ada@example.com", "#"),
            ("Mail <ada.b+x@mail.example.co.uk>, then 'eve@example.org'.", "Mail <#>, then '#'."),
            ("ada@example.com.", "#."),
            ("ada@example.com-old", "#"),
            ("jürgen@müller.example", "#"),
            ("https://user:pw@example.com/x", "https://user:#/x"),
            ("a@b.co,c@d.co@e.co", "#,#@e.co"),
            ("ada@example.com.1", "#.1"),
            (
                "root@localhost and @handle and a@ and @ and x@1.2.3.4 a@.com",
                "root@localhost and @handle and a@ and @ and x@1.2.3.4 a@.com",
            ),
        ],
    );
}

#[test]
fn card_numbers() {
    assert_cleans(
        Detector::CardNumber,
        &[
            ("4111111111111111", "#"),
            ("card 4111 1111 1111 1111, exp 12/30", "card #, exp 12/30"),
            ("4111-1111-1111-1111 5500-0000-0000-0004", "# #"),
            ("378282246310005 6011000990139424 3530111333300000 2223003122003222", "# # # #"),
            ("card_4111111111111111;", "card_#;"),
            ("4111111111111112", "4111111111111112"),
            ("1700000000000 1700000000008", "1700000000000 1700000000008"),
            ("x4111111111111111 4111111111111111x", "x4111111111111111 4111111111111111x"),
            ("0.4111111111111111", "0.4111111111111111"),
            ("41111111111111111111111", "41111111111111111111111"),
            ("4111  1111 1111 1111", "4111  1111 1111 1111"),
        ],
    );
    let cards = Detectors::new(&[Detector::CardNumber]);
    assert!(cards.is_card_number(&4_111_111_111_111_111_u64.into()));
    assert!(!cards.is_card_number(&1_700_000_000_008_u64.into()));
    assert!(!Detectors::new(&[Detector::Email]).is_card_number(&4_111_111_111_111_111_u64.into()));
}

#[test]
fn json_web_tokens() {
    assert_cleans(
        Detector::Jwt,
        &[
            ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "#"),
            ("token=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln.", "token=#."),
            ("unsigned eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0. end", "unsigned # end"),
            ("eyJhbGciOiJkaXIiLCJlbmMiOiJBIn0..aXY.Y2lwaGVy.dGFn", "#"),
            ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0"),
            ("eyJ.eyJ.eyJ keyJhbGciOiJIUzI1NiJ9.a.b", "eyJ.eyJ.eyJ keyJhbGciOiJIUzI1NiJ9.a.b"),
        ],
    );
}

#[test]
fn bearer_tokens() {
    assert_cleans(
        Detector::BearerToken,
        &[
            ("Authorization: Bearer abcdefghijk.", "Authorization: Bearer #."),
            ("authorization: bearer  mF_9.B5f-4.1JqM", "authorization: bearer  #"),
            ("BEARER a1b2c3d4e5", "BEARER #"),
            ("the bearer transports news", "the bearer transports news"),
            ("Bearer abc", "Bearer abc"),
            ("forbearer a1b2c3d4e5 bearer", "forbearer a1b2c3d4e5 bearer"),
        ],
    );
}

#[test]
fn cloud_key_ids() {
    assert_cleans(
        Detector::CloudKeyId,
        &[
            ("AKIAIOSFODNN7EXAMPLE", "#"),
            ("key=ASIAIOSFODNN7EXAMPLE;", "key=#;"),
            ("AIzaSyA-1234567890abcdefghijklmnopqrstu", "#"),
            ("LTAI5tFakeKeyId1234567", "#"),
            ("AKIAIOSFODNN7EXAMPLEX xAKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLEX xAKIAIOSFODNN7EXAMPLE"),
            ("AKIAIOSFODNN7EXAMPL", "AKIAIOSFODNN7EXAMPL"),
        ],
    );
}

#[test]
fn what_never_comes_clean_is_hidden_whole() {
    let restless = Detectors::new(&[Detector::Email]);
    assert_eq!(restless.clean("a@b.co", |found| format!("x{found}")).as_deref(), Some(REDACTED));
}

#[test]
fn long_texts_take_linear_time() {
    // Quadratic in these, a detector would run for hours.
    let detectors = Detectors::new(&ALL);
    for part in
        ["eyJ-", "eyJ.", "eyJaaaaaaaaaaaaa.", "4 ", "4-1", "a@", "a.", "@a.", "bearer ", "Bearer\t", "AIza", "1", "'"]
    {
        let text = part.repeat(1_000_000 / part.len());
        detectors.clean(&text, |_| "#".to_owned());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_clean_text_stays_clean(
        parts in prop::collection::vec(prop::sample::select(vec![
            "a@b.co", "@", ".", " ", "-", "4111", "1111", "4111111111111111", "Bearer ", "token1234", "x",
            "eyJhbGciOiJIUzI1NiJ9.e30.", "AKIAIOSFODNN7EXAMPLE", "é", "\u{1F600}", "****", "hmac:", "[",
        ]), 0..12),
        replacement in prop::sample::select(vec!["[REDACTED]", "****1111", "****.com", "", "hmac:0123456789abcdef"]),
    ) {
        let detectors = Detectors::new(&ALL);
        let text = parts.concat();
        if let Some(cleaned) = detectors.clean(&text, |_| replacement.to_owned()) {
            prop_assert_eq!(detectors.clean(&cleaned, |_| replacement.to_owned()), None);
        }
    }
}
