//! The demo that goes on: a server with its dashboard, and a company that writes to it over HTTP as any client would.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::post;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use sealog::{AuditLog, Checkpoint, Clock as _, Event, Filter, HoldOptions, Rule, Witness};
use sealog_server::{Options, router, serve};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::{BATCH_EVENTS, Demo};
use crate::cli::finish;
use crate::commands::serve::terminated;
use crate::dashboard;
use crate::failure::Failure;
use crate::generator::{Generator, Scene};
use crate::interrupt::Interrupt;
use crate::output::{self, Output};
use crate::render::{BOLD, DIM, GOOD, count};

/// Where it listens unless told otherwise, if nobody else does.
const USUAL: &str = "127.0.0.1:7341";
/// How far back the history goes, in milliseconds: what the longest range of the dashboard shows.
const HISTORY_MS: i64 = 30 * 24 * 3_600_000;
/// How long it takes on average from one event of the history to the next, in milliseconds.
const MEAN_STEP_MS: i64 = 15_700;
/// How often the story goes on, at the most.
const TICK: Duration = Duration::from_millis(50);
/// The pause between two events of a scene, so that one sees it happen.
const SCENE_PAUSE: Duration = Duration::from_millis(60);
/// How often the witness signs.
const WITNESS_PACE: Duration = Duration::from_secs(10);
const WITNESS: (&str, [u8; 32]) = ("witness.demo.sealog.local", [7; 32]);

impl Demo {
    pub(super) async fn go_on(
        &self,
        log: AuditLog,
        dir: &Path,
        out: Output,
        interrupt: &Interrupt,
    ) -> Result<(), Failure> {
        let lived = self.live(&log, dir, out, interrupt).await;
        finish(log, lived, out).await?;
        if !out.json {
            let dir = dir.display();
            let text = if self.dir.is_some() || self.stays() {
                format!("The demo's data is in {dir}; go on with sealog serve --log {dir}/audit.db")
            } else {
                format!("The demo's data was in {dir} and is gone; --keep leaves it there")
            };
            output::note(&text);
        }
        Ok(())
    }

    async fn live(&self, log: &AuditLog, dir: &Path, out: Output, interrupt: &Interrupt) -> Result<(), Failure> {
        if !out.json {
            output::note(&format!("{DIM}Writing a month of a company that does not exist …{DIM:#}"));
        }
        let now = log.clock().now_ms();
        let events = self.events.map_or(i64::MAX, |events| i64::try_from(events).unwrap_or(i64::MAX));
        let start = match self.events {
            Some(_) => now.saturating_sub(events.saturating_mul(MEAN_STEP_MS)),
            None => now - HISTORY_MS,
        };
        let mut story = Generator::new(self.seed, start);
        let written = tokio::select! {
            written = history(log, &mut story, events, now) => written?,
            () = interrupt.pressed() => return Ok(()),
        };
        settle(log).await?;

        let mut options = Options::default();
        options.is_demo = true;
        options.state_file = Some(dir.join("audit.db.server"));
        options.witnesses = vec![Witness::parse(&Witness::vkey_of(WITNESS.0, &WITNESS.1))?];
        let (scenes, asked) = mpsc::channel(8);
        let server = router(log.clone()).options(options);
        let admin = server.first_key(|key| Ok(key.to_owned())).await.map_err(Failure::File)?;
        let admin = admin.ok_or_else(|| Failure::File("the log has a key already".to_owned()))?;
        let stage = Arc::new(Stage { key: format!("Bearer {admin}"), scenes });
        let pages = dashboard::pages().merge(axum::Router::new().route("/demo/scenes", post(play)).with_state(stage));
        let listener = self.listener().await?;
        let running = serve(server.pages(pages), listener, None).map_err(|error| Failure::File(error.to_string()))?;
        let address = running.address();
        let told = self.told(address, &admin, written, dir, out);

        let company = company(address, admin, story, self.pace, asked);
        let lived = async {
            told?;
            tokio::select! {
                ended = company => ended,
                () = interrupt.pressed() => Ok(()),
                () = terminated() => Ok(()),
            }
        };
        let lived = lived.await;
        running.stop().await;
        lived
    }

