//! Time and randomness. This is the only file that reads the wall clock or draws random bytes;
//! everything else is handed a [`Clock`], so that tests hold literal ids and times.

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rand::rngs::{StdRng, SysRng};
use rand::{Rng, SeedableRng};
use uuid::Builder;

/// Where a log gets its time and its randomness.
///
/// A log uses [`SystemClock`] unless it is given another one. [`ManualClock`] makes logs that are
/// the same, byte for byte, at each run.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Milliseconds since the Unix epoch.
    fn now_ms(&self) -> i64;

    /// Fills `bytes` with randomness that nobody can guess.
    fn fill(&self, bytes: &mut [u8]);
}

/// The wall clock, and a generator seeded by the operating system.
pub struct SystemClock {
    rng: Mutex<StdRng>,
}

impl SystemClock {
    /// A clock with a freshly seeded generator.
    ///
    /// # Panics
    ///
    /// When the operating system has no randomness to give.
    pub fn new() -> Self {
        let rng = StdRng::try_from_rng(&mut SysRng).expect("the operating system gives random bytes");
        Self { rng: Mutex::new(rng) }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for SystemClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SystemClock")
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    fn now_ms(&self) -> i64 {
        // A clock before 1970 is a machine that has not been set up yet: 0 says so in the log.
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    fn fill(&self, bytes: &mut [u8]) {
        self.rng.lock().unwrap_or_else(std::sync::PoisonError::into_inner).fill_bytes(bytes);
    }
}

/// A clock that moves only when told to, with randomness from a seed: for tests and examples.
///
/// ```
/// use sealog::{Clock, ManualClock};
///
/// let clock = ManualClock::new(1_700_000_000_000, 7);
/// assert_eq!(clock.now_ms(), 1_700_000_000_000);
/// clock.advance(5);
/// assert_eq!(clock.now_ms(), 1_700_000_000_005);
/// ```
pub struct ManualClock {
    now_ms: AtomicI64,
    rng: Mutex<StdRng>,
}

impl ManualClock {
    /// A clock that stands at `now_ms` (milliseconds since the Unix epoch) and draws from `seed`.
    pub fn new(now_ms: i64, seed: u64) -> Self {
        Self { now_ms: AtomicI64::new(now_ms), rng: Mutex::new(StdRng::seed_from_u64(seed)) }
    }

    /// Moves the clock by `ms` milliseconds; a negative number sets it back.
    pub fn advance(&self, ms: i64) {
        self.now_ms.fetch_add(ms, Ordering::SeqCst);
    }

    /// Sets the clock to `now_ms`, in milliseconds since the Unix epoch.
    pub fn set(&self, now_ms: i64) {
        self.now_ms.store(now_ms, Ordering::SeqCst);
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManualClock").field("now_ms", &self.now_ms()).finish_non_exhaustive()
    }
}

impl Clock for ManualClock {
    fn now_ms(&self) -> i64 {
        self.now_ms.load(Ordering::SeqCst)
    }

    fn fill(&self, bytes: &mut [u8]) {
        self.rng.lock().unwrap_or_else(std::sync::PoisonError::into_inner).fill_bytes(bytes);
    }
}

/// How much time has passed, whatever becomes of the wall clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// A new event id: a UUIDv7 (RFC 9562, section 5.7), so that ids sort by the time they were made.
pub(crate) fn new_id(clock: &dyn Clock) -> String {
    let mut random = [0; 10];
    clock.fill(&mut random);
    let ms = u64::try_from(clock.now_ms()).unwrap_or(0);
    Builder::from_unix_timestamp_millis(ms, &random).into_uuid().to_string()
}
