//! How often somebody may ask, and how many streams they may have.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::problem::{Code, Problem};

/// Of so many callers it is remembered at once how often they asked. Who is forgotten begins anew.
const MAX_CALLERS: usize = 10_000;

/// Requests of each caller, by the generic cell rate algorithm (ITU-T I.371): of each caller it is known when
/// the next request would be in time at an even pace, and how far ahead of that one may come is bounded.
pub(crate) struct Rates {
    next: Mutex<HashMap<String, Instant>>,
}

/// So many requests in so much time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) requests: u32,
    pub(crate) within: Duration,
    /// How many may come at once.
    pub(crate) burst: u32,
}

impl Rates {
    pub(crate) fn new() -> Self {
        Self { next: Mutex::default() }
    }

    /// Counts one request. When it comes too soon, answers for how long to wait.
    pub(crate) fn count(&self, caller: &str, pace: Pace) -> Result<(), Duration> {
        let step = pace.within / pace.requests.max(1);
        let ahead = step * pace.burst.max(1);
        let now = Instant::now();
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let known = next.get(caller).copied().unwrap_or(now).max(now);
        let after = known + step;
        if after > now + ahead {
            return Err(after - (now + ahead));
        }
        if next.len() >= MAX_CALLERS && !next.contains_key(caller) {
            // Those whose time has passed are as if they had never been.
            next.retain(|_, known| *known > now);
            if next.len() >= MAX_CALLERS {
                next.clear();
            }
        }
        next.insert(caller.to_owned(), after);
        Ok(())
    }
}

/// The refusal of one that comes too soon.
pub(crate) fn too_soon(wait: Duration) -> Problem {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    Problem::new(Code::RateLimited, format!("too many requests; wait {} s", seconds.max(1))).retry_after(seconds.max(1))
}

/// Live streams of each caller.
pub(crate) struct Streams {
    open: Mutex<HashMap<String, usize>>,
}

/// One live stream, as long as it is held.
pub(crate) struct Stream {
    streams: Arc<Streams>,
    caller: String,
}

impl Streams {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { open: Mutex::default() })
    }

    pub(crate) fn open(self: &Arc<Self>, caller: &str, each: usize, all: usize) -> Result<Stream, Problem> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.values().sum::<usize>() >= all {
            return Err(Problem::new(Code::TooManyStreams, format!("there are {all} live streams; try again later"))
                .retry_after(10));
        }
        let mine = open.entry(caller.to_owned()).or_default();
        if *mine >= each {
            return Err(Problem::new(Code::TooManyStreams, format!("you have {each} live streams; close one first"))
                .retry_after(10));
        }
        *mine += 1;
        Ok(Stream { streams: self.clone(), caller: caller.to_owned() })
    }

    pub(crate) fn count(&self) -> usize {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).values().sum()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let mut open = self.streams.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mine) = open.get_mut(&self.caller) {
            *mine -= 1;
            if *mine == 0 {
                open.remove(&self.caller);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_and_then_an_even_pace() {
        let rates = Rates::new();
        let pace = Pace { requests: 10, within: Duration::from_secs(1), burst: 3 };
        for _ in 0..3 {
            rates.count("a", pace).unwrap();
        }
        assert_eq!(rates.count("a", pace), Err(Duration::from_millis(100)));
        rates.count("b", pace).unwrap();
        tokio::time::advance(Duration::from_millis(100)).await;
        rates.count("a", pace).unwrap();
        assert!(rates.count("a", pace).is_err());
    }

    #[test]
    fn streams_are_counted_until_they_end() {
        let streams = Streams::new();
        let first = streams.open("a", 1, 2).unwrap();
        assert!(streams.open("a", 1, 2).is_err());
        let _second = streams.open("b", 1, 2).unwrap();
        assert!(streams.open("c", 1, 2).is_err());
        drop(first);
        assert_eq!(streams.count(), 1);
        streams.open("a", 1, 2).unwrap();
    }
}
