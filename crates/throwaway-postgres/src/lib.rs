//! A private PostgreSQL for tests: started from what the machine has, on a free loopback port, in a folder of
//! its own, and gone with the process that started it, however that ends.
//!
//! ```
//! let database = throwaway_postgres::shared().database();
//! assert_eq!(database.sql("SELECT 1 + 1"), "2");
//! ```
//!
//! Everything here blocks and panics: it serves tests, and what is not there must fail them.

mod database;
mod installed;
mod proxy;
mod server;

pub use database::Database;
pub use installed::{Installed, installed};
pub use proxy::{Mode, Proxy};
pub use server::{Server, ServerOptions, shared};