    async fn listener(&self) -> Result<TcpListener, Failure> {
        let bound = match &self.listen {
            Some(address) => TcpListener::bind(address).await,
            None => match TcpListener::bind(USUAL).await {
                Err(_) => TcpListener::bind("127.0.0.1:0").await,
                bound => bound,
            },
        };
        let address = self.listen.as_deref().unwrap_or(USUAL);
        bound.map_err(|error| Failure::Usage(format!("cannot listen on {address}: {error}")))
    }

    fn told(&self, address: SocketAddr, key: &str, written: u64, dir: &Path, out: Output) -> Result<(), Failure> {
        let url = format!("http://{address}");
        // Behind the `#`, the key is never sent to anybody, nor told in a log.
        let page = format!("{url}/#key={key}");
        if out.json {
            return output::document(&json!({"url": url, "key": key, "page": page, "log": dir.join("audit.db")}));
        }
        let events = count(written);
        output::write(&format!(
            "\n  {BOLD}{page}{BOLD:#}\n\n{GOOD}Sealog's dashboard{GOOD:#} {DIM}over {events} events in {}, \
             and more as you look. Ctrl-C ends it.{DIM:#}\n",
            dir.display()
        ))?;
        if self.opens() {
            let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
            // Where there is no browser to be had, the address stands above.
            let mut command = std::process::Command::new(program);
            let quiet = std::process::Stdio::null;
            let _ = command.arg(&page).stdin(quiet()).stdout(quiet()).stderr(quiet()).spawn();
        }
        Ok(())
    }

    /// Whether somebody sits before a screen.
    fn opens(&self) -> bool {
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        !self.no_open
            && std::io::IsTerminal::is_terminal(&std::io::stdout())
            && (cfg!(target_os = "macos") || is_set("DISPLAY") || is_set("WAYLAND_DISPLAY"))
    }
}

/// Writes what happened until now, `events` at the most.
async fn history(log: &AuditLog, story: &mut Generator, events: i64, now: i64) -> Result<u64, Failure> {
    let mut written = 0;
    let mut in_flight = None;
    loop {
        let left = usize::try_from(events - written).unwrap_or(BATCH_EVENTS).min(BATCH_EVENTS);
        let batch: Vec<Event> = story.by_ref().take(left).take_while(|event| event.timestamp < Some(now)).collect();
        let (count, log) = (batch.len(), log.clone());
        // One batch is made while another is on its way.
        let next = (!batch.is_empty()).then(|| tokio::spawn(async move { log.log_bulk(batch).await }));
        if let Some(task) = std::mem::replace(&mut in_flight, next) {
            task.await.map_err(|error| Failure::File(format!("a batch was lost: {error}")))??;
        }
        written += i64::try_from(count).unwrap_or_default();
        if in_flight.is_none() {
            return Ok(u64::try_from(written).unwrap_or_default());
        }
    }
}

/// What somebody has set in this log: rules, a policy, how long things are kept, and a hold.
async fn settle(log: &AuditLog) -> Result<(), Failure> {
    let who = Event::new("").actor("u-ops").actor_type("user");
    let log = log.acting(who);
    let mut rules = Rule::built_in();
    rules.push(Rule::new(
        "new-administrator",
        Filter::parse("action:user.role.changed severity>=critical", 0)?,
        1,
        60_000,
    ));
    let patch = json!({
        "criticalRetentionDays": 730,
        "customRetention": [{"category": "debug", "retentionDays": 7}, {"category": "legal", "retentionDays": null}],
        "policy": {"redactFields": [{"name": "email", "mode": "mask"}], "detectors": ["cardNumber", "jwt"]},
    });
    log.update_settings(move |settings| {
        *settings = settings.patched(patch)?;
        settings.rules = rules;
        Ok(())
    })
    .await?;
    log.place_hold(HoldOptions::new(Filter::parse("outcome:denied", 0)?, "case 2026-114").owner("legal")).await?;
    Ok(())
}

/// What the dashboard's panel can make happen.
struct Stage {
    /// As it stands in the header.
    key: String,
    scenes: mpsc::Sender<Scene>,
}

#[derive(Deserialize)]
struct Asked {
    scene: Scene,
}

