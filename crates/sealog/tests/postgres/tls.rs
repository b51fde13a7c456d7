//! Connections that nobody can listen to.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use sealog::{AuditLog, ErrorKind, Event};
use tempfile::tempdir;
use throwaway_postgres::shared;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// What a connection begins with that asks for TLS.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// Makes a certificate for `localhost`, signed by itself, and its key.
fn certify(certificate: &Path, key: &Path) {
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]);
    openssl.args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]);
    openssl.args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout"]).arg(key).arg("-out").arg(certificate);
    let output = openssl.output().expect("openssl runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// TLS in front of the server, which may be built without. Whoever does not ask for it is turned away. Answers the
/// port.
async fn encrypted(certificate: &Path, key: &Path) -> u16 {
    let certificate = CertificateDer::from_pem_file(certificate).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let config = config.with_single_cert(vec![certificate], PrivateKeyDer::from_pem_file(key).unwrap()).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut request = [0; 8];
                if socket.read_exact(&mut request).await.is_err() || request != SSL_REQUEST {
                    return;
                }
                socket.write_all(b"S").await.unwrap();
                if let Ok(mut stream) = acceptor.accept(socket).await {
                    let mut server = TcpStream::connect(("127.0.0.1", shared().port())).await.unwrap();
                    let _ = copy_bidirectional(&mut stream, &mut server).await;
                }
            });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_checked_as_the_url_says() {
    let home = tempdir().unwrap();
    let path = |name: &str| home.path().join(name);
    certify(&path("own.crt"), &path("own.key"));
    certify(&path("other.crt"), &path("other.key"));
    let (plain, port) = (shared().port(), encrypted(&path("own.crt"), &path("own.key")).await);
    let database = shared().database();
    let at = |host: &str, port: u16, options: &str| {
        format!("postgres://postgres@{host}:{port}/{}?{options}", database.name())
    };
    let builder = |url: String| AuditLog::builder(url).key_file(path("key")).index(path("index"));
    let verified = |roots: &str| format!("sslmode=verify-full&sslrootcert={}", path(roots).display());

    for options in [&*verified("own.crt"), "sslmode=require", "sslmode=prefer", ""] {
        let log = builder(at("localhost", port, options)).open().await.unwrap();
        log.log(Event::new("a")).await.unwrap();
        log.close().await.unwrap();
    }
    // Another authority, another name, no such file, a server without TLS, and none of it asked for.
    for (url, kind, word) in [
        (at("localhost", port, &verified("other.crt")), ErrorKind::Storage, "certificate"),
        (at("127.0.0.1", port, &verified("own.crt")), ErrorKind::Storage, "certificate"),
        (at("localhost", port, &verified("none.crt")), ErrorKind::InvalidArgument, "none.crt"),
        (at("localhost", plain, "sslmode=require"), ErrorKind::Storage, "TLS"),
        (at("localhost", port, "sslmode=disable"), ErrorKind::Storage, "server"),
    ] {
        let error = builder(url.clone()).open().await.unwrap_err();
        assert!(error.kind() == kind && error.to_string().contains(word), "{url}: {error}");
    }
}
