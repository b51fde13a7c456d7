//! The server as others see it.

mod bodies;
mod filters;
mod first_key;
mod hostile;
mod openapi;
mod proxies;
mod support;
mod tiles;
