//! Keys and checkpoints.

use super::super::{Checkpoint, EMPTY_ROOT, Key};
use crate::clock::ManualClock;
use crate::error::ErrorKind;

fn key() -> Key {
    Key::generate("example.com/log", &ManualClock::new(0, 1)).unwrap()
}

#[test]
fn a_key_survives_its_text() {
    let clock = ManualClock::new(0, 2);
    let rotated = key().rotated(&clock).unwrap();
    for key in [key(), rotated] {
        let again = Key::parse(&key.to_text()).unwrap();
        assert_eq!(again.to_text(), key.to_text());
        assert_eq!(again.vkey(), key.vkey());
        assert_eq!(again.secret(), key.secret());
        // As it comes out of an editor or an environment variable.
        let windows = format!("\r\n  {}\r\n", key.to_text().replace('\n', "\r\n"));
        assert_eq!(Key::parse(&windows).unwrap().to_text(), key.to_text());
    }
}

#[test]
fn a_rotation_keeps_the_secret_and_the_signer_before() {
    let (old, clock) = (key(), ManualClock::new(0, 2));
    let new = old.rotated(&clock).unwrap();
    assert_ne!(new.vkey(), old.vkey());
    assert_eq!(new.secret(), old.secret());
    assert_eq!(new.origin(), old.origin());
    let before = new.signer_for(old.vkey()).unwrap();

    let handover = new.sign_handover(before, 0, &EMPTY_ROOT);
    handover.verify(old.vkey()).unwrap();
    handover.verify(new.vkey()).unwrap();
    assert_eq!(handover.signers().len(), 2);
    assert_eq!(Checkpoint::parse(handover.note()).unwrap(), handover);

    let after = new.sign_checkpoint(0, &EMPTY_ROOT);
    after.verify(new.vkey()).unwrap();
    let error = after.verify(old.vkey()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity);
    // A name and an id, without the key itself.
    let short = |vkey: &str| vkey.split('+').take(2).collect::<Vec<_>>().join("+");
    assert!(error.message().contains(&short(old.vkey())) && error.message().contains(&short(new.vkey())), "{error}");

    let many = (0..40).fold(old, |key, _| key.rotated(&clock).unwrap());
    assert_eq!(Key::parse(&many.to_text()).unwrap().vkey(), many.vkey());
}

#[test]
fn what_is_secret_is_in_no_error_and_no_debug_output() {
    let key = key();
    let text = key.to_text();
    let lines: Vec<&str> = text.lines().collect();
    let [_comment, signer, secret] = lines[..] else { panic!("{} lines", lines.len()) };
    let seed = signer.rsplit_once('+').unwrap().1;
    let hidden = [seed, secret.strip_prefix("secret ").unwrap()];

    let other = Key::generate("example.com/other", &ManualClock::new(0, 3)).unwrap().to_text();
    let bad = [
        String::new(),
        signer.to_owned(),
        secret.to_owned(),
        format!("{signer}\n{secret}\n{secret}"),
        format!("{signer}\n{signer}\n{secret}"),
        format!("{signer}\n{other}"),
        format!("{signer}x\n{secret}"),
        format!("{signer}\n{secret}x"),
        format!("{signer}\nsecret AAAA"),
        format!("{signer}\n{secret}\n{seed}"),
        signer.replace("example.com/log", "example.com/lag") + "\n" + secret,
        signer.replace("PRIVATE+KEY+example.com/log", "PRIVATE+KEY+exam ple") + "\n" + secret,
        "#".repeat(100_000),
    ];
    for text in bad {
        let error = Key::parse(&text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Key);
        for hidden in hidden {
            assert!(!format!("{error:?}").contains(hidden), "a key is in {error:?}");
        }
    }
    for hidden in hidden {
        assert!(!format!("{key:?}").contains(hidden));
        // The key file in the place of a checkpoint or of a verifier key.
        assert!(!format!("{:?}", Checkpoint::parse(signer).unwrap_err()).contains(hidden));
        let checkpoint = key.sign_checkpoint(0, &EMPTY_ROOT);
        assert!(!format!("{:?}", checkpoint.verify(signer).unwrap_err()).contains(hidden));
    }
}

#[test]
fn an_origin_has_rules() {
    let clock = ManualClock::new(0, 1);
    let long = "a".repeat(257);
    for origin in ["", " ", "a b", "a+b", "a\nb", "a\u{a0}b", "a\u{2003}b", "a\u{7f}", "a\u{0}", &long] {
        let error = Key::generate(origin, &clock).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{origin:?}");
    }
    for origin in ["a", "example.com/log", "журнал.example", &long[..256]] {
        let key = Key::generate(origin, &clock).unwrap();
        assert_eq!(Key::parse(&key.to_text()).unwrap().origin(), origin);
        key.sign_checkpoint(0, &EMPTY_ROOT).verify(key.vkey()).unwrap();
    }
}

