//! Prints the major versions of PostgreSQL that tests can run on, one a line, oldest first; with the argument
//! `run`, runs one, says where, and ends with its standard input.

use std::io::{Read, Write};

use throwaway_postgres::{Server, ServerOptions, installed};

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    if std::env::args().nth(1).as_deref() == Some("run") {
        let server = Server::start(&ServerOptions::default());
        writeln!(out, "{}", server.url("postgres"))?;
        std::io::stdin().read_to_end(&mut Vec::new())?;
        return Ok(());
    }
    for found in installed() {
        writeln!(out, "{}", found.major)?;
    }
    Ok(())
}
