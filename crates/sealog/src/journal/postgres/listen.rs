//! Being woken when another node commits. Only a hint: who waits looks by itself now and then.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::poll_fn;
use tokio::sync::watch;
use tokio_postgres::{AsyncMessage, Config};

use super::tls::Tls;
use super::{Database, quoted};

/// How long it waits before it connects again.
const RECONNECT_INTERVAL: Duration = Duration::from_millis(500);
/// How often who waits looks while nobody would wake it.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// How often who waits looks although it would be woken.
const CAREFUL_INTERVAL: Duration = Duration::from_secs(1);

/// What the listening connection heard.
#[derive(Debug, Clone, Copy, Default)]
struct Heard {
    is_listening: bool,
    count: u64,
}

/// A connection that listens.
pub(super) struct Listener(watch::Receiver<Heard>);

impl Database {
    /// Waits until another node may have committed something.
    pub(crate) async fn notified(self: &Arc<Self>) {
        let listener = self.listener.get_or_init(|| {
            let (sender, receiver) = watch::channel(Heard::default());
            let (config, tls) = (self.address.config.clone(), self.tls.clone());
            self.runtime().spawn(listen(config, tls, quoted(&self.address.schema), sender));
            Listener(receiver)
        });
        let mut heard = listener.0.clone();
        let interval = if heard.borrow_and_update().is_listening { CAREFUL_INTERVAL } else { POLL_INTERVAL };
        let _ = tokio::time::timeout(interval, heard.changed()).await;
    }
}

async fn listen(config: Config, tls: Tls, channel: String, heard: watch::Sender<Heard>) {
    loop {
        if let Ok((client, mut connection)) = config.connect(tls.clone()).await {
            let listen = format!("LISTEN {channel}");
            let mut asked = pin!(client.batch_execute(&listen));
            let mut is_asked = false;
            loop {
                let message = poll_fn(|context| {
                    if !is_asked && asked.as_mut().poll(context).is_ready() {
                        is_asked = true;
                        // What was committed before is not told.
                        heard.send_modify(|heard| *heard = Heard { is_listening: true, count: heard.count + 1 });
                    }
                    connection.poll_message(context)
                });
                match message.await {
                    Some(Ok(AsyncMessage::Notification(_))) => heard.send_modify(|heard| heard.count += 1),
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => break,
                }
            }
            heard.send_modify(|heard| heard.is_listening = false);
        }
        if heard.is_closed() {
            return;
        }
        tokio::time::sleep(RECONNECT_INTERVAL).await;
    }
}
