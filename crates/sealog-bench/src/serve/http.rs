//! As little of HTTP as the client needs, so that most of the processor is left to the server.

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::Result;

/// How long a watcher waits for its last events.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct Connection {
    stream: TcpStream,
    key: String,
    read: Vec<u8>,
}

impl Connection {
    pub(super) async fn open(address: &str, key: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, key: key.to_owned(), read: Vec::with_capacity(64 * 1024) })
    }

    async fn send(&mut self, line: &str, headers: &str, body: &[u8]) -> Result<()> {
        let key = &self.key;
        let length = body.len();
        let mut request = format!(
            "{line} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {key}\r\n{headers}content-length: {length}\r\n\r\n"
        )
        .into_bytes();
        request.extend_from_slice(body);
        Ok(self.stream.write_all(&request).await?)
    }

    /// The head of an answer, taken off what was read.
    async fn head(&mut self) -> Result<(u16, String)> {
        loop {
            if let Some(end) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&self.read[..end]).into_owned();
                self.read.drain(..end + 4);
                let status = head.get(9..12).and_then(|status| status.parse().ok()).ok_or("no status")?;
                return Ok((status, head));
            }
            if self.stream.read_buf(&mut self.read).await? == 0 {
                return Err("the server closed the connection".into());
            }
        }
    }

    /// Asks, and answers the status and the body.
    pub(super) async fn ask(&mut self, line: &str, headers: &str, body: &[u8]) -> Result<(u16, Vec<u8>)> {
        self.send(line, headers, body).await?;
        let (status, head) = self.head().await?;
        let length: usize = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())
            .ok_or("an answer without a length")?;
        while self.read.len() < length {
            if self.stream.read_buf(&mut self.read).await? == 0 {
                return Err("the answer broke off".into());
            }
        }
        let rest = self.read.split_off(length);
        Ok((status, std::mem::replace(&mut self.read, rest)))
    }

    /// Sends lines, reads the answer meanwhile, and answers its last line.
    pub(super) async fn stream(mut self, text: Vec<u8>) -> Result<Value> {
        let head = format!(
            "POST /v1/events HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {}\r\nconnection: close\r\n\
             content-type: application/x-ndjson\r\ncontent-length: {}\r\n\r\n",
            self.key,
            text.len()
        );
        self.stream.write_all(head.as_bytes()).await?;
        let (mut reader, mut writer) = self.stream.into_split();
        let sending = tokio::spawn(async move { writer.write_all(&text).await.map(|()| writer) });
        // Of the answer only the end is of interest.
        let (mut tail, mut buffer) = (Vec::new(), vec![0; 256 * 1024]);
        loop {
            let read = reader.read(&mut buffer).await?;
            if read == 0 {
                break;
            }
            tail.extend_from_slice(&buffer[..read]);
            if tail.len() > 8192 {
                tail.drain(..tail.len() - 4096);
            }
        }
        drop(sending.await??);
        let text = String::from_utf8_lossy(&tail);
        let end = text.lines().rfind(|line| line.starts_with("{\"end\"")).ok_or("the answer has no end")?;
        Ok(serde_json::from_str(end)?)
    }

    /// Begins to watch.
    pub(super) async fn watch(mut self, line: &str) -> Result<Watcher> {
        self.send(line, "accept: text/event-stream\r\n", &[]).await?;
        let (status, _) = self.head().await?;
        if status != 200 {
            return Err(format!("a stream was answered with {status}").into());
        }
        while !self.read.windows(16).any(|bytes| bytes == b"event: snapshot\n") {
            if self.stream.read_buf(&mut self.read).await? == 0 {
                return Err("the stream ended".into());
            }
        }
        Ok(Watcher { connection: self })
    }
}

/// One who watches.
pub(super) struct Watcher {
    connection: Connection,
}

impl Watcher {
    /// Takes so many events, and answers how long each was on its way, in milliseconds.
    pub(super) async fn take(mut self, events: u64, epoch: Instant) -> Result<Vec<f64>> {
        const MARK: &[u8] = b"\"sent\":";
        let mut took = Vec::with_capacity(events as usize);
        let read = &mut self.connection.read;
        read.clear();
        while (took.len() as u64) < events {
            let more = tokio::time::timeout(PATIENCE, self.connection.stream.read_buf(read)).await;
            if !more.is_ok_and(|read| read.is_ok_and(|read| read > 0)) {
                break;
            }
            let now = epoch.elapsed().as_micros() as f64;
            let mut from = 0;
            // Whole lines only.
            while let Some(end) = read[from..].iter().position(|byte| *byte == b'\n') {
                let line = &read[from..from + end];
                from += end + 1;
                if let Some(at) = line.windows(MARK.len()).position(|bytes| bytes == MARK) {
                    let digits = line[at + MARK.len()..].iter().take_while(|byte| byte.is_ascii_digit());
                    let sent = digits.fold(0_u64, |number, digit| number * 10 + u64::from(digit - b'0'));
                    took.push((now - sent as f64) / 1e3);
                }
            }
            read.drain(..from);
        }
        Ok(took)
    }
}

/// A value of a query.
pub(super) fn escape(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
