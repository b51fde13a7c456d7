//! How often somebody may ask, and how many places they may take.

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

impl Pace {
    /// So many a second on average, of which a tenth of a minute's worth may come at once.
    pub(crate) fn per_second(requests: u32) -> Self {
        Self { requests, within: Duration::from_secs(1), burst: requests.saturating_mul(6) }
    }
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

/// Places that are taken, by whom: live streams by caller, connections by address.
pub(crate) struct Places {
    taken: Mutex<HashMap<String, usize>>,
}

/// A place, as long as it is held.
pub(crate) struct Place {
    places: Arc<Places>,
    who: String,
}

/// Why there is no place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// Whoever asks has as many as one may have.
    Yours,
    /// All are taken.
    All,
}

impl Places {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { taken: Mutex::default() })
    }

    pub(crate) fn take(self: &Arc<Self>, who: &str, each: usize, all: usize) -> Result<Place, Full> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.values().sum::<usize>() >= all {
            return Err(Full::All);
        }
        if taken.get(who).copied().unwrap_or_default() >= each {
            return Err(Full::Yours);
        }
        *taken.entry(who.to_owned()).or_default() += 1;
        Ok(Place { places: self.clone(), who: who.to_owned() })
    }

    pub(crate) fn count(&self) -> usize {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).values().sum()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mine) = taken.get_mut(&self.who) {
            *mine -= 1;
            if *mine == 0 {
                taken.remove(&self.who);
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
    fn places_are_taken_until_they_are_left() {
        let places = Places::new();
        let first = places.take("a", 1, 2).map_err(|full| format!("{full:?}")).unwrap();
        assert_eq!(places.take("a", 1, 2).err(), Some(Full::Yours));
        let _second = places.take("b", 1, 2).map_err(|full| format!("{full:?}")).unwrap();
        assert_eq!(places.take("c", 1, 2).err(), Some(Full::All));
        drop(first);
        assert_eq!(places.count(), 1);
        assert!(places.take("a", 1, 2).is_ok());
    }
}
