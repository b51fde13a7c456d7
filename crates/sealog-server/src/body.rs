//! Bodies: bounded, decompressed, and not waited for without end.

use std::io::Write as _;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, header};
use http_body_util::BodyExt as _;
use sealog::Filter;
use serde_json::value::RawValue;
use tokio::sync::OwnedSemaphorePermit;
use zstd::stream::raw::{Decoder as ZstdDecoder, InBuffer, Operation as _, OutBuffer};

use crate::app::App;
use crate::problem::{Code, Problem};

/// A compressed body is taken apart in steps of so many bytes, so that none becomes much at once.
const STEP_BYTES: usize = 1024;
/// What comes out of one step of zstd at a time, in bytes.
const OUT_BYTES: usize = 64 * 1024;
/// The largest window that zstd may ask for, as a power of two: 8 MiB, which is what its own program asks for
/// at its usual levels (RFC 8878, section 3.1.1.1.2, recommends to support it).
const ZSTD_WINDOW_LOG: u32 = 23;

/// What the body is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MediaType {
    Json,
    Ndjson,
    Text,
}

/// What the body says that it is. Parameters, such as `charset`, may follow.
pub(crate) fn media_type(headers: &HeaderMap, taken: &[MediaType]) -> Result<MediaType, Problem> {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let found = match &*essence {
        "application/json" | "application/merge-patch+json" => Some(MediaType::Json),
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Some(MediaType::Ndjson),
        "text/plain" => Some(MediaType::Text),
        _ => None,
    };
    found.filter(|found| taken.contains(found)).ok_or_else(|| {
        let names: Vec<_> = taken
            .iter()
            .map(|taken| match taken {
                MediaType::Json => "application/json",
                MediaType::Ndjson => "application/x-ndjson",
                MediaType::Text => "text/plain",
            })
            .collect();
        let text = format!("the body is to be {}; say so in `Content-Type`", names.join(" or "));
        Problem::new(Code::UnsupportedMediaType, text)
    })
}

/// A body as it comes in.
pub(crate) struct Incoming {
    body: Body,
    decoder: Decoder,
    pause: Duration,
    /// What came and is not decoded yet.
    pending: Bytes,
    is_over: bool,
}

enum Decoder {
    Plain,
    Gzip(Box<flate2::write::MultiGzDecoder<Vec<u8>>>),
    Zstd(Box<ZstdDecoder<'static>>, Zstd),
}

impl Incoming {
    pub(crate) fn new(app: &App, headers: &HeaderMap, body: Body) -> Result<Self, Problem> {
        let mut encodings = headers.get_all(header::CONTENT_ENCODING).iter();
        let encoding = encodings.next().map_or("identity", |value| value.to_str().unwrap_or("?"));
        let decoder = match &*encoding.trim().to_ascii_lowercase() {
            _ if encodings.next().is_some() => None,
            "identity" | "" => Some(Decoder::Plain),
            "gzip" | "x-gzip" => Some(Decoder::Gzip(Box::new(flate2::write::MultiGzDecoder::new(Vec::new())))),
            "zstd" => {
                let mut decoder = ZstdDecoder::new().map_err(Problem::internal)?;
                let window = zstd::stream::raw::DParameter::WindowLogMax(ZSTD_WINDOW_LOG);
                decoder.set_parameter(window).map_err(Problem::internal)?;
                Some(Decoder::Zstd(Box::new(decoder), Zstd { is_at_end: true, holds_more: false }))
            }
            _ => None,
        };
        let decoder = decoder.ok_or_else(|| {
            let text = "the body is compressed in a way that is not taken; `Content-Encoding` is gzip or zstd, once";
            Problem::new(Code::UnsupportedMediaType, text)
        })?;
        let pause = Duration::from_millis(app.options.limits.body_pause_ms);
        Ok(Self { body, decoder, pause, pending: Bytes::new(), is_over: false })
    }

    /// The next bytes, about a mebibyte at the most of a compressed body; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<u8>>, Problem> {
        loop {
            let decoded = if !self.pending.is_empty() || self.decoder.holds_more() {
                self.step()?
            } else if self.is_over {
                return Ok(None);
            } else if let Some(bytes) = self.frame().await? {
                self.pending = bytes;
                continue;
            } else {
                self.is_over = true;
                self.finish()?
            };
            if !decoded.is_empty() {
                return Ok(Some(decoded));
            }
        }
    }

