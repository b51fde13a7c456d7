//! Records out of a file, one at a time: plain, gzip or zstd; one a line, in an array, or under
//! `Records`. Memory is bounded by one record, whatever the file's size.

use std::fmt;
use std::io::{self, BufRead, BufReader, Chain, Cursor, Read};

use flate2::bufread::MultiGzDecoder;
use serde_json::Value;

use super::record;

/// The largest record that is read; past it, the record is reported and skipped. Four times what
/// the log takes, since a source may say at length what is mapped to little.
const MAX_RECORD_BYTES: usize = 16 * 1024 * 1024;

/// The largest weight of a record: no event within the limits of the log weighs as much.
const MAX_RECORD_WEIGHT: usize = 256 * 1024 * 1024;
/// What an object takes in memory, however little it holds: the node of a map.
const OBJECT_WEIGHT: usize = 640;
/// What an element or member takes beside its text.
const ITEM_WEIGHT: usize = 32;

/// What some editors put before UTF-8, and no JSON begins with.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// How CloudTrail wraps its records.
const WRAPPER: &[u8] = b"\"Records\"";

type Input = Chain<Cursor<Vec<u8>>, Box<dyn BufRead + Send>>;

/// Where in its file a record stands, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The line, of a file with one record a line.
    Line(u64),
    /// The number of the record, of a file that is one document.
    Record(u64),
}

impl Place {
    /// The number alone.
    pub fn number(self) -> u64 {
        match self {
            Self::Line(number) | Self::Record(number) => number,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(number) => write!(f, "line {number}"),
            Self::Record(number) => write!(f, "record {number}"),
        }
    }
}

/// A record, or why it could not be read.
#[derive(Debug, PartialEq)]
pub struct Located {
    /// Where it stands.
    pub place: Place,
    /// About how many bytes of memory it takes.
    pub weight: usize,
    /// The record itself.
    pub value: Result<Value, String>,
}

enum Shape {
    Unknown,
    Lines,
    Array,
}

/// The records of one file, in their order.
///
/// An error of the file itself, such as a damaged compression, ends the records.
pub struct Records {
    input: Input,
    shape: Shape,
    line: u64,
    record: u64,
    /// Of `Records` documents, which end with a brace after the array.
    wrapped: bool,
    done: bool,
}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records").field("line", &self.line).field("record", &self.record).finish_non_exhaustive()
    }
}

impl Records {
    /// Reads from `raw`, whose compression is seen from its first bytes.
    ///
    /// # Errors
    ///
    /// When the first bytes cannot be read.
    pub fn new(raw: impl Read + Send + 'static) -> io::Result<Self> {
        Ok(Self {
            input: Cursor::new(Vec::new()).chain(decompress(raw)?),
            shape: Shape::Unknown,
            line: 1,
            record: 0,
            wrapped: false,
            done: false,
        })
    }

