//! A server of its own: connections, their times, and how it stops.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep};
use tower::ServiceExt as _;

use crate::app::App;
use crate::limits::MAX_HEAD_BYTES;
use crate::metrics::count;
use crate::rate::{Pace, Place, Places};
use crate::{Server, Stop, until_stopped};

/// How long it waits before it accepts again where the machine has nothing left for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How often what is counted of reads and keys is written down.
const FLUSH_INTERVAL: Duration = Duration::from_secs(10);

/// How often it is told that connections are refused.
const TOLD: Pace = Pace { requests: 1, within: Duration::from_mins(1), burst: 1 };

/// What encrypts connections. There is none without the feature `tls`.
#[derive(Clone)]
pub struct Tls {
    #[cfg(feature = "tls")]
    acceptor: tokio_rustls::TlsAcceptor,
    #[cfg(not(feature = "tls"))]
    never: Infallible,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

#[cfg(feature = "tls")]
impl Tls {
    /// Reads a chain of certificates and its private key, each in PEM.
    ///
    /// # Errors
    ///
    /// In words, when one of them is missing, malformed, or not the other's.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, String> {
        use tokio_rustls::rustls::ServerConfig;
        use tokio_rustls::rustls::pki_types::pem::PemObject as _;
        use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

        let chain = CertificateDer::pem_slice_iter(certificates).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|error| format!("the certificates cannot be read: {error}"))?;
        if chain.is_empty() {
            return Err("there is no certificate in PEM".to_owned());
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| "there is no private key in PEM".to_owned())?;
        let mut config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|error| format!("the certificate and its key cannot be used: {error}"))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { acceptor: Arc::new(config).into() })
    }
}

/// A server that runs.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    stop: Stop,
    ended: tokio::task::JoinHandle<()>,
}

impl Running {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What stops it.
    pub fn stopper(&self) -> Stop {
        self.stop.clone()
    }

    /// Stops it: no new connections, live streams are told and end, and what is being answered is finished, for
    /// [`Limits::drain_ms`](crate::Limits::drain_ms) at the most. The log stays open.
    pub async fn stop(self) {
        self.stop.stop();
        let _ = self.ended.await;
    }
}

/// Runs a server on a socket, until it is stopped.
///
/// ```
/// use sealog::AuditLog;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// let log = AuditLog::open(dir.path().join("audit.db")).await?;
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// let running = sealog_server::serve(sealog_server::router(log.clone()), listener, None)?;
/// println!("http://{}", running.address());
/// running.stop().await;
/// log.close().await?;
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// When the socket cannot say where it listens.
pub fn serve(server: Server, listener: TcpListener, tls: Option<Tls>) -> io::Result<Running> {
    let address = listener.local_addr()?;
    let stop = server.stopper();
    let stopped = server.stopped.clone();
    let (router, app) = server.into_parts();
    let ended = tokio::spawn(run(router, app, listener, tls, stopped));
    Ok(Running { address, stop, ended })
}

async fn run(
    router: Router,
    app: Arc<App>,
    listener: TcpListener,
    tls: Option<Tls>,
    mut stopped: watch::Receiver<bool>,
) {
    let limits = app.options.limits.clone();
    let places = Arc::new(Semaphore::new(limits.max_connections));
    let addresses = Places::new();
    let mut connections = JoinSet::new();
    let mut flush = tokio::time::interval(FLUSH_INTERVAL);
    loop {
        tokio::select! {
            biased;
            () = until_stopped(&mut stopped) => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            _ = flush.tick() => app.write_down(false).await,
            accepted = accept(&listener, &places) => {
                let (stream, peer, place) = accepted;
                let Some(of_address) = app.place_of(&addresses, peer.ip()) else { continue };
                let (router, stopped, tls) = (router.clone(), stopped.clone(), tls.clone());
                let (head, write) = (limits.head_timeout_ms, limits.write_pause_ms);
                connections.spawn(async move {
                    let _places = (place, of_address);
                    let times = Times { head: Duration::from_millis(head), write: Duration::from_millis(write) };
                    connection(stream, peer, router, tls, times, stopped).await;
                });
            }
        }
    }
    drop(listener);
    let drain = Duration::from_millis(limits.drain_ms);
    let drained = tokio::time::timeout(drain, async { while connections.join_next().await.is_some() {} }).await;
    if drained.is_err() {
        tracing::warn!(connections = connections.len(), "some connections did not end in time");
        connections.shutdown().await;
    }
    app.write_down(true).await;
}

