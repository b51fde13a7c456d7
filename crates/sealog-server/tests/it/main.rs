//! The server as others see it.

mod first_key;
mod hostile;
mod openapi;
mod support;
