//! `GET /v1/tree`: how the log stands, and who has signed that.

use axum::extract::State;
use axum::http::request::Parts;
use axum::response::Response;
use sealog::{Checkpoint, Witness};
use serde::Serialize;
use utoipa::ToSchema;

use super::json;
use crate::app::Shared;
use crate::auth::{Asked, Operation};
use crate::problem::Problem;
use crate::query::Query;

/// How many of the newest checkpoints are told.
const CHECKPOINTS: usize = 20;

/// The tree of the log.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Tree)]
pub(super) struct TreeBody {
    /// The log's name in its checkpoints.
    origin: String,
    /// How many events it has.
    size: u64,
    /// Its root, in base64.
    root: String,
    /// The public key that signs it now: what proofs are checked with.
    vkey: String,
    /// All public keys that have signed it, the oldest first.
    vkeys: Vec<String>,
    /// The newest checkpoints that are kept, the newest first.
    checkpoints: Vec<CheckpointBody>,
    /// The witnesses that may cosign checkpoints.
    witnesses: Vec<WitnessBody>,
}

/// A signed statement of the tree's size and root.
#[derive(Serialize, ToSchema)]
#[schema(as = Checkpoint)]
pub(super) struct CheckpointBody {
    size: u64,
    /// The root, in base64.
    root: String,
    /// The signed note (C2SP tlog-checkpoint).
    note: String,
}

/// A witness, and what it has signed last.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = WitnessState)]
pub(super) struct WitnessBody {
    name: String,
    /// The size of the newest checkpoint that it has signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    /// When it signed that, in milliseconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    signed_at: Option<i64>,
}

/// How the log stands
///
/// Its size and root, the keys that sign it, its newest checkpoints, and what witnesses say.
#[utoipa::path(
    get, path = "/v1/tree", operation_id = "getTree", tag = "proofs", security(("bearer" = [])),
    responses((status = 200, description = "The tree", body = TreeBody))
)]
pub(super) async fn get_tree(State(app): State<Shared>, parts: Parts) -> Result<Response, Problem> {
    app.admit(&parts, Operation::read(Asked::Tree)).await?;
    Query::without_filter(&parts, &[])?;
    let checkpoint = app.in_time(app.log.head()).await?.checkpoint;
    let vkeys = app.in_time(app.log.vkeys()).await?;
    let told = |checkpoint: &Checkpoint| CheckpointBody {
        size: checkpoint.size(),
        root: checkpoint.root_base64(),
        note: checkpoint.note().to_owned(),
    };
    let signed = app.state_file.last_cosignatures().await?;
    let witness = |witness: &Witness| {
        let last = signed.get(witness.name());
        let name = witness.name().to_owned();
        WitnessBody { name, size: last.map(|last| last.0), signed_at: last.map(|last| last.1.saturating_mul(1000)) }
    };
    json(&TreeBody {
        origin: checkpoint.origin().to_owned(),
        size: checkpoint.size(),
        root: checkpoint.root_base64(),
        vkey: vkeys.last().cloned().unwrap_or_default(),
        vkeys,
        checkpoints: app.in_time(app.log.checkpoints(CHECKPOINTS)).await?.iter().map(told).collect(),
        witnesses: app.options.witnesses.iter().map(witness).collect(),
    })
}

#[cfg(test)]
mod tests {
    use sealog::{Checkpoint, Event, Witness};

    use crate::Options;
    use crate::testing::Fixture;

    #[tokio::test]
    async fn the_tree_is_told_with_what_witnesses_say() {
        let (name, seed) = ("witness.example/w1", [9; 32]);
        let mut options = Options::default();
        options.witnesses.push(Witness::parse(&Witness::vkey_of(name, &seed)).unwrap());
        let mut fixture = Fixture::with(options).await;
        fixture.make_keys().await;
        fixture.tell("reader", "GET /v1/tree", "").await;
        let note = fixture.ask("reader", "GET /checkpoint", "").await.text();
        let line = Witness::cosign(name, &seed, &Checkpoint::parse(&note).unwrap(), 1_767_225_600);
        let post = "POST /checkpoint/cosigned\ncontent-type: text/plain";
        fixture.ask("", post, format!("{note}{line}\n")).await;
        fixture.log.log(Event::new("user.login").id("later")).await.unwrap();
        let tree = fixture.tell("acme", "GET /v1/tree", "").await.json();
        assert_eq!(tree["size"], 7);
        assert_eq!(tree["witnesses"][0]["size"], 6);
        fixture.matches("tree").await;
    }
}