#[test]
fn what_is_no_checkpoint_is_refused() {
    let note = key().sign_checkpoint(12, &[7; 32]).note().to_owned();
    Checkpoint::parse(&note).unwrap();
    let text_end = note.find("\n\n").unwrap();
    let (text, signature) = (&note[..text_end], &note[text_end + 2..]);
    let lines: Vec<&str> = text.lines().collect();
    let [origin, size, root] = lines[..] else { panic!("{} lines", lines.len()) };
    let with = |text: &str| format!("{text}\n\n{signature}");
    let bad = [
        String::new(),
        "\n".to_owned(),
        text.to_owned(),
        format!("{text}\n"),
        note.trim_end().to_owned(),
        note.replace('\n', "\r\n"),
        note.replace("— ", "- "),
        format!("{note}\n"),
        with(""),
        with(&format!("{origin}\n{size}")),
        with(&format!("\n{size}\n{root}")),
        with(&format!("{origin}\n012\n{root}")),
        with(&format!("{origin}\n+12\n{root}")),
        with(&format!("{origin}\n-1\n{root}")),
        with(&format!("{origin}\n9223372036854775808\n{root}")),
        with(&format!("{origin}\n18446744073709551615\n{root}")),
        with(&format!("{origin}\n18446744073709551616\n{root}")),
        with(&format!("{origin}\n{size}\n{}", &root[4..])),
        with(&format!("{origin}\n{size}\n{}", root.trim_end_matches('='))),
        with(&format!("{origin}\n{size}\n{root}\n\nmore")),
        with(&format!("{origin}\n{size}\n{root}\n{}", "x".repeat(300_000))),
        text.to_owned() + "\n\n" + &signature.repeat(101),
    ];
    for note in bad {
        let error = Checkpoint::parse(&note).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Integrity, "{note:?}");
        assert!(error.message().contains("expected") && error.message().contains("found"), "{error}");
    }
}

#[test]
fn extensions_and_the_signatures_of_others_are_kept() {
    let key = key();
    let witness = "— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";
    let cosigned = key.sign_checkpoint(3, &[7; 32]).note().to_owned() + witness;
    let checkpoint = Checkpoint::parse(&cosigned).unwrap();
    assert_eq!(checkpoint.note(), cosigned);
    assert_eq!(checkpoint.signers()[1], "witness.example.com/w1+8d66cf3f");
    checkpoint.verify(key.vkey()).unwrap();

    // A line of extension is part of what is signed.
    let extended = cosigned.replacen("\n\n", "\nextension\n\n", 1);
    let checkpoint = Checkpoint::parse(&extended).unwrap();
    assert_eq!(checkpoint.note(), extended);
    assert_eq!(checkpoint.verify(key.vkey()).unwrap_err().kind(), ErrorKind::Integrity);
}

#[test]
fn each_bit_of_a_checkpoint_matters() {
    let key = key();
    let note = key.sign_checkpoint(1_234_567, &[7; 32]).note().to_owned();
    for place in 0..note.len() * 8 {
        let mut bytes = note.clone().into_bytes();
        bytes[place / 8] ^= 1 << (place % 8);
        let Ok(changed) = String::from_utf8(bytes) else { continue };
        let checked = Checkpoint::parse(&changed).and_then(|checkpoint| checkpoint.verify(key.vkey()));
        assert_eq!(checked.unwrap_err().kind(), ErrorKind::Integrity, "bit {place}: {changed:?}");
    }
}

#[test]
fn a_checkpoint_of_another_log_or_a_wrong_vkey_is_told_apart() {
    let (ours, theirs) = (key(), Key::generate("example.com/other", &ManualClock::new(0, 1)).unwrap());
    let checkpoint = ours.sign_checkpoint(0, &EMPTY_ROOT);
    let error = checkpoint.verify(theirs.vkey()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity);
    assert!(error.message().contains("example.com/other") && error.message().contains("example.com/log"), "{error}");

    // A witness key of the log's own name is no key of the log.
    let cosigner = "example.com/log+00000000+BIXvd+AMoF+tNsBhPb8VxvRHhlPd9DJD1wYZtdEXKPUv";
    for vkey in ["", "example.com/log", "example.com/log+zz+AA==", cosigner, &ours.vkey()[1..]] {
        assert_eq!(checkpoint.verify(vkey).unwrap_err().kind(), ErrorKind::InvalidArgument, "{vkey:?}");
    }
}
