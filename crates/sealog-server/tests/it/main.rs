//! The server as others see it.

mod hostile;
mod openapi;
mod support;
