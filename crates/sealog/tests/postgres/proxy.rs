//! What stands between a log and its database, and cuts the connection where a test wants it.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// How a batch's commit begins on the wire.
const COMMIT: &[u8] = b"TO 0; COMMIT";
/// How the answer to it ends.
const COMMITTED: &[u8] = b"COMMIT\0";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
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

struct Shared {
    mode: Mutex<Mode>,
    open: Mutex<Vec<TcpStream>>,
    target: u16,
}

#[derive(Clone)]
pub(crate) struct Proxy {
    shared: Arc<Shared>,
    port: u16,
}

impl Proxy {
    pub(crate) fn to(target: u16) -> Self {
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

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn set(&self, mode: Mode) {
        *self.shared.mode.lock().unwrap() = mode;
    }

    pub(crate) fn mode(&self) -> Mode {
        *self.shared.mode.lock().unwrap()
    }

    /// Ends every connection there is.
    pub(crate) fn cut(&self) {
        for stream in self.shared.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    fn carry(self: Arc<Self>, client: TcpStream) {
        if *self.mode.lock().unwrap() == Mode::Refuse {
            return;
        }
        let Ok(server) = TcpStream::connect(("127.0.0.1", self.target)) else { return };
        self.open.lock().unwrap().extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
        let is_cutting = Arc::new(Mutex::new(false));
        let (from_client, to_client) = (client.try_clone().unwrap(), client);
        let (from_server, to_server) = (server.try_clone().unwrap(), server);
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
                            *is_cutting.lock().unwrap() = true;
                            true
                        }
                        _ => true,
                    }
                })
            }
        });
        std::thread::spawn(move || {
            self.pump(from_server, &to_client, |_, bytes| !(*is_cutting.lock().unwrap() && contains(bytes, COMMITTED)))
        });
    }

    /// Carries bytes one way, for as long as `passes` lets them through.
    fn pump(&self, mut from: TcpStream, mut to: &TcpStream, passes: impl Fn(&mut Mode, &[u8]) -> bool) {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let bytes = &buffer[..count];
            let mut mode = self.mode.lock().unwrap();
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
