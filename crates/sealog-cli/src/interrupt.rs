//! Ctrl-C: what is on its way is finished, and then the command ends.

use tokio::sync::watch;

use crate::failure::EXIT_INTERRUPTED;

/// Whether Ctrl-C was pressed. The second time ends the process at once.
#[derive(Debug, Clone)]
pub(crate) struct Interrupt(watch::Receiver<bool>);

impl Interrupt {
    /// Starts to listen. Must be called inside the runtime.
    pub(crate) fn listen() -> Self {
        let (pressed, receiver) = watch::channel(false);
        tokio::spawn(async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                let _ = pressed.send(true);
                if tokio::signal::ctrl_c().await.is_ok() {
                    #[expect(clippy::disallowed_methods, reason = "whoever presses twice does not want to wait")]
                    std::process::exit(EXIT_INTERRUPTED.into());
                }
            }
            // Where signals cannot be had, nothing is ever pressed.
            std::future::pending::<()>().await;
        });
        Self(receiver)
    }

    /// Waits for it.
    pub(crate) async fn pressed(&self) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(|pressed| *pressed).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Whether it was.
    pub(crate) fn is_pressed(&self) -> bool {
        *self.0.borrow()
    }
}
