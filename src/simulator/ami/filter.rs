//! The event filters a manager adds: names, or a list of them, wanted or not wanted. Asterisk takes any regular expression; here the
//! forms that clients send are understood and anything else is refused, as a bad expression is.

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filter {
    refuses: bool,
    names: Vec<(String, bool)>,
}

/// A manager's filters cannot grow without bound.
pub(crate) const FILTERS_MAX: usize = 64;

impl Filter {
    /// `!Event: VarSet`, `Event: (Hangup|Newchannel)`, `!Event: RTCP.*`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (refuses, text) = text.strip_prefix('!').map_or((false, text), |rest| (true, rest));
        let list = text.strip_prefix("Event:")?.trim();
        let list = list.strip_prefix('(').map_or(Some(list), |rest| rest.strip_suffix(')'))?;
        let names = list.split('|').map(|name| {
            let name = name.trim().trim_start_matches('^').trim_end_matches('$');
            let (name, prefix) = name.strip_suffix(".*").map_or((name, false), |name| (name, true));
            let plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            plain.then(|| (name.to_owned(), prefix))
        });
        Some(Self {
            refuses,
            names: names.collect::<Option<Vec<_>>>()?,
        })
    }

    fn names(&self, event: &str) -> bool {
        self.names
            .iter()
            .any(|(name, prefix)| if *prefix { event.starts_with(name) } else { event == name })
    }
}

/// Refusals win; if something is asked for by name, only that passes.
pub(crate) fn passes(filters: &[Filter], event: &str) -> bool {
    let refused = filters.iter().any(|filter| filter.refuses && filter.names(event));
    let mut wishes = filters.iter().filter(|filter| !filter.refuses).peekable();
    !refused && (wishes.peek().is_none() || wishes.any(|filter| filter.names(event)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn filters_let_through_what_they_name_and_refusals_win() {
        let refusal = Filter::parse("!Event: (VarSet|Newexten|RTCP.*)").unwrap();
        assert!(!passes(std::slice::from_ref(&refusal), "RTCPSent"));
        assert!(passes(std::slice::from_ref(&refusal), "Hangup"));
        let wish = Filter::parse("Event: Hangup").unwrap();
        assert!(passes(&[wish.clone(), refusal.clone()], "Hangup"));
        assert!(!passes(&[wish, refusal], "Newchannel"));
        assert_eq!(Filter::parse("Bogus("), None);
        assert_eq!(Filter::parse("Event: ("), None);
    }
}
