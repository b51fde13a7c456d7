//! Drawing from a seed: the few shapes of chance the generator needs, each one multiplication.

use rand::rngs::ChaCha8Rng;
use rand::{Rng, SeedableRng};

/// A seeded source of choices.
#[derive(Debug)]
pub(super) struct Draw(ChaCha8Rng);

impl Draw {
    pub(super) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A number from 0 to `n - 1`; 0 for an `n` of 0.
    pub(super) fn below(&mut self, n: usize) -> usize {
        ((u64::from(self.0.next_u32()) * n as u64) >> 32) as usize
    }

    /// A number from 0 to `n - 1` that is small far more often than large: a few people do most of
    /// the work, and a few records get most of it.
    pub(super) fn skewed(&mut self, n: usize) -> usize {
        let wide = self.below(n);
        let narrow = self.below(wide + 1);
        self.below(narrow + 1)
    }

    /// True in `per_mille` of a thousand cases.
    pub(super) fn chance(&mut self, per_mille: usize) -> bool {
        self.below(1000) < per_mille
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// `prefix` and then `len` (at most 32) lower-case hexadecimal digits.
    pub(super) fn hex(&mut self, prefix: &str, len: usize) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = String::with_capacity(prefix.len() + len);
        text.push_str(prefix);
        let mut bits = 0;
        for place in 0..len {
            if place % 16 == 0 {
                bits = self.0.next_u64();
            }
            text.push(char::from(DIGITS[(bits & 15) as usize]));
            bits >>= 4;
        }
        text
    }
}