async fn play(State(stage): State<Arc<Stage>>, headers: HeaderMap, Json(asked): Json<Asked>) -> StatusCode {
    let is_known = headers.get(header::AUTHORIZATION).is_some_and(|value| value.as_bytes() == stage.key.as_bytes());
    if !is_known {
        return StatusCode::UNAUTHORIZED;
    }
    match stage.scenes.try_send(asked.scene) {
        Ok(()) => StatusCode::ACCEPTED,
        Err(_) => StatusCode::TOO_MANY_REQUESTS,
    }
}

/// The company goes about its business, `pace` events a second, and a witness watches it.
async fn company(
    address: SocketAddr,
    admin: String,
    mut story: Generator,
    pace: u32,
    mut asked: mpsc::Receiver<Scene>,
) -> Result<(), Failure> {
    let admin = Client { address, key: admin };
    let made = admin.send("POST", "/v1/keys", &json!({"name": "the company", "role": "writer"}).to_string()).await?;
    let made: Value = serde_json::from_str(&made).map_err(|error| Failure::File(error.to_string()))?;
    let writer = Client { address, key: made["key"].as_str().unwrap_or_default().to_owned() };
    let mut tick = tokio::time::interval(TICK.max(Duration::from_secs(1) / pace.max(1)));
    let (mut witness, mut due) = (tokio::time::interval(WITNESS_PACE), 0.0);
    loop {
        tokio::select! {
            biased;
            scene = asked.recv() => if let Some(scene) = scene {
                for event in story.scene(scene) {
                    writer.log(vec![event]).await?;
                    tokio::time::sleep(SCENE_PAUSE).await;
                }
            },
            _ = witness.tick() => cosign(&admin).await?,
            _ = tick.tick() => {
                due += tick.period().as_secs_f64() * f64::from(pace);
                let events: Vec<Event> = story.by_ref().take(due as usize).collect();
                due -= due.floor();
                if !events.is_empty() {
                    writer.log(events).await?;
                }
            }
        }
    }
}

async fn cosign(client: &Client) -> Result<(), Failure> {
    let note = client.send("GET", "/checkpoint", "").await?;
    let checkpoint = Checkpoint::parse(&note)?;
    let now_s = sealog::SystemClock::new().now_ms().unsigned_abs() / 1000;
    // What the witness has signed before stands in the note, where nothing was logged since.
    let (text, signatures) = note.split_once("\n\n").unwrap_or_default();
    let own = signatures.lines().next().unwrap_or_default();
    let line = Witness::cosign(WITNESS.0, &WITNESS.1, &checkpoint, now_s);
    client.send("POST", "/checkpoint/cosigned", &format!("{text}\n\n{own}\n{line}\n")).await.map(drop)
}

/// As much of HTTP as it takes to ask the server on this machine.
struct Client {
    address: SocketAddr,
    key: String,
}

impl Client {
    /// Logs events as of now.
    async fn log(&self, events: Vec<Event>) -> Result<(), Failure> {
        let mut lines = String::new();
        for mut event in events {
            event.timestamp = None;
            lines.push_str(&serde_json::to_string(&event).map_err(|error| Failure::File(error.to_string()))?);
            lines.push('\n');
        }
        self.send("POST", "/v1/events?results=errors", &lines).await.map(drop)
    }

    async fn send(&self, method: &str, path: &str, body: &str) -> Result<String, Failure> {
        let failed = |error: &dyn std::fmt::Display| Failure::File(format!("the demo's own server: {error}"));
        let stream = TcpStream::connect(self.address).await.map_err(|error| failed(&error))?;
        let (mut sender, connection) =
            http1::handshake::<_, Full<Bytes>>(TokioIo::new(stream)).await.map_err(|error| failed(&error))?;
        tokio::spawn(connection);
        let kind = match path {
            "/checkpoint/cosigned" => "text/plain",
            "/v1/keys" => "application/json",
            _ => "application/x-ndjson",
        };
        let request = hyper::Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, self.address.to_string())
            .header(header::AUTHORIZATION, format!("Bearer {}", self.key))
            .header(header::CONTENT_TYPE, kind)
            .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))
            .map_err(|error| failed(&error))?;
        let answer = sender.send_request(request).await.map_err(|error| failed(&error))?;
        let status = answer.status();
        let body = answer.into_body().collect().await.map_err(|error| failed(&error))?.to_bytes();
        let text = String::from_utf8_lossy(&body).into_owned();
        if status.is_success() { Ok(text) } else { Err(failed(&format!("{method} {path}: {status}: {text}"))) }
    }
}
