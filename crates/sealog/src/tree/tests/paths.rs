//! Paths of tiles, and tiles.

use super::super::{TilePath, tile};
use super::{Memory, naive_root, sample};
use crate::error::ErrorKind;

#[test]
fn a_path_has_one_form() {
    let bad = [
        "",
        "tile",
        "tile/",
        "tile/0",
        "tile/0/",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/0/x000/000",
        "tile/0/x001",
        "tile/0/001/002",
        "tile/0/x001/x002",
        "tile/0/xx01/002",
        "tile/0/-01",
        "tile/0/+01",
        "tile/00/000",
        "tile/+1/000",
        "tile/-1/000",
        "tile/64/000",
        "tile/255/000",
        "tile/256/000",
        "tile/data/000",
        "tile/8/0/000",
        "tile/8/data/000",
        "tile/Entries/000",
        "tile/entries",
        "tile/0/000.p",
        "tile/0/000.p/",
        "tile/0/000.p/0",
        "tile/0/000.p/00",
        "tile/0/000.p/+0",
        "tile/0/000.p/01",
        "tile/0/000.p/+1",
        "tile/0/000.p/256",
        "tile/0/000.p/1/",
        "tile/0/000.p/1.p/1",
        "tile/0/000.p/99999999999999999999",
        "tile/0/x018/x446/x744/x073/x709/x551/616",
        "/tile/0/000",
        "tile/0/000/",
        "tile/0//000",
        "tile/0/../0/000",
        "tile/0/00\u{661}",
    ];
    for path in bad {
        let error = TilePath::parse(path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{path:?}");
    }
    for (path, expected) in [
        ("tile/0/000", TilePath::hashes(0, 0, 256)),
        ("tile/0/x001/x234/067", TilePath::hashes(0, 1_234_067, 256)),
        ("tile/0/x001/x234/067.p/8", TilePath::hashes(0, 1_234_067, 8)),
        ("tile/63/999", TilePath::hashes(63, 999, 256)),
        ("tile/1/x001/000.p/255", TilePath::hashes(1, 1000, 255)),
        ("tile/entries/x001/x234/067.p/1", TilePath::entries(1_234_067, 1)),
        ("tile/entries/000", TilePath::entries(0, 256)),
        ("tile/0/x018/x446/x744/x073/x709/x551/615", TilePath::hashes(0, u64::MAX, 256)),
    ] {
        let expected = expected.unwrap();
        assert_eq!(TilePath::parse(path).unwrap(), expected);
        assert_eq!(expected.to_string(), path);
    }
    assert_eq!(TilePath::hashes(0, 0, 0), None);
    assert_eq!(TilePath::hashes(0, 0, 257), None);
    assert_eq!(TilePath::hashes(64, 0, 1), None);
    assert_eq!(TilePath::entries(0, 0), None);
}

/// The example of c2sp.org/tlog-tiles: "a tree of size 70,000 will be represented by 273 full level 0
/// tiles, one partial level 0 tile of width 112, one full level 1 tile, one partial level 1 tile of
/// width 17, and one partial level 2 tile of width 1".
#[test]
fn the_tree_of_70_000_has_the_tiles_of_the_standard() {
    const SIZE: u64 = 70_000;
    let leaves = sample(SIZE);
    let memory = Memory::new(leaves.clone());
    let read = |path: Option<TilePath>| tile(path.unwrap(), SIZE, &memory);
    let last = [(0_u8, 273_u64, 112_u16), (1, 1, 17), (2, 0, 1)];
    for (level, index, width) in last {
        let span = 256_usize.pow(u32::from(level));
        for (index, width) in (0..index).map(|index| (index, 256)).chain([(index, width)]) {
            let bytes = read(TilePath::hashes(level, index, width)).unwrap();
            let start = index as usize * 256 * span;
            let subtrees = leaves[start..start + usize::from(width) * span].chunks(span);
            assert_eq!(bytes, subtrees.flat_map(naive_root).collect::<Vec<_>>(), "tile {level} {index}");
        }
        for beyond in [TilePath::hashes(level, index, width + 1), TilePath::hashes(level, index + 1, 1)] {
            assert_eq!(read(beyond).unwrap_err().kind(), ErrorKind::NotFound);
        }
    }
    for level in [3, 7, 8, 63] {
        assert_eq!(read(TilePath::hashes(level, 0, 1)).unwrap_err().kind(), ErrorKind::NotFound);
    }
    assert_eq!(read(TilePath::hashes(0, u64::MAX, 256)).unwrap_err().kind(), ErrorKind::NotFound);

    let bundle = read(TilePath::entries(273, 112)).unwrap();
    let (entries, rest) = bundle.as_chunks::<34>();
    assert!(rest.is_empty());
    for (entry, leaf) in entries.iter().zip(&leaves[273 * 256..]) {
        assert_eq!(entry[..2], [0, 32]);
        assert_eq!(entry[2..], leaf[..]);
    }
    assert_eq!(read(TilePath::entries(273, 113)).unwrap_err().kind(), ErrorKind::NotFound);
}
