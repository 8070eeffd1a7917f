//! What a field may hold.

use super::{Field, Mode, check_object, push};
use aimg_domain::{FieldFault, Timestamp};
use serde_json::Value;
use std::net::IpAddr;
use uuid::Uuid;

#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Characters, without control characters.
    Text {
        min: usize,
        max: usize,
    },
    /// Characters, shown nowhere.
    Secret {
        min: usize,
        max: usize,
    },
    Email,
    Slug,
    Bool,
    Int {
        min: i64,
        max: i64,
    },
    OneOf(&'static [&'static str]),
    Id,
    Time,
    /// A name or an address.
    Host,
    HttpUrl,
    Address,
    /// ISO 3166, two letters.
    Country,
    /// 0-9 * # A-D
    Dtmf {
        max: usize,
    },
    List {
        of: &'static Kind,
        max: usize,
    },
    Object(&'static [Field]),
}

impl Kind {
    pub fn expected(&self) -> String {
        match self {
            Kind::Text { min, max } | Kind::Secret { min, max } => format!("text of {min} to {max} characters without control characters"),
            Kind::Email => "an email address such as name@example.org".into(),
            Kind::Slug => "1 to 63 lower-case letters, digits and inner hyphens".into(),
            Kind::Bool => "true or false".into(),
            Kind::Int { min, max } => format!("a whole number from {min} to {max}"),
            Kind::OneOf(words) => format!("one of {}", words.join(", ")),
            Kind::Id => "a UUID".into(),
            Kind::Time => "an RFC 3339 time such as 2026-01-31T09:30:00.000Z".into(),
            Kind::Host => "a host name or an IP address".into(),
            Kind::HttpUrl => "a URL such as http://host:8088, without credentials in it".into(),
            Kind::Address => "an IP address".into(),
            Kind::Country => "a country code of two letters such as DE".into(),
            Kind::Dtmf { max } => format!("1 to {max} of 0-9 * # A-D"),
            Kind::List { of, max } => format!("a list of at most {max}, each {}", of.expected()),
            Kind::Object(_) => "a JSON object".into(),
        }
    }

    /// The value as it is used (an email in lower case), or its faults.
    pub(super) fn check(&self, value: Value, mode: Mode, at: &str, faults: &mut Vec<FieldFault>) -> Option<Value> {
        match self {
            Kind::Object(fields) => check_object(fields, value, mode, at, faults).map(Value::Object),
            Kind::List { of, max } => check_list(self, of, *max, value, mode, at, faults),
            _ => {
                let checked = self.check_plain(value);
                if checked.is_none() {
                    push(faults, at, &self.expected());
                }
                checked
            }
        }
    }

    fn check_plain(&self, value: Value) -> Option<Value> {
        match self {
            Kind::Bool => value.is_boolean().then_some(value),
            Kind::Int { min, max } => {
                let n = value.as_i64()?;
                (n >= *min && n <= *max).then_some(value)
            }
            _ => self.check_text(value.as_str()?).map(Value::String),
        }
    }

    fn check_text(&self, text: &str) -> Option<String> {
        let same = || text.to_owned();
        match self {
            Kind::Text { min, max } => {
                let text = text.trim();
                sized(text, *min, *max).then(|| text.to_owned())
            }
            Kind::Secret { min, max } => sized(text, *min, *max).then(same),
            Kind::Email => is_email(text.trim()).then(|| text.trim().to_lowercase()),
            Kind::Slug => aimg_domain::tenant::is_slug(text).then(same),
            Kind::OneOf(words) => words.contains(&text).then(same),
            Kind::Id => text.parse::<Uuid>().ok().map(|id| id.to_string()),
            Kind::Time => text.parse::<Timestamp>().ok().map(|time| time.to_string()),
            Kind::Host => is_host(text).then(same),
            Kind::HttpUrl => is_http_url(text).then(same),
            Kind::Address => text.parse::<IpAddr>().ok().map(|address| address.to_string()),
            Kind::Country => (text.len() == 2 && text.bytes().all(|b| b.is_ascii_alphabetic())).then(|| text.to_ascii_uppercase()),
            Kind::Dtmf { max } => {
                let digits = text.to_ascii_uppercase();
                let good = !digits.is_empty() && digits.len() <= *max && digits.bytes().all(|b| b.is_ascii_digit() || b"*#ABCD".contains(&b));
                good.then_some(digits)
            }
            Kind::Bool | Kind::Int { .. } | Kind::List { .. } | Kind::Object(_) => None,
        }
    }
}

fn check_list(kind: &Kind, of: &Kind, max: usize, value: Value, mode: Mode, at: &str, faults: &mut Vec<FieldFault>) -> Option<Value> {
    let Value::Array(items) = value else {
        push(faults, at, &kind.expected());
        return None;
    };
    if items.len() > max {
        push(faults, at, &kind.expected());
        return None;
    }
    let checked: Vec<Option<Value>> = items
        .into_iter()
        .enumerate()
        .map(|(n, item)| of.check(item, mode, &format!("{at}.{n}"), faults))
        .collect();
    checked.into_iter().collect::<Option<Vec<_>>>().map(Value::Array)
}

fn sized(text: &str, min: usize, max: usize) -> bool {
    let count = text.chars().count();
    count >= min && count <= max && !text.chars().any(char::is_control)
}

fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let plain = |part: &str| !part.is_empty() && !part.contains(|c: char| c.is_whitespace() || c.is_control() || c == '@');
    text.len() <= 254 && plain(local) && local.len() <= 64 && plain(domain) && is_host(domain)
}

fn is_host(text: &str) -> bool {
    if text.parse::<IpAddr>().is_ok() {
        return true;
    }
    !text.is_empty()
        && text.len() <= 253
        && text.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        })
}

fn is_http_url(text: &str) -> bool {
    let Ok(uri) = text.parse::<http::Uri>() else { return false };
    let scheme = matches!(uri.scheme_str(), Some("http" | "https"));
    let authority = uri
        .authority()
        .is_some_and(|authority| !authority.as_str().contains('@') && !authority.host().is_empty());
    text.len() <= 512 && scheme && authority && uri.query().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emails_hosts_and_urls_are_told_from_what_is_none() {
        for (text, good) in [
            ("a@b.org", true),
            ("a@b", true),
            ("a b@c.d", false),
            ("@b", false),
            ("a@", false),
            ("a@@b", false),
            ("a@-b.org", false),
        ] {
            assert_eq!(is_email(text), good, "{text}");
        }
        for (text, good) in [
            ("127.0.0.1", true),
            ("::1", true),
            ("pbx_1.lan", true),
            ("a..b", false),
            ("", false),
            ("a b", false),
            ("a/b", false),
        ] {
            assert_eq!(is_host(text), good, "{text}");
        }
        for (text, good) in [
            ("http://h:8088", true),
            ("https://h/ari", true),
            ("ftp://h", false),
            ("http://u:p@h", false),
            ("h:8088", false),
            ("http://h?x=1", false),
        ] {
            assert_eq!(is_http_url(text), good, "{text}");
        }
    }
}
