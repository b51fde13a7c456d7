//! Ids for records that have none: from a keyed digest of the content, and how often it came before.

use std::collections::HashMap;
use std::fmt::Write as _;

/// How many different records one file's counts are kept for: what fits a table of 2^21 places,
/// some 36 MiB.
const MAX_COUNTED: usize = 1_800_000;

/// Gives the records of one file their ids.
///
/// The first record with a content has the digest alone as its id, the second `digest-2` and so on,
/// so that two equal lines are two events, and the same file read again gives the same ids. The
/// counts belong to one file: the same event in two files, as when a log was rotated late, is one.
/// Past 1,800,000 different records the place in the file stands for the count, which keeps memory
/// bounded and loses no event.
#[derive(Debug, Default)]
pub struct Repeats {
    counts: HashMap<u64, u32>,
}

impl Repeats {
    /// The id of the record with this keyed digest (hexadecimal) at this place of its file.
    pub fn id(&mut self, digest: &str, place: u64) -> String {
        // 128 bits of the digest identify; 64 of them find a repeat, where a chance collision costs
        // nothing but a suffix.
        let mut id = format!("content-{}", &digest[..digest.len().min(32)]);
        let short = u64::from_str_radix(&digest[..digest.len().min(16)], 16).unwrap_or(place);
        let full = self.counts.len() >= MAX_COUNTED;
        match self.counts.get_mut(&short) {
            Some(count) => {
                *count += 1;
                let _ = write!(id, "-{count}");
            }
            None if full => {
                let _ = write!(id, "-at-{place}");
            }
            None => {
                self.counts.insert(short, 1);
            }
        }
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_lines_are_two_events_and_read_again_the_same_two() {
        let (a, b) = ("aa".repeat(32), "bb".repeat(32));
        let read = || {
            let mut repeats = Repeats::default();
            [&a, &b, &a, &a].into_iter().zip(1..).map(|(digest, place)| repeats.id(digest, place)).collect::<Vec<_>>()
        };
        let ids = read();
        assert_eq!(ids, read());
        assert_eq!(ids[0], format!("content-{}", "aa".repeat(16)));
        assert_eq!(ids[2], format!("content-{}-2", "aa".repeat(16)));
        assert_eq!(ids[3], format!("content-{}-3", "aa".repeat(16)));
    }
}
