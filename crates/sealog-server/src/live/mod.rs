//! Live streams: Server-Sent Events, by the addresses that are otherwise asked once.

pub(crate) mod frame;
pub(crate) mod hub;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{Stream, StreamExt as _, unfold};
use sealog::Watch;
use tokio::sync::watch;

use crate::app::Shared;
use crate::auth::{Caller, Lease};
use crate::problem::{Code, Problem};
use crate::rate::{Full, Place};
use crate::until_stopped;

/// Whether a live stream is asked for.
pub(crate) fn is_asked(parts: &Parts) -> bool {
    let accepted = parts.headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|range| {
        range.split(';').next().is_some_and(|range| range.trim().eq_ignore_ascii_case("text/event-stream"))
    })
}

/// What a stream goes on with.
pub(crate) trait Source: Send + 'static {
    /// The next frames; nothing is lost when this is dropped before it answers.
    fn next(&mut self) -> impl Future<Output = Result<Bytes, Problem>> + Send;
}

/// What is told anew each time it changes.
pub(crate) struct Told<T> {
    watch: Watch<T>,
    event: &'static str,
}

impl<T> Told<T> {
    pub(crate) fn new(event: &'static str, watch: Watch<T>) -> Self {
        Self { watch, event }
    }
}

impl<T: serde::Serialize + Send + 'static> Source for Told<T> {
    async fn next(&mut self) -> Result<Bytes, Problem> {
        match self.watch.next().await {
            Some(told) => {
                let json = serde_json::to_string(&told?).map_err(Problem::internal)?;
                Ok(frame::frame(self.event, None, &json))
            }
            None => Err(Problem::internal("a watch ended without an error")),
        }
    }
}

struct Live<S> {
    app: Shared,
    lease: Lease,
    _place: Place,
    ready: VecDeque<Bytes>,
    source: S,
    is_over: bool,
    stop: watch::Receiver<bool>,
    keys: watch::Receiver<u64>,
}

/// Takes a place among the live streams.
pub(crate) fn place(app: &Shared, caller: &Caller) -> Result<Place, Problem> {
    let (each, all) = (app.options.limits.max_streams_per_caller, app.options.limits.max_streams);
    app.streams.take(&caller.counted, each, all).map_err(|full| {
        let text = match full {
            Full::Yours => format!("you have {each} live streams; close one first"),
            Full::All => format!("there are {all} live streams; try again later"),
        };
        Problem::new(Code::TooManyStreams, text).retry_after(10)
    })
}

/// The response that tells `first` and then what the source has.
pub(crate) fn response<S: Source>(
    app: &Shared,
    caller: &Caller,
    place: Place,
    first: Vec<Bytes>,
    source: S,
) -> Response {
    let mut ready = VecDeque::from([frame::retry()]);
    ready.extend(first);
    let live = Live {
        lease: caller.lease.clone(),
        _place: place,
        ready,
        source,
        is_over: false,
        stop: app.stop.clone(),
        keys: app.keys.changes(),
        app: app.clone(),
    };
    streamed(unfold(live, |mut live| async move { Some((live.step().await?, live)) }))
}

/// The response whose frames these are.
pub(crate) fn streamed(frames: impl Stream<Item = Bytes> + Send + 'static) -> Response {
    let body = Body::from_stream(frames.map(Ok::<_, Infallible>));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // Proxies that gather what they pass on would hold it back.
        (header::HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    (headers, body).into_response()
}

impl<S: Source> Live<S> {
    async fn step(&mut self) -> Option<Bytes> {
        if let Some(bytes) = self.ready.pop_front() {
            return Some(bytes);
        }
        if self.is_over {
            return None;
        }
        let keep_alive = Duration::from_millis(self.app.options.limits.keep_alive_ms);
        loop {
            // One who watches with a key that is over, or was taken back, sees nothing more.
            if !self.app.keys.holds(&self.lease) {
                return Some(self.end(frame::stop("expired")));
            }
            let last = tokio::select! {
                biased;
                () = until_stopped(&mut self.stop) => frame::stop("shutdown"),
                changed = self.keys.changed(), if self.lease.key_id.is_some() => match changed {
                    Ok(()) => continue,
                    Err(_) => frame::stop("shutdown"),
                },
                told = self.source.next() => match told {
                    Ok(bytes) => return Some(bytes),
                    Err(problem) => {
                        tracing::warn!(problem = problem.told(), "a live stream ended");
                        frame::error(&problem)
                    }
                },
                () = tokio::time::sleep(keep_alive) => return Some(frame::keep_alive()),
            };
            return Some(self.end(last));
        }
    }

    fn end(&mut self, last: Bytes) -> Bytes {
        self.is_over = true;
        last
    }
}