impl App {
    /// The place that a connection takes among those of its address; `None` when there are too many. Those of a
    /// trusted proxy are many people's.
    fn place_of(&self, addresses: &Arc<Places>, address: IpAddr) -> Option<Place> {
        let is_trusted = self.options.trusted_proxies.iter().any(|network| network.contains(address));
        let most = if is_trusted { usize::MAX } else { self.options.limits.max_connections_per_address };
        let who = match address.to_canonical() {
            IpAddr::V4(address) => address.to_string(),
            // Whoever has one address of a /64 has them all.
            IpAddr::V6(address) => format!("{:x}", address.to_bits() >> 64),
        };
        let place = addresses.take(&who, most, usize::MAX).ok();
        if place.is_none() {
            // By anybody, as often as they like, so it is told now and then.
            if self.rates.count("connections refused", TOLD).is_ok() {
                tracing::warn!(%address, most, "closed a connection: its address has too many; is it a proxy, to be named?");
            }
            count(&self.metrics.connections_refused, 1);
        }
        place
    }

    /// Writes down what is counted of reads and of keys.
    async fn write_down(&self, all: bool) {
        if let Err(problem) = self.reads.flush(all).await {
            tracing::error!(problem = problem.told(), "reads could not be logged");
        }
        if let Err(problem) = self.state_file.keep_uses(self.keys.uses()).await {
            tracing::error!(problem = problem.told(), "the last uses of keys could not be kept");
        }
    }
}

#[derive(Clone, Copy)]
struct Times {
    head: Duration,
    write: Duration,
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit) {
    loop {
        let Ok(place) = places.clone().acquire_owned().await else {
            std::future::pending::<()>().await;
            continue;
        };
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer, place),
            Err(error) => {
                // Of one connection that has gone already, or of the machine, which has no more to give.
                tracing::debug!(%error, "a connection could not be accepted");
                drop(place);
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    tls: Option<Tls>,
    times: Times,
    stopped: watch::Receiver<bool>,
) {
    // Frames are small, and wait for nobody.
    let _ = stream.set_nodelay(true);
    let stream = Patient::new(stream, times.write);
    match tls {
        None => http(stream, peer, router, times, stopped).await,
        #[cfg(feature = "tls")]
        Some(tls) => match tokio::time::timeout(times.head, tls.acceptor.accept(stream)).await {
            Ok(Ok(stream)) => http(stream, peer, router, times, stopped).await,
            Ok(Err(error)) => tracing::debug!(%error, "a connection could not be encrypted"),
            Err(_) => tracing::debug!("a connection was not encrypted in time"),
        },
        #[cfg(not(feature = "tls"))]
        Some(tls) => match tls.never {},
    }
}

async fn http<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    peer: SocketAddr,
    router: Router,
    times: Times,
    mut stopped: watch::Receiver<bool>,
) {
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let mut request = request.map(axum::body::Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        let router = router.clone();
        async move { Ok::<_, Infallible>(router.oneshot(request).await.unwrap_or_else(|never| match never {})) }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(times.head).max_buf_size(MAX_HEAD_BYTES);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = until_stopped(&mut stopped) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// A connection whose other side may not refuse to take what it is sent for longer than a while.
struct Patient<S> {
    stream: S,
    patience: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    fn new(stream: S, patience: Duration) -> Self {
        Self { stream, patience, waiting: None }
    }

    fn told<T>(&mut self, context: &mut Context<'_>, done: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if done.is_ready() {
            self.waiting = None;
            return done;
        }
        let until = Instant::now() + self.patience;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        match waiting.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing"))),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.told(context, done)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.told(context, done)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.stream).poll_flush(context);
        self.told(context, done)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.stream).poll_shutdown(context);
        self.told(context, done)
    }
}
