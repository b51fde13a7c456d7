//! Tiles and entry bundles: the tree as files that can be published (c2sp.org/tlog-tiles).

use std::fmt;

use tlog_tiles::Tile;

use super::leaves::{Leaves, TILE_HEIGHT, TILE_WIDTH, hashes};
use crate::error::{Error, ErrorKind, Result};

/// The highest level that a path may name (c2sp.org/tlog-tiles). No tree that can be counted has tiles
/// above level 7; asking for one is answered with "not there", as for any other that is not.
const MAX_LEVEL: u8 = 63;

/// The place of a tile: `tile/<L>/<N>[.p/<W>]`, or `tile/entries/<N>[.p/<W>]` for a bundle of
/// entries. `N` stands in groups of three digits with `x` before all but the last, as 1234067 in
/// `x001/x234/067`; `W` is there when the tile has fewer than 256 hashes or entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TilePath {
    tile: Tile,
}

impl TilePath {
    /// A tile of hashes, or `None` where there can be none: a level above 63, a width of zero or
    /// above 256.
    #[cfg(test)]
    pub(crate) fn hashes(level: u8, index: u64, width: u16) -> Option<Self> {
        let valid = level <= MAX_LEVEL && (1..=TILE_WIDTH).contains(&u64::from(width));
        valid.then(|| Self { tile: Tile::new(TILE_HEIGHT, level, index, u32::from(width), false) })
    }

    /// A bundle of entries, or `None` where there can be none: a width of zero or above 256.
    #[cfg(test)]
    pub(crate) fn entries(index: u64, width: u16) -> Option<Self> {
        let mut path = Self::hashes(0, index, width)?;
        path.tile.set_is_data();
        Some(path)
    }

    /// Reads a path; each tile has exactly one.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` when this is no tile's path.
    pub(crate) fn parse(path: &str) -> Result<Self> {
        let wrong = || {
            let path: String = path.chars().take(80).collect();
            Error::new(
                ErrorKind::InvalidArgument,
                format!("{path:?} is no tile; expected tile/<level>/<number>, as in tile/0/x001/x234/067.p/8"),
            )
        };
        let (kind, place) = path.strip_prefix("tile/").and_then(|rest| rest.split_once('/')).ok_or_else(wrong)?;
        let kind = match kind {
            "entries" => "data",
            level if level.parse::<u8>().is_ok_and(|level| level <= MAX_LEVEL) => level,
            _ => return Err(wrong()),
        };
        // The library panics at a width of zero.
        if let Some((_, width)) = place.rsplit_once(".p/")
            && width.parse::<u32>() == Ok(0)
        {
            return Err(wrong());
        }
        // Its paths name the height of tiles too, which is always 8 in tlog-tiles.
        let tile = Tile::from_path(&format!("tile/{TILE_HEIGHT}/{kind}/{place}")).map_err(|_| wrong())?;
        Ok(Self { tile })
    }
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.tile.path();
        // tile/8/data/<N> or tile/8/<L>/<N>.
        let place = path.splitn(4, '/').last().unwrap_or_default();
        if self.tile.is_data() {
            write!(f, "tile/entries/{place}")
        } else {
            write!(f, "tile/{}/{place}", self.tile.level())
        }
    }
}

/// The bytes of a tile or an entry bundle as the tree of `size` leaves has them: 32 bytes a hash,
/// 34 bytes an entry. A partial tile is there for each width that the tree has reached.
///
/// # Errors
///
/// `NotFound` when the tree does not reach that far yet; those of the reader.
pub(crate) fn tile(path: TilePath, size: u64, leaves: &dyn Leaves) -> Result<Vec<u8>> {
    let (level, index, width) = (path.tile.level(), path.tile.level_index(), u64::from(path.tile.width()));
    let reached = size.checked_shr(u32::from(level) * u32::from(TILE_HEIGHT)).unwrap_or(0);
    let range = index.checked_mul(TILE_WIDTH).and_then(|from| Some((from, from.checked_add(width)?)));
    let Some((from, to)) = range.filter(|(_, to)| *to <= reached) else {
        return Err(Error::new(ErrorKind::NotFound, format!("a tree of {size} events has no {path} yet")));
    };
    if path.tile.is_data() {
        Ok(entry_bundle(&leaves.commitments(from, to)?))
    } else {
        Ok(hashes(leaves, level, from, to)?.concat())
    }
}

/// Entries as a bundle: each with its length before it, as two bytes, the higher first.
pub(crate) fn entry_bundle(entries: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let mut bundle = Vec::with_capacity(entries.iter().map(|entry| 2 + entry.as_ref().len()).sum());
    for entry in entries.iter().map(AsRef::as_ref) {
        let length = u16::try_from(entry.len()).expect("an entry is a commitment of 32 bytes");
        bundle.extend_from_slice(&length.to_be_bytes());
        bundle.extend_from_slice(entry);
    }
    bundle
}
