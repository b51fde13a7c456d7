//! Every statement in `queries/` is valid SQL against the schema it is for, and is used.

use std::path::Path;

use crate::application::connect;
use crate::support::Fixture;

/// With names to be put in, or several statements: the tests run them as a whole.
const PUT_TOGETHER: [&str; 6] =
    ["commit.sql", "configure.sql", "inbox_insert.sql", "roles.sql", "schema_create.sql", "set_functions_version.sql"];

#[tokio::test]
async fn every_query_is_valid_and_used() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    let client = connect(&fixture).await;
    client.batch_execute("SET search_path TO sealog, pg_temp").await.unwrap();

    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/journal/postgres");
    let mut rust = String::new();
    for entry in std::fs::read_dir(&source).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            rust.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
    let mut count = 0;
    for entry in std::fs::read_dir(source.join("queries")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        assert!(rust.contains(&format!("queries/{name}\"")), "{name} is used nowhere");
        if !PUT_TOGETHER.contains(&&*name) {
            let sql = std::fs::read_to_string(&path).unwrap();
            client.prepare(&sql).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        }
        count += 1;
    }
    assert!(count > 40);
    log.close().await.unwrap();
}
