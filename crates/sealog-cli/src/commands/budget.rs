//! How much of what was read is in memory at once.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Enough that every commit takes many usual events. What takes more by itself waits until it is alone.
const BUDGET_KIB: usize = 64 * 1024;

/// The room that records take from when they are read until they are acknowledged.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    room: Arc<Semaphore>,
    runtime: Handle,
}

/// Gives its room back when it is dropped.
pub(super) type Room = OwnedSemaphorePermit;

impl Budget {
    /// Must be called inside the runtime.
    pub(super) fn new() -> Self {
        Self { room: Arc::new(Semaphore::new(BUDGET_KIB)), runtime: Handle::current() }
    }

    /// Waits for room for so many bytes, on a thread that may wait. `None` when nobody can give any back.
    pub(super) fn take(&self, bytes: usize) -> Option<Room> {
        let kib = bytes.div_ceil(1024).clamp(1, BUDGET_KIB) as u32;
        self.runtime.block_on(self.room.clone().acquire_many_owned(kib)).ok()
    }
}
