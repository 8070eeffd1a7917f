//! JSON in the order Asterisk writes it, which a map would lose.

use std::fmt::Write as _;

#[derive(Clone, Debug)]
pub(crate) struct Json(String);

impl Json {
    pub(crate) fn object() -> Self {
        Self("{}".to_owned())
    }

    pub(crate) fn array(items: impl IntoIterator<Item = Json>) -> String {
        let items: Vec<String> = items.into_iter().map(|item| item.0).collect();
        format!("[{}]", items.join(","))
    }

    pub(crate) fn into_text(self) -> String {
        self.0
    }

    #[must_use]
    fn raw(mut self, key: &str, value: &str) -> Self {
        self.0.pop();
        if self.0.len() > 1 {
            self.0.push(',');
        }
        let _ = write!(self.0, "{}:{value}}}", quoted(key));
        self
    }

    #[must_use]
    pub(crate) fn text(self, key: &str, value: &str) -> Self {
        let value = quoted(value);
        self.raw(key, &value)
    }

    #[must_use]
    pub(crate) fn number(self, key: &str, value: u64) -> Self {
        self.raw(key, &value.to_string())
    }

    #[must_use]
    pub(crate) fn truth(self, key: &str, value: bool) -> Self {
        self.raw(key, if value { "true" } else { "false" })
    }

    #[must_use]
    pub(crate) fn object_at(self, key: &str, value: Json) -> Self {
        self.raw(key, &value.0)
    }

    #[must_use]
    pub(crate) fn texts(self, key: &str, values: &[String]) -> Self {
        let values: Vec<String> = values.iter().map(|value| quoted(value)).collect();
        self.raw(key, &format!("[{}]", values.join(",")))
    }
}

pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
