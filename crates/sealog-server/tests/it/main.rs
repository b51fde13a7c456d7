//! The server as others see it.

mod openapi;
