//! Frames: neighbouring events packed into one row. docs/FORMAT.md describes the bytes.
//!
//! Commitments and salts stand side by side, since they are random and do not compress. The bodies
//! are one zstd frame: each body's length as a 32-bit little-endian number, then the bodies. There is
//! no trained dictionary: it would keep people's data verbatim after their events are gone.

use crate::error::{Error, ErrorKind, Result};
use crate::event::MAX_EVENT_BYTES;
use crate::journal::StoredRow;

/// The most events of a frame. More compress better, fewer are faster to read one of.
pub(super) const FRAME_EVENTS: usize = 64;
/// A frame is full when its bodies reach this many bytes, so that one event costs at most this much
/// to read beside its own size.
pub(super) const FRAME_BYTES: usize = 128 * 1024;
/// No frame unpacks to more than this.
const MAX_FRAME_BYTES: usize = FRAME_BYTES + MAX_EVENT_BYTES + 4 * FRAME_EVENTS;
/// Level 3 makes frames of this size no smaller by more than a hundredth, and takes half as long again.
const ZSTD_LEVEL: i32 = 1;

/// Packs rows into frames. Keeps its buffers.
pub(super) struct Packer {
    zstd: zstd::bulk::Compressor<'static>,
    plain: Vec<u8>,
    packed: Vec<u8>,
}

/// One frame's columns.
pub(super) struct Frame<'a> {
    pub(super) count: u64,
    pub(super) commitments: Vec<u8>,
    pub(super) salts: Vec<u8>,
    pub(super) bodies: &'a [u8],
}

impl Packer {
    pub(super) fn new() -> Result<Self> {
        let zstd = zstd::bulk::Compressor::new(ZSTD_LEVEL)
            .map_err(|error| Error::new(ErrorKind::Storage, format!("zstd gave no compressor: {error}")))?;
        Ok(Self { zstd, plain: Vec::new(), packed: Vec::new() })
    }

    pub(super) fn pack(&mut self, rows: &[StoredRow<'_>]) -> Result<Frame<'_>> {
        self.plain.clear();
        for row in rows {
            self.plain.extend_from_slice(&(row.body.len() as u32).to_le_bytes());
        }
        for row in rows {
            self.plain.extend_from_slice(row.body);
        }
        self.packed.clear();
        self.packed.reserve(zstd::zstd_safe::compress_bound(self.plain.len()));
        self.zstd
            .compress_to_buffer(&self.plain, &mut self.packed)
            .map_err(|error| Error::new(ErrorKind::Storage, format!("cannot pack events: {error}")))?;
        Ok(Frame {
            count: rows.len() as u64,
            commitments: rows.iter().flat_map(|row| row.commitment).copied().collect(),
            salts: rows.iter().flat_map(|row| row.salt).copied().collect(),
            bodies: &self.packed,
        })
    }
}

/// How many of `rows` go into the next frame: as many as its limits allow, and so that the frames
/// of one stretch are of about the same size.
pub(super) fn next_frame(body_lengths: impl ExactSizeIterator<Item = usize>) -> usize {
    let frames = body_lengths.len().div_ceil(FRAME_EVENTS);
    let even = body_lengths.len().div_ceil(frames.max(1));
    let mut bytes = 0;
    let mut count = 0;
    for length in body_lengths.take(even) {
        bytes += length;
        count += 1;
        if bytes >= FRAME_BYTES {
            break;
        }
    }
    count
}

/// Unpacks the bodies of a frame of `count` events. Keeps its buffers.
pub(crate) struct Unpacker {
    zstd: zstd::bulk::Decompressor<'static>,
    plain: Vec<u8>,
    bounds: Vec<(usize, usize)>,
}

impl Unpacker {
    pub(crate) fn new() -> Result<Self> {
        let zstd = zstd::bulk::Decompressor::new()
            .map_err(|error| Error::new(ErrorKind::Storage, format!("zstd gave no decompressor: {error}")))?;
        Ok(Self { zstd, plain: Vec::new(), bounds: Vec::new() })
    }

    pub(crate) fn unpack(&mut self, seq: u64, count: usize, bodies: &[u8]) -> Result<()> {
        let broken = |found: String| {
            Error::new(
                ErrorKind::Integrity,
                format!(
                    "the frame of the events from seq {seq} on cannot be read: expected {count} bodies, found {found}"
                ),
            )
        };
        let size = zstd::zstd_safe::get_frame_content_size(bodies)
            .ok()
            .flatten()
            .and_then(|size| usize::try_from(size).ok())
            .filter(|size| *size <= MAX_FRAME_BYTES)
            .ok_or_else(|| broken("no zstd frame of a legal size".to_owned()))?;
        self.plain.clear();
        self.plain.reserve(size);
        self.zstd
            .decompress_to_buffer(bodies, &mut self.plain)
            .map_err(|error| broken(format!("zstd data that does not unpack ({error})")))?;
        self.bounds.clear();
        let lengths = count.checked_mul(4).and_then(|end| self.plain.get(..end));
        let lengths = lengths.ok_or_else(|| broken(format!("{} bytes in all", self.plain.len())))?;
        let mut start = lengths.len();
        for length in lengths.chunks_exact(4) {
            let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]) as usize;
            self.bounds.push((start, start + length));
            start += length;
        }
        if start != self.plain.len() {
            return Err(broken(format!("{} bytes where the lengths add up to {start}", self.plain.len())));
        }
        Ok(())
    }

    pub(crate) fn body(&self, index: usize) -> &[u8] {
        let (start, end) = self.bounds[index];
        &self.plain[start..end]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_and_damage_is_named() {
        let bodies: Vec<Vec<u8>> = (0..50).map(|i| format!("{{\"n\":{i}}}").into_bytes()).collect();
        let rows: Vec<_> = bodies.iter().map(|body| StoredRow { commitment: &[7; 32], salt: &[8; 16], body }).collect();
        let mut packer = Packer::new().unwrap();
        let frame = packer.pack(&rows).unwrap();
        let mut unpacker = Unpacker::new().unwrap();
        unpacker.unpack(10, 50, frame.bodies).unwrap();
        assert!(bodies.iter().enumerate().all(|(i, body)| unpacker.body(i) == body));

        for (count, bytes) in [(51, frame.bodies), (50, &frame.bodies[1..]), (50, &[][..])] {
            let error = unpacker.unpack(10, count, bytes).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Integrity);
            assert!(error.message().contains("seq 10"), "{error}");
        }
    }

    #[test]
    fn a_stretch_is_cut_evenly_and_by_bytes() {
        assert_eq!(next_frame([600; 1000].into_iter()), 63);
        assert_eq!(next_frame([600; 64].into_iter()), 64);
        assert_eq!(next_frame([600; 1].into_iter()), 1);
        assert_eq!(next_frame([FRAME_BYTES; 3].into_iter()), 1);
    }
}
