//! What stands between a program and its database, and cuts connections where a test wants it.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How a batch's commit begins on the wire.
const COMMIT: &[u8] = b"TO 0; COMMIT";
/// How the answer to it ends.
const COMMITTED: &[u8] = b"COMMIT\0";

/// What a [`Proxy`] does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// What comes goes on.
    Pass,
    /// The next commit does not get through.
    CutBeforeCommit,
    /// The next commit gets through, and its answer does not.
    CutAfterCommit,
    /// The network is gone: what is sent is lost, and nobody is told.
    Silent,
    /// Nobody is there.
    Refuse,
}

#[derive(Debug)]
struct Shared {
    mode: Mutex<Mode>,
    open: Mutex<Vec<TcpStream>>,
    target: u16,
}

/// A port on 127.0.0.1 that leads to a server. Dropped, it stays until the process ends.
#[derive(Debug, Clone)]
pub struct Proxy {
    shared: Arc<Shared>,
    port: u16,
}

impl Proxy {
    /// A port that leads to this one.
    ///
    /// # Panics
    ///
    /// When there is no port.
    pub fn to(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let shared = Arc::new(Shared { mode: Mutex::new(Mode::Pass), open: Mutex::default(), target });
        std::thread::spawn({
            let shared = shared.clone();
            move || {
                for client in listener.incoming().map_while(Result::ok) {
                    shared.clone().carry(client);
                }
            }
        });
        Self { shared, port }
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Goes over to another mode.
    pub fn set(&self, mode: Mode) {
        *locked(&self.shared.mode) = mode;
    }

    /// What it does; a cut at a commit is done once it passes again.
    pub fn mode(&self) -> Mode {
        *locked(&self.shared.mode)
    }

    /// Ends every connection there is.
    pub fn cut(&self) {
        for stream in locked(&self.shared.open).drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    fn carry(self: Arc<Self>, client: TcpStream) {
        if *locked(&self.mode) == Mode::Refuse {
            return;
        }
        let Ok(server) = TcpStream::connect(("127.0.0.1", self.target)) else { return };
        locked(&self.open).extend([copy(&client), copy(&server)]);
        let is_cutting = Arc::new(Mutex::new(false));
        let (from_client, to_client) = (copy(&client), client);
        let (from_server, to_server) = (copy(&server), server);
        std::thread::spawn({
            let (shared, is_cutting) = (self.clone(), is_cutting.clone());
            move || {
                shared.pump(from_client, &to_server, |mode, bytes| {
                    if !contains(bytes, COMMIT) {
                        return true;
                    }
                    match *mode {
                        Mode::CutBeforeCommit => {
                            *mode = Mode::Pass;
                            false
                        }
                        Mode::CutAfterCommit => {
                            *mode = Mode::Pass;
                            *locked(&is_cutting) = true;
                            true
                        }
                        _ => true,
                    }
                });
            }
        });
        std::thread::spawn(move || {
            self.pump(from_server, &to_client, |_, bytes| !(*locked(&is_cutting) && contains(bytes, COMMITTED)));
        });
    }

    /// Carries bytes one way, for as long as `passes` lets them through.
    fn pump(&self, mut from: TcpStream, mut to: &TcpStream, passes: impl Fn(&mut Mode, &[u8]) -> bool) {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let bytes = &buffer[..count];
            let mut mode = locked(&self.mode);
            if *mode == Mode::Silent {
                continue;
            }
            if !passes(&mut mode, bytes) {
                break;
            }
            drop(mode);
            if to.write_all(bytes).is_err() {
                break;
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

fn copy(stream: &TcpStream) -> TcpStream {
    stream.try_clone().expect("a stream can be had twice")
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
