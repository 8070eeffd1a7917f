//! E.164 of a number as a PBX shows it, only where the PBX's country makes it certain.

/// How a country dials: what is needed to tell a number of the world from one of the house.
struct Plan {
    country: &'static str,
    code: &'static str,
    /// Dialled before a number of another country.
    international: &'static str,
    /// Lengths of a national number without prefix, for countries whose numbers have no trunk prefix.
    national: Option<(usize, usize)>,
}

const fn plan(country: &'static str, code: &'static str, international: &'static str, national: Option<(usize, usize)>) -> Plan {
    Plan {
        country,
        code,
        international,
        national,
    }
}

const PLANS: [Plan; 40] = [
    plan("US", "1", "011", Some((10, 10))),
    plan("CA", "1", "011", Some((10, 10))),
    plan("DE", "49", "00", None),
    plan("AT", "43", "00", None),
    plan("CH", "41", "00", None),
    plan("GB", "44", "00", None),
    plan("IE", "353", "00", None),
    plan("FR", "33", "00", None),
    plan("NL", "31", "00", None),
    plan("BE", "32", "00", None),
    plan("LU", "352", "00", None),
    plan("SE", "46", "00", None),
    plan("FI", "358", "00", None),
    plan("HR", "385", "00", None),
    plan("SI", "386", "00", None),
    plan("SK", "421", "00", None),
    plan("RO", "40", "00", None),
    plan("BG", "359", "00", None),
    plan("RS", "381", "00", None),
    plan("UA", "380", "00", None),
    plan("TR", "90", "00", None),
    plan("IL", "972", "00", None),
    plan("ZA", "27", "00", None),
    plan("EG", "20", "00", None),
    plan("MA", "212", "00", None),
    plan("IN", "91", "00", None),
    plan("PK", "92", "00", None),
    plan("CN", "86", "00", None),
    plan("NZ", "64", "00", None),
    plan("AE", "971", "00", None),
    plan("AU", "61", "0011", None),
    plan("JP", "81", "010", None),
    plan("ES", "34", "00", Some((9, 9))),
    plan("PT", "351", "00", Some((9, 9))),
    plan("DK", "45", "00", Some((8, 8))),
    plan("NO", "47", "00", Some((8, 8))),
    plan("PL", "48", "00", Some((9, 9))),
    plan("CZ", "420", "00", Some((9, 9))),
    plan("GR", "30", "00", Some((10, 10))),
    plan("MX", "52", "00", Some((10, 10))),
];

/// `+4930123456` of `030123456` on a PBX in `DE` with national prefix `0`; `None` for extensions, short codes and whatever is in doubt.
pub fn e164(number: &str, country: Option<&str>, national_prefix: Option<&str>) -> Option<String> {
    let digits: String = number.chars().filter(|c| !matches!(c, ' ' | '-' | '(' | ')' | '.' | '/')).collect();
    if let Some(rest) = digits.strip_prefix('+') {
        return whole(rest);
    }
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let plan = country.and_then(|country| PLANS.iter().find(|plan| plan.country.eq_ignore_ascii_case(country)))?;
    if let Some(rest) = digits.strip_prefix(plan.international) {
        return whole(rest);
    }
    if let Some(rest) = national_prefix
        .filter(|prefix| !prefix.is_empty())
        .and_then(|prefix| digits.strip_prefix(prefix))
    {
        // Shorter than any subscriber number with its area: an extension that begins like the prefix.
        return if rest.len() >= 6 { whole(&format!("{}{rest}", plan.code)) } else { None };
    }
    let (shortest, longest) = plan.national?;
    if (shortest..=longest).contains(&digits.len()) {
        return whole(&format!("{}{digits}", plan.code));
    }
    None
}

/// At most 15 digits, no country's code begins with 0 (ITU-T E.164).
fn whole(digits: &str) -> Option<String> {
    let fits = (7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
    fits.then(|| format!("+{digits}"))
}

#[cfg(test)]
mod tests {
    use super::e164;

    #[test]
    fn a_number_is_made_whole_only_where_it_is_certain() {
        for (number, country, prefix, expected) in [
            ("+49 30 123456", None, None, Some("+4930123456")),
            ("030123456", Some("DE"), Some("0"), Some("+4930123456")),
            ("004930123456", Some("DE"), Some("0"), Some("+4930123456")),
            ("030123456", None, Some("0"), None),
            ("1001", Some("DE"), Some("0"), None),
            ("55501", Some("DE"), Some("0"), None),
            ("0123", Some("DE"), Some("0"), None),
            ("2125550100", Some("US"), Some("1"), Some("+12125550100")),
            ("12125550100", Some("US"), Some("1"), Some("+12125550100")),
            ("01149301234567", Some("us"), Some("1"), Some("+49301234567")),
            ("911", Some("US"), Some("1"), None),
            ("912345678", Some("ES"), None, Some("+34912345678")),
            ("+0123456789", None, None, None),
            ("+1234567890123456", None, None, None),
            ("anonymous", Some("DE"), Some("0"), None),
            ("", Some("DE"), Some("0"), None),
        ] {
            assert_eq!(e164(number, country, prefix).as_deref(), expected, "{number}");
        }
    }
}
