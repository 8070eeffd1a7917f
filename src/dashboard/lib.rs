//! The page at `/`: says what runs and where the API is. Static; the dashboard proper comes into this crate.
//!
//! It must never know of the API's handlers, and it holds no script: the policy it is served under allows none.

/// What a browser may load for the page: its own style, nothing else.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub const STYLE: &str = include_str!("page.css");

const PAGE: &str = include_str!("page.html");

/// The page, saying which version runs.
pub fn page(version: &str) -> String {
    let plain: String = version.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+')).collect();
    PAGE.replace("{{version}}", &plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_needs_no_more_than_its_policy_allows() {
        let page = page("1.2.3<script>");
        assert!(page.contains("1.2.3script"));
        for forbidden in ["<script", "style=", "onclick", "http://", "https://", "{{"] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
    }
}
