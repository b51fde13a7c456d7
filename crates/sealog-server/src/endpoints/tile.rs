//! `GET /tile/…`: the tree, as files that can be published.

use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};

use crate::app::Shared;
use crate::auth::{Asked, Operation};
use crate::problem::{Problem, ProblemBody};
use crate::query::Query;

/// A tile or an entry bundle
///
/// As C2SP tlog-tiles lays them out: `/tile/0/x001/x234/067`, `/tile/entries/000.p/7`. A tile holds 32-byte
/// hashes, a bundle the entries with their lengths before them; here an entry is the salted hash of an event.
#[utoipa::path(
    get, path = "/tile/{path}", operation_id = "getTile", tag = "proofs", security((), ("bearer" = [])),
    params(("path" = String, Path, description = "The rest of the address, with its slashes")),
    responses(
        (status = 200, description = "The tile", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 404, description = "`not_found`: the tree does not reach that far", body = ProblemBody,
            content_type = "application/problem+json"),
    )
)]
pub(super) async fn tile(State(app): State<Shared>, parts: Parts) -> Result<Response, Problem> {
    if !app.options.public_proofs {
        app.admit(&parts, Operation::read(Asked::Tree)).await?.must_be_whole()?;
    }
    Query::without_filter(&parts, &[])?;
    // The path as it was sent: there is one spelling of each tile. A router may be mounted below others.
    let path = parts.uri.path();
    let path = path.find("/tile/").map_or(path, |at| &path[at + 1..]);
    let bytes = app.in_time(app.log.tile(path)).await?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
        // What a tile holds never changes.
        (
            header::CACHE_CONTROL,
            HeaderValue::from_static(if app.options.public_proofs {
                "public, max-age=31536000, immutable"
            } else {
                "private, max-age=31536000, immutable"
            }),
        ),
    ];
    Ok((headers, bytes).into_response())
}

#[cfg(test)]
mod tests {
    use crate::testing::Fixture;

    #[tokio::test]
    async fn tiles_are_the_tree() {
        let mut fixture = Fixture::filled().await;
        let tile = fixture.ask("reader", "GET /tile/0/000.p/10", "").await;
        assert_eq!((tile.status.as_u16(), tile.body.len()), (200, 320));
        assert_eq!(tile.body, fixture.log.tile("tile/0/000.p/10").await.unwrap());
        let entries = fixture.ask("reader", "GET /tile/entries/000.p/10", "").await;
        assert_eq!((entries.body.len(), &entries.body[..2]), (340, &[0, 32][..]));
        for address in ["0/000", "0/x001/000", "0/000.p/0", "0/0", "64/000", "entries/000.p/257", "0/00%30.p/1", "../x"]
        {
            fixture.tell("reader", &format!("GET /tile/{address}"), "").await;
        }
        fixture.matches("tile").await;
    }
}