    async fn frame(&mut self) -> Result<Option<Bytes>, Problem> {
        loop {
            let frame = tokio::time::timeout(self.pause, self.body.frame()).await.map_err(|_| {
                let text = format!("nothing came for {} ms; send the body without pauses", self.pause.as_millis());
                Problem::new(Code::BodyTimeout, text)
            })?;
            match frame {
                None => return Ok(None),
                Some(Err(_)) => {
                    return Err(Problem::new(Code::Malformed, "the body broke off before its end; send it again"));
                }
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        return Ok(Some(bytes));
                    }
                }
            }
        }
    }

    /// Decodes some of what is pending.
    fn step(&mut self) -> Result<Vec<u8>, Problem> {
        match &mut self.decoder {
            Decoder::Plain => Ok(std::mem::take(&mut self.pending).into()),
            Decoder::Gzip(decoder) => {
                // A step becomes a thousand times as much at the most, by the format.
                let step = self.pending.split_to(self.pending.len().min(STEP_BYTES));
                decoder.write_all(&step).map_err(|_| broken("gzip"))?;
                Ok(std::mem::take(decoder.get_mut()))
            }
            Decoder::Zstd(decoder, state) => {
                let mut out = vec![0; OUT_BYTES];
                let mut input = InBuffer::around(&self.pending);
                let mut output = OutBuffer::around(out.as_mut_slice());
                let hint = decoder.run(&mut input, &mut output).map_err(|_| broken("zstd"))?;
                let (read, written) = (input.pos, output.pos());
                *state = Zstd { is_at_end: hint == 0, holds_more: written == OUT_BYTES };
                drop(self.pending.split_to(read));
                out.truncate(written);
                Ok(out)
            }
        }
    }

    fn finish(&mut self) -> Result<Vec<u8>, Problem> {
        match &mut self.decoder {
            Decoder::Gzip(decoder) => {
                decoder.try_finish().map_err(|_| broken("gzip"))?;
                Ok(std::mem::take(decoder.get_mut()))
            }
            Decoder::Zstd(_, state) if !state.is_at_end => Err(broken("zstd")),
            Decoder::Plain | Decoder::Zstd(..) => Ok(Vec::new()),
        }
    }
}

/// How far a zstd body is.
struct Zstd {
    /// A frame has ended, and none has begun.
    is_at_end: bool,
    /// There may be more to come out without anything going in.
    holds_more: bool,
}

impl Decoder {
    fn holds_more(&self) -> bool {
        matches!(self, Self::Zstd(_, state) if state.holds_more)
    }
}

fn broken(encoding: &str) -> Problem {
    Problem::new(Code::Malformed, format!("the body is no whole {encoding} data; send it again"))
}

/// A whole body, and its room.
pub(crate) struct Whole {
    pub(crate) bytes: Vec<u8>,
    _room: Room,
}

/// Room for bytes that are held. Whoever finds none is refused rather than made to wait, since those who wait
/// for each other would wait for ever.
pub(crate) struct Room(Vec<OwnedSemaphorePermit>);

impl Room {
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn take(&mut self, app: &App, bytes: usize) -> Result<(), Problem> {
        let kib = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX);
        let permit = app.room.clone().try_acquire_many_owned(kib).map_err(|_| {
            Problem::new(Code::Overloaded, "the server has too many bodies at hand; send it again").retry_after(1)
        })?;
        match self.0.last_mut() {
            Some(last) => last.merge(permit),
            None => self.0.push(permit),
        }
        Ok(())
    }
}

/// Reads the whole body, at most so many bytes of it.
pub(crate) async fn whole(app: &App, headers: &HeaderMap, body: Body, most: usize) -> Result<Whole, Problem> {
    let too_large = || {
        let text = format!("the body has more than {most} bytes; send less at once, or events as application/x-ndjson");
        Problem::new(Code::TooLarge, text)
    };
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > most as u64) {
        return Err(too_large());
    }
    let mut incoming = Incoming::new(app, headers, body)?;
    let (mut bytes, mut room) = (Vec::new(), Room::new());
    while let Some(more) = incoming.next().await? {
        if bytes.len() + more.len() > most {
            return Err(too_large());
        }
        room.take(app, more.len())?;
        bytes.extend_from_slice(&more);
    }
    Ok(Whole { bytes, _room: room })
}

/// Reads a JSON document of this shape.
pub(crate) async fn json<T: serde::de::DeserializeOwned>(
    app: &App,
    headers: &HeaderMap,
    body: Body,
    most: usize,
) -> Result<T, Problem> {
    media_type(headers, &[MediaType::Json])?;
    let whole = whole(app, headers, body, most).await?;
    // Serde takes a list, too, for the fields in their order, and an empty one for defaults.
    if whole.bytes.trim_ascii_start().starts_with(b"[") {
        return Err(Problem::argument("", "this is a list, and what is asked for here is an object"));
    }
    parse(&whole.bytes)
}

/// The filter that stands at this place of a document, or what is wrong with it.
pub(crate) fn filter(raw: &RawValue, place: &str) -> Result<Filter, Problem> {
    Filter::from_json(raw.get()).map_err(|error| Problem::from(error).inside(place))
}

/// What the document says, or what is wrong with it and where.
pub(crate) fn parse<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let malformed = |error: &serde_json::Error| Problem::new(Code::Malformed, format!("the body is no JSON: {error}"));
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let document = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| match error.inner() {
        inner if inner.is_data() => {
            Problem::from(sealog::Error::of_document("this is not what is asked for here", &error))
        }
        inner => malformed(inner),
    })?;
    deserializer.end().map_err(|error| malformed(&error))?;
    Ok(document)
}