    fn peek(&mut self) -> io::Result<Option<u8>> {
        loop {
            match self.input.fill_buf() {
                Ok(bytes) => return Ok(bytes.first().copied()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The next byte that is no white space, without taking it.
    fn skip_space(&mut self) -> io::Result<Option<u8>> {
        while let Some(byte) = self.peek()? {
            if !byte.is_ascii_whitespace() {
                return Ok(Some(byte));
            }
            self.line += u64::from(byte == b'\n');
            self.input.consume(1);
        }
        Ok(None)
    }

    /// Looks at what comes next without losing it, unless it only opens an array.
    fn find_shape(&mut self) -> io::Result<Shape> {
        self.wrapped = false;
        match self.skip_space()? {
            Some(b'[') => {
                self.input.consume(1);
                Ok(Shape::Array)
            }
            Some(b'{') => {
                let mut seen = Vec::new();
                if self.opens_wrapper(&mut seen)? {
                    self.wrapped = true;
                    return Ok(Shape::Array);
                }
                // Back in front of the rest. Newlines in it are counted again as lines.
                self.line -= seen.iter().map(|byte| u64::from(*byte == b'\n')).sum::<u64>();
                let (front, rest) =
                    std::mem::replace(&mut self.input, Cursor::new(Vec::new()).chain(empty())).into_inner();
                seen.extend_from_slice(&front.get_ref()[front.position() as usize..]);
                self.input = Cursor::new(seen).chain(rest);
                Ok(Shape::Lines)
            }
            _ => Ok(Shape::Lines),
        }
    }

    /// Takes `{"Records":[` if that is what comes; what was taken is in `seen`.
    fn opens_wrapper(&mut self, seen: &mut Vec<u8>) -> io::Result<bool> {
        let tokens = [&b"{"[..], WRAPPER, b":", b"["];
        for token in tokens {
            while let Some(byte) = self.peek()?.filter(u8::is_ascii_whitespace) {
                self.line += u64::from(byte == b'\n');
                seen.push(byte);
                self.input.consume(1);
            }
            for expected in token {
                if self.peek()? != Some(*expected) {
                    return Ok(false);
                }
                seen.push(*expected);
                self.input.consume(1);
            }
        }
        Ok(true)
    }

    /// Takes bytes until `end` says that the one at hand is not part of it.
    fn take(&mut self, mut end: impl FnMut(u8) -> bool) -> io::Result<Taken> {
        let mut taken = Taken { bytes: Vec::new(), length: 0, ended: false };
        loop {
            let available = match self.input.fill_buf() {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if available.is_empty() {
                return Ok(taken);
            }
            let stop = available.iter().position(|byte| end(*byte));
            let part = &available[..stop.unwrap_or(available.len())];
            taken.length += part.len();
            if taken.length <= MAX_RECORD_BYTES {
                taken.bytes.extend_from_slice(part);
            } else {
                taken.bytes = Vec::new();
            }
            let used = part.len();
            self.input.consume(used);
            if stop.is_some() {
                taken.ended = true;
                return Ok(taken);
            }
        }
    }

    fn next_line(&mut self) -> io::Result<Option<Located>> {
        loop {
            if self.peek()?.is_none() {
                return Ok(None);
            }
            let place = Place::Line(self.line);
            let taken = self.take(|byte| byte == b'\n')?;
            if taken.ended {
                self.input.consume(1);
                self.line += 1;
            }
            if taken.length > 0 && taken.bytes.iter().all(u8::is_ascii_whitespace) && taken.length <= MAX_RECORD_BYTES {
                continue;
            }
            if taken.length > 0 {
                return Ok(Some(taken.located(place)));
            }
        }
    }

    fn next_element(&mut self) -> io::Result<Option<Located>> {
        while self.skip_space()? == Some(b',') {
            self.input.consume(1);
        }
        self.record += 1;
        let place = Place::Record(self.record);
        match self.peek()? {
            None => {
                self.done = true;
                let value = Err("the document ends before its array does".to_owned());
                return Ok(Some(Located { place, weight: 0, value }));
            }
            Some(b']') => {
                self.input.consume(1);
                self.record -= 1;
                return Ok(None);
            }
            Some(_) => {}
        }
        let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
        let mut lines = 0;
        let mut taken = self.take(|byte| {
            lines += u64::from(byte == b'\n');
            if quoted {
                quoted = escaped || byte != b'"';
                escaped = byte == b'\\' && !escaped;
                return false;
            }
            match byte {
                b'"' => quoted = true,
                b'{' | b'[' => depth += 1,
                b']' | b',' if depth == 0 => return true,
                b'}' | b']' => depth = depth.saturating_sub(1),
                _ => {}
            }
            false
        })?;
        self.line += lines;
        if !taken.ended {
            self.done = true;
            taken.bytes.clear();
            let value = Err("the document ends in the middle of this record".to_owned());
            return Ok(Some(Located { place, weight: 0, value }));
        }
        Ok(Some(taken.located(place)))
    }

    fn step(&mut self) -> io::Result<Option<Located>> {
        loop {
            match self.shape {
                Shape::Unknown => self.shape = self.find_shape()?,
                Shape::Lines => return self.next_line(),
                Shape::Array => {
                    if let Some(located) = self.next_element()? {
                        return Ok(Some(located));
                    }
                    // After the document there may be another one: logs are put together with `cat`.
                    if self.wrapped {
                        while self.skip_space()?.is_some_and(|byte| byte != b'{') {
                            self.input.consume(1);
                        }
                    }
                    if self.skip_space()?.is_none() {
                        return Ok(None);
                    }
                    self.shape = Shape::Unknown;
                }
            }
        }
    }
}

impl Iterator for Records {
    type Item = io::Result<Located>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let step = self.step();
        if !matches!(step, Ok(Some(_))) {
            self.done = true;
        }
        step.transpose()
    }
}

struct Taken {
    bytes: Vec<u8>,
    length: usize,
    ended: bool,
}

impl Taken {
    fn located(self, place: Place) -> Located {
        let weight = weight(&self.bytes);
        let value = if self.length > MAX_RECORD_BYTES {
            Err(format!("{} bytes are more than the {MAX_RECORD_BYTES} that are read as one record", self.length))
        } else if weight > MAX_RECORD_WEIGHT {
            Err(format!("it has too many parts: they would take some {} MiB of memory", weight >> 20))
        } else {
            record::parse(&self.bytes)
        };
        Located { place, weight, value }
    }
}

/// About what a record will take in memory, seen from its text: a little object takes a hundred times its
/// own length. What stands inside of strings counts as well, which is little in usual text.
fn weight(bytes: &[u8]) -> usize {
    let weights = bytes.iter().map(|byte| match byte {
        b'{' => OBJECT_WEIGHT,
        b',' | b'[' => ITEM_WEIGHT,
        _ => 1,
    });
    weights.sum()
}

fn empty() -> Box<dyn BufRead + Send> {
    Box::new(io::empty())
}

/// Undoes gzip and zstd, which are known by their first bytes.
fn decompress(raw: impl Read + Send + 'static) -> io::Result<Box<dyn BufRead + Send>> {
    const BUFFER_BYTES: usize = 256 * 1024;
    let mut raw = BufReader::with_capacity(BUFFER_BYTES, raw);
    let mut magic = Vec::new();
    raw.by_ref().take(4).read_to_end(&mut magic)?;
    let raw = Cursor::new(magic.clone()).chain(raw);
    Ok(match magic.as_slice() {
        [0x1f, 0x8b, ..] => Box::new(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(raw))),
        // A frame, or a skippable frame as parallel compressors write in front.
        [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => {
            Box::new(BufReader::with_capacity(BUFFER_BYTES, zstd::stream::read::Decoder::with_buffer(raw)?))
        }
        _ => {
            let mut raw = raw;
            if magic.starts_with(BYTE_ORDER_MARK) {
                raw.consume(BYTE_ORDER_MARK.len());
            }
            Box::new(raw)
        }
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use serde_json::json;

    use super::*;

    fn read(text: &'static str) -> Vec<(Place, Result<Value, String>)> {
        Records::new(text.as_bytes())
            .unwrap()
            .map(|located| located.map(|located| (located.place, located.value)).unwrap())
            .collect()
    }

    #[test]
    fn lines_are_numbered_as_an_editor_numbers_them() {
        let records = read("\n{\"a\":1}\n\n{bad\n  {\"a\":2}");
        assert_eq!(records[0], (Place::Line(2), Ok(json!({"a": 1}))));
        assert_eq!(records[1].0, Place::Line(4));
        assert_eq!(records[1].1.as_ref().unwrap_err(), "this is no JSON: key must be a string (column 2)");
        assert_eq!(records[2], (Place::Line(5), Ok(json!({"a": 2}))));
        assert_eq!(records.len(), 3);
    }

    #[test]
    fn documents_are_read_record_by_record() {
        for text in [
            "[{\"a\":1},{\"b\":[\"]},{\"]}]",
            " {\n \"Records\" : [\n{\"a\":1},\n{\"b\":[\"]},{\"]}\n]\n}\n",
            "{\"Records\":[{\"a\":1}]}{\"Records\":[{\"b\":[\"]},{\"]}]}",
        ] {
            let records = read(text);
            let expected = [(Place::Record(1), Ok(json!({"a": 1}))), (Place::Record(2), Ok(json!({"b": ["]},{"]})))];
            assert_eq!(records, expected, "{text}");
        }
    }

    #[test]
    fn what_only_begins_like_a_document_is_lines() {
        assert_eq!(
            read("{\"Record\":1}\n{\"Records\":2}"),
            [(Place::Line(1), Ok(json!({"Record": 1}))), (Place::Line(2), Ok(json!({"Records": 2})))]
        );
        assert_eq!(read("\u{feff}{\"a\":1}"), [(Place::Line(1), Ok(json!({"a": 1})))]);
        assert!(read("").is_empty() && read("[]").is_empty() && read("{\"Records\": []}").is_empty());
    }

    #[test]
    fn a_document_that_is_cut_off_says_so() {
        let records = read("[{\"a\":1},{\"b\":");
        assert_eq!(records[1].1.as_ref().unwrap_err(), "the document ends in the middle of this record");
        assert_eq!(records.len(), 2);
        assert_eq!(read("[{\"a\":1}").len(), 1);
        assert_eq!(read("[{\"a\":1},").len(), 2);
    }

    #[test]
    fn a_record_that_would_take_too_much_memory_is_passed_over() {
        let heavy = "{\"\":0},".repeat(500_000);
        let text = format!("{{\"x\":[{heavy}0]}}\n{{\"a\":1}}\n");
        let records: Vec<_> = Records::new(Cursor::new(text)).unwrap().map(Result::unwrap).collect();
        assert!(records[0].value.as_ref().is_err_and(|reason| reason.contains("MiB of memory")));
        assert_eq!((&records[1].value, records[1].place), (&Ok(json!({"a": 1})), Place::Line(2)));
        assert!(records[1].weight >= OBJECT_WEIGHT);
    }

    #[test]
    fn compression_is_seen_from_the_first_bytes() {
        let plain = b"{\"a\":1}\n";
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(plain).unwrap();
        for bytes in [plain.to_vec(), gzip.finish().unwrap(), zstd::encode_all(&plain[..], 3).unwrap()] {
            let records: Vec<_> = Records::new(Cursor::new(bytes)).unwrap().map(Result::unwrap).collect();
            assert_eq!(records[0].value, Ok(json!({"a": 1})));
        }
    }

    #[test]
    fn a_damaged_file_ends_with_an_error() {
        let mut bytes = zstd::encode_all(&b"{\"a\":1}\n"[..], 3).unwrap();
        bytes.truncate(bytes.len() - 3);
        assert!(Records::new(Cursor::new(bytes)).unwrap().any(|record| record.is_err()));
    }
}
