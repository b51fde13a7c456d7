//! Canonical JSON (RFC 8785, JCS), with one extension: integers from −2^63 to 2^64−1 keep all digits.
