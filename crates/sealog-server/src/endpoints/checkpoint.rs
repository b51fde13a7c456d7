//! `/checkpoint`: the newest signed checkpoint, and what witnesses say of it.

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::response::Response;
use sealog::{Checkpoint, ErrorKind};
use serde::Serialize;
use utoipa::ToSchema;

use super::{json, text};
use crate::app::Shared;
use crate::auth::{Asked, Operation};
use crate::body::{self, MediaType};
use crate::limits::MAX_NOTE_BYTES;
use crate::problem::{Code, Problem, ProblemBody};
use crate::query::Query;

/// The newest checkpoint
///
/// A signed note (C2SP tlog-checkpoint), with the cosignatures of witnesses that have signed this very size.
#[utoipa::path(
    get, path = "/checkpoint", operation_id = "getCheckpoint", tag = "proofs", security((), ("bearer" = [])),
    responses((status = 200, description = "The note", body = String, content_type = "text/plain"))
)]
pub(super) async fn get_checkpoint(State(app): State<Shared>, parts: Parts) -> Result<Response, Problem> {
    if !app.options.public_proofs {
        app.admit(&parts, Operation::read(Asked::Tree)).await?;
    }
    Query::without_filter(&parts, &[])?;
    let checkpoint = app.in_time(app.log.head()).await?.checkpoint;
    let cosigned = app.state_file.cosigned(Some(checkpoint.size())).await?;
    let same = cosigned.filter(|cosigned| cosigned.note == checkpoint.note());
    Ok(text(same.map_or_else(|| checkpoint.note().to_owned(), |cosigned| cosigned.text())))
}

/// The newest checkpoint that a witness has signed
#[utoipa::path(
    get, path = "/checkpoint/cosigned", operation_id = "getCosignedCheckpoint", tag = "proofs",
    security((), ("bearer" = [])),
    responses(
        (status = 200, description = "The note", body = String, content_type = "text/plain"),
        (status = 404, description = "`not_found`: no witness has signed yet", body = ProblemBody,
            content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_cosigned(State(app): State<Shared>, parts: Parts) -> Result<Response, Problem> {
    if !app.options.public_proofs {
        app.admit(&parts, Operation::read(Asked::Tree)).await?;
    }
    Query::without_filter(&parts, &[])?;
    let cosigned = app.state_file.cosigned(None).await?;
    let cosigned =
        cosigned.ok_or_else(|| Problem::of_kind(ErrorKind::NotFound, "no witness has signed a checkpoint yet"))?;
    Ok(text(cosigned.text()))
}

/// What was taken of a witness.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CosignaturesTaken)]
pub(super) struct Taken {
    /// The size of the checkpoint that was signed.
    size: u64,
    /// The witnesses whose cosignatures were taken.
    witnesses: Vec<String>,
}

/// Add a witness's cosignature
///
/// The body is the checkpoint as the log signed it, with the witness's line (C2SP cosignature/v1) below. It
/// needs no key: the signature is checked with the vkeys of witnesses that the settings name, and the
/// checkpoint against the log.
#[utoipa::path(
    post, path = "/checkpoint/cosigned", operation_id = "addCosignatures", tag = "proofs",
    request_body(content = String, content_type = "text/plain", description = "The note"),
    responses(
        (status = 200, description = "The cosignatures were taken", body = Taken),
        (status = 400, description = "`malformed`: no checkpoint", body = ProblemBody,
            content_type = "application/problem+json"),
        (status = 403, description = "`forbidden`: no signature of a witness that is known here", body = ProblemBody,
            content_type = "application/problem+json"),
        (status = 409, description = "`conflict`: the checkpoint is not this log's", body = ProblemBody,
            content_type = "application/problem+json"),
    )
)]
pub(super) async fn add_cosignatures(State(app): State<Shared>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    Query::without_filter(&parts, &[])?;
    body::media_type(&parts.headers, &[MediaType::Text])?;
    let whole = body::whole(&app, &parts.headers, body, MAX_NOTE_BYTES).await?;
    let no_note = |_| Problem::new(Code::Malformed, "the body is no checkpoint with signatures (C2SP tlog-checkpoint)");
    let note = std::str::from_utf8(&whole.bytes).map_err(|error| no_note(error.to_string()))?;
    let signed = Checkpoint::parse(note).map_err(|error| no_note(error.to_string()))?;

    // First what costs nothing to look at: is there somebody who may say this?
    let mut cosignatures = Vec::new();
    for witness in &app.options.witnesses {
        let found = witness.cosignature(&signed).map_err(|_| {
            Problem::new(
                Code::Forbidden,
                format!("the cosignature of {} does not match the checkpoint", witness.name()),
            )
        })?;
        cosignatures.extend(found);
    }
    if cosignatures.is_empty() {
        return Err(Problem::new(Code::Forbidden, "there is no signature of a witness that is known here"));
    }
    let not_ours = |what: &str| Problem::new(Code::Conflict, format!("the checkpoint is not one of this log: {what}"));
    let head = app.in_time(app.log.head()).await?.checkpoint;
    if signed.origin() != head.origin() {
        return Err(not_ours("it has another origin"));
    }
    if signed.size() > head.size() {
        return Err(not_ours("the log is not as large"));
    }
    let (newest, proof) = app.in_time(app.log.consistency(signed.size())).await?;
    newest.extends(&signed, &proof).map_err(|_| not_ours("it has another root"))?;
    let vkeys = app.in_time(app.log.vkeys()).await?;
    if !vkeys.iter().any(|vkey| signed.verify(vkey).is_ok()) {
        return Err(not_ours("its own signature is missing"));
    }

    let witnesses = cosignatures.iter().map(|cosignature| cosignature.witness.clone()).collect();
    // The witnesses' lines are kept apart, so that more of them can be added.
    let own = without_lines(&signed, &cosignatures.iter().map(|cosignature| &*cosignature.line).collect::<Vec<_>>());
    if !app.state_file.keep_cosignatures(signed.size(), own, cosignatures).await? {
        return Err(Problem::new(Code::Conflict, "this server has no file to keep cosignatures in"));
    }
    json(&Taken { size: signed.size(), witnesses })
}

