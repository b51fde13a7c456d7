//! The tree as others fetch it, computed anew from its entries alone (RFC 6962; c2sp.org/tlog-tiles).

use axum::Router;
use sealog::{Checkpoint, Event};
use sha2::{Digest as _, Sha256};

use crate::support::{Mounted, verify};

type Hash = [u8; 32];

fn leaf(entry: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(entry).finalize().into()
}

/// The root over these hashes of one level.
fn root(hashes: &[Hash]) -> Hash {
    if let [hash] = hashes {
        return *hash;
    }
    let (left, right) = hashes.split_at(hashes.len().next_power_of_two() / 2);
    Sha256::new().chain_update([1]).chain_update(root(left)).chain_update(root(right)).finalize().into()
}

#[tokio::test]
async fn tiles_and_entries_are_the_tree_of_the_checkpoint() {
    let mut mounted = Mounted::new().await;
    // With the event of the key: two full tiles and one of 44.
    mounted.log.log_bulk(vec![Event::new("x"); 555]).await.expect("they are logged");
    let get = async |mounted: &Mounted, path: &str| {
        let (status, headers, bytes) = mounted.ask(&format!("GET {path}"), "", "").await;
        assert_eq!(status, 200, "{path}: {}", String::from_utf8_lossy(&bytes));
        (headers, bytes.to_vec())
    };
    let mut leaves = Vec::new();
    for (place, width) in [("000", 256), ("001", 256), ("002.p/44", 44)] {
        let (headers, bundle) = get(&mounted, &format!("/tile/entries/{place}")).await;
        assert_eq!(headers["content-type"], "application/octet-stream");
        assert_eq!(headers["cache-control"], "private, max-age=31536000, immutable");
        let (entries, rest) = bundle.as_chunks::<34>();
        assert_eq!((entries.len(), rest.len()), (width, 0), "{place}");
        assert!(entries.iter().all(|entry| entry[..2] == [0, 32]), "{place}");
        let of_bundle: Vec<_> = entries.iter().map(|entry| leaf(&entry[2..])).collect();
        assert_eq!(get(&mounted, &format!("/tile/0/{place}")).await.1, of_bundle.concat(), "{place}");
        leaves.extend(of_bundle);
    }
    let level_1 = [root(&leaves[..256]), root(&leaves[256..512])];
    assert_eq!(get(&mounted, "/tile/1/000.p/2").await.1, level_1.concat());
    // What was once the end of the tree is there still.
    assert_eq!(get(&mounted, "/tile/0/000.p/7").await.1, leaves[..7].concat());
    assert_eq!(get(&mounted, "/tile/1/000.p/1").await.1, level_1[0]);
    let note = String::from_utf8(get(&mounted, "/checkpoint").await.1).expect("text");
    let checkpoint = Checkpoint::parse(&note).expect("a checkpoint");
    assert_eq!((checkpoint.size(), checkpoint.root()), (556, root(&leaves)));
    // A router may be mounted below others.
    let tile = get(&mounted, "/tile/0/001").await.1;
    mounted.router = Router::new().nest("/audit", mounted.router);
    assert_eq!(get(&mounted, "/audit/tile/0/001").await.1, tile);
    verify(&mounted.log).await;
}

#[tokio::test]
async fn what_is_no_tile_or_none_yet_is_refused() {
    let mounted = Mounted::new().await;
    mounted.log.log_bulk(vec![Event::new("x"); 299]).await.expect("they are logged");
    for (path, expected) in [
        ("/tile/0/000", (200, "")),
        ("/tile/0/001", (404, "not_found")),
        ("/tile/0/001.p/44", (200, "")),
        ("/tile/0/001.p/45", (404, "not_found")),
        ("/tile/0/002.p/1", (404, "not_found")),
        ("/tile/1/000", (404, "not_found")),
        ("/tile/1/000.p/2", (404, "not_found")),
        ("/tile/2/000.p/1", (404, "not_found")),
        ("/tile/entries/001", (404, "not_found")),
        ("/tile/entries/001.p/45", (404, "not_found")),
        ("/tile/0/x018/x446/x744/x073/x709/x551/615", (404, "not_found")),
        ("/tile/0/x018/x446/x744/x073/x709/x551/616", (400, "invalid_argument")),
        ("/tile/0/000.p/0", (400, "invalid_argument")),
        ("/tile/0/000.p/256", (400, "invalid_argument")),
        ("/tile/0/000.p/-1", (400, "invalid_argument")),
        ("/tile/0/000/", (400, "invalid_argument")),
        ("/tile/0/0", (400, "invalid_argument")),
        ("/tile/00/000", (400, "invalid_argument")),
        ("/tile/64/000", (400, "invalid_argument")),
        ("/tile/data/000", (400, "invalid_argument")),
        ("/tile/entries/../0/000", (400, "invalid_argument")),
        ("/tile/tile/0/000", (400, "invalid_argument")),
        ("/tile/0/000?x=1", (400, "invalid_argument")),
        ("/tile/", (404, "no_route")),
        ("/tile", (404, "no_route")),
    ] {
        let (status, _, body) = mounted.ask(&format!("GET {path}"), "", "").await;
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        assert_eq!((status, problem["code"].as_str().unwrap_or_default()), expected, "{path}");
    }
    assert_eq!(mounted.ask("POST /tile/0/000", "", "").await.0, 405);
}
