//! Times as people and other systems write them.

use jiff::Timestamp;

/// Milliseconds since the Unix epoch from RFC 3339 (`2026-03-02T09:30:00Z`, any offset, any number
/// of digits after the second; what is finer than a millisecond is dropped) or from a whole number
/// of milliseconds.
///
/// # Errors
///
/// What was expected, in words.
pub fn parse_time(text: &str) -> Result<i64, String> {
    if let Ok(ms) = text.parse::<i64>() {
        return Ok(ms);
    }
    let time: Timestamp = text.parse().map_err(|_| {
        format!("{text:?} is no time; give RFC 3339 such as 2026-03-02T09:30:00Z, or milliseconds since 1970")
    })?;
    // Down, not towards zero: a time is never later than it was.
    Ok(time.as_nanosecond().div_euclid(1_000_000) as i64)
}

/// Whether `text` says more than milliseconds can hold.
pub(super) fn is_finer(text: &str) -> bool {
    text.parse::<Timestamp>().is_ok_and(|time| time.as_nanosecond().rem_euclid(1_000_000) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_both_forms() {
        assert_eq!(parse_time("1675000000123"), Ok(1_675_000_000_123));
        assert_eq!(parse_time("2023-01-27T18:28:08.129781Z"), Ok(1_674_844_088_129));
        assert_eq!(parse_time("2023-01-27T19:28:08+01:00"), Ok(1_674_844_088_000));
        assert!(parse_time("yesterday").is_err());
        assert!(parse_time("2023-01-27").is_err());
    }

    #[test]
    fn microseconds_are_noticed() {
        assert!(is_finer("2023-01-27T18:28:08.129781Z"));
        assert!(!is_finer("2023-01-27T18:28:08.129000Z"));
    }
}