/// The note without these lines.
fn without_lines(checkpoint: &Checkpoint, lines: &[&str]) -> String {
    let (text, signatures) = checkpoint.note().rsplit_once("\n\n").unwrap_or_default();
    let kept = signatures.lines().filter(|line| !lines.contains(line)).map(|line| format!("{line}\n"));
    format!("{text}\n\n{}", kept.collect::<String>())
}

#[cfg(test)]
mod tests {
    use sealog::{Event, Witness};

    use super::*;
    use crate::Options;
    use crate::testing::Fixture;

    #[tokio::test]
    async fn witnesses_sign_checkpoints() {
        let (name, seed) = ("witness.example/w1", [9; 32]);
        let mut options = Options::default();
        options.witnesses.push(Witness::parse(&Witness::vkey_of(name, &seed)).unwrap());
        options.public_proofs = true;
        let mut fixture = Fixture::with(options).await;
        fixture.make_keys().await;
        fixture.fill().await;
        let note = fixture.tell("", "GET /checkpoint", "").await.text();
        let checkpoint = Checkpoint::parse(&note).unwrap();
        fixture.tell("", "GET /checkpoint/cosigned", "").await;
        let line = Witness::cosign(name, &seed, &checkpoint, 1_767_225_600);
        let post = "POST /checkpoint/cosigned\ncontent-type: text/plain";
        fixture.tell("", post, &format!("{note}{line}\n")).await;
        let cosigned = fixture.tell("", "GET /checkpoint", "").await.text();
        assert_eq!(cosigned, format!("{note}{line}\n"));
        assert!(options_witness(&fixture).cosignature(&Checkpoint::parse(&cosigned).unwrap()).unwrap().is_some());

        // The log goes on; what was signed is still there.
        fixture.log.log(Event::new("user.login").id("later")).await.unwrap();
        assert!(!fixture.tell("", "GET /checkpoint", "").await.text().contains(name));
        assert_eq!(fixture.tell("", "GET /checkpoint/cosigned", "").await.text(), cosigned);

        fixture.tell("", post, &note).await;
        let other = Witness::cosign(name, &[8; 32], &checkpoint, 1);
        fixture.tell("", post, &format!("{note}{other}\n")).await;
        let forged = line.replace("w1 ", "w1 A");
        fixture.tell("", post, &format!("{note}{forged}\n")).await;
        fixture.tell("", post, "no note").await;
        let foreign = "example.com/other\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n";
        let unsigned = Checkpoint::parse(&format!("{foreign}{line}\n")).unwrap();
        let line = Witness::cosign(name, &seed, &unsigned, 1);
        fixture.tell("", post, &format!("{foreign}{line}\n")).await;
        fixture.matches("checkpoint").await;
    }

