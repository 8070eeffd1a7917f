//! ARI's times: ISO 8601 whose offset has no colon (`2026-11-22T21:14:02.636+0000`), which RFC 3339 parsers refuse.

use aimg_domain::Timestamp;
use serde::{Deserialize, Deserializer};

/// `None` for what is no time.
pub fn parse(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let plain = bytes
        .len()
        .checked_sub(5)
        .filter(|at| matches!(bytes[*at], b'+' | b'-') && bytes[at + 1..].iter().all(u8::is_ascii_digit));
    match plain {
        Some(at) => format!("{}:{}", &text[..at + 3], &text[at + 3..]).parse().ok(),
        None => text.parse().ok(),
    }
}

/// For fields of serde types: a time that cannot be read is `None`, it must not cost the whole event.
pub fn lenient<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.as_deref().and_then(parse))
}

#[cfg(test)]
mod tests {
    use super::parse;
    use aimg_domain::Timestamp;

    #[test]
    fn an_offset_without_colon_is_read() {
        for (text, expected) in [
            ("2026-11-22T21:14:02.636+0000", Some(1_795_382_042_636)),
            ("2026-11-22T22:14:02.636+0100", Some(1_795_382_042_636)),
            ("2026-11-22T21:14:02.636Z", Some(1_795_382_042_636)),
            ("2026-11-22T22:14:02.636+01:00", Some(1_795_382_042_636)),
            ("2026-11-22", None),
            ("", None),
            ("ü+0000", None),
            ("+0000", None),
        ] {
            assert_eq!(parse(text), expected.map(Timestamp), "{text}");
        }
    }
}