    #[tokio::test]
    async fn what_a_witness_did_not_see_is_refused_and_not_kept() {
        let (name, seed) = ("witness.example/w1", [9; 32]);
        let mut options = Options::default();
        for (name, seed) in [(name, seed), ("witness.example/w2", [7; 32])] {
            options.witnesses.push(Witness::parse(&Witness::vkey_of(name, &seed)).unwrap());
        }
        options.public_proofs = true;
        let fixture = Fixture::with(options).await;
        fixture.fill().await;
        let old = fixture.ask("", "GET /checkpoint", "").await.text();
        fixture.log.log(Event::new("user.login")).await.unwrap();
        let note = fixture.ask("", "GET /checkpoint", "").await.text();
        let line = |name: &str, seed: u8, note: &str| {
            // What nobody has signed yet is no checkpoint to read.
            let unsigned = format!("{note}\u{2014} x AAAAAAA=\n");
            let checkpoint = Checkpoint::parse(note).or_else(|_| Checkpoint::parse(&unsigned)).unwrap();
            Witness::cosign(name, &[seed; 32], &checkpoint, 1_767_225_600) + "\n"
        };
        let cosigned = |note: &str| note.to_owned() + &line(name, 9, note);
        let changed = |from: &str, to: &str| cosigned(&note.replacen(from, to, 1));
        let (text, _) = note.split_once("\n\n").unwrap();
        let (_, root) = text.rsplit_once('\n').unwrap();
        let one_of_two = cosigned(&note) + &line("witness.example/w2", 7, &old);
        for (about, body, status, why) in [
            ("another root", changed(root, "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="), 409, "it has another root"),
            ("the root of another size", changed("\n5\n", "\n4\n"), 409, "it has another root"),
            ("a size that is not there yet", changed("\n5\n", "\n6\n"), 409, "the log is not as large"),
            ("another origin", changed("example.com/audit", "example.com/other"), 409, "it has another origin"),
            ("no signature of the log", cosigned(&format!("{text}\n\n")), 409, "its own signature is missing"),
            ("no witness", note.clone(), 403, "no signature of a witness"),
            ("another key", note.clone() + &line(name, 8, &note), 403, "no signature of a witness"),
            ("another witness", note.clone() + &line("x.example/w3", 9, &note), 403, "no signature of a witness"),
            ("what was signed of another size", note.clone() + &line(name, 9, &old), 403, "w1 does not match"),
            ("two, and one is wrong", one_of_two, 403, "w2 does not match"),
            ("nothing", String::new(), 400, "no checkpoint"),
            ("no end of the line", cosigned(&note).trim_end().to_owned(), 400, "no checkpoint"),
            ("too much", cosigned(&note) + &"x".repeat(MAX_NOTE_BYTES), 413, "16384 bytes"),
        ] {
            let answer = fixture.ask("", "POST /checkpoint/cosigned\ncontent-type: text/plain", body).await;
            let detail = answer.json()["detail"].as_str().unwrap_or_default().to_owned();
            assert!(answer.status == status && detail.contains(why), "{about}: {} {detail}", answer.status);
            assert_eq!(fixture.ask("", "GET /checkpoint/cosigned", "").await.status, 404, "{about}");
            assert_eq!(fixture.ask("", "GET /checkpoint", "").await.text(), note, "{about}");
            assert!(fixture.app.state_file.last_cosignatures().await.unwrap().is_empty(), "{about}");
        }
        // What it did see is taken, of an older size too.
        for note in [&old, &note] {
            let body = cosigned(note);
            let answer = fixture.ask("", "POST /checkpoint/cosigned\ncontent-type: text/plain", body.clone()).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(fixture.ask("", "GET /checkpoint/cosigned", "").await.text(), body);
        }
        fixture.check().await;
    }

    fn options_witness(fixture: &Fixture) -> &Witness {
        &fixture.app.options.witnesses[0]
    }

    #[tokio::test]
    async fn proofs_are_for_those_with_a_key_unless_said_otherwise() {
        let mut fixture = Fixture::filled().await;
        fixture.tell("", "GET /checkpoint", "").await;
        assert_eq!(fixture.ask("acme", "GET /checkpoint", "").await.status, 200);
        assert_eq!(fixture.ask("acme", "GET /tile/0/000.p/1", "").await.status, 403);
        assert_eq!(fixture.ask("reader", "GET /tile/0/000.p/1", "").await.status, 200);
        fixture.matches("checkpoint_closed").await;
    }
}
