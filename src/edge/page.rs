//! Lists: `{count, next, previous, results}`, by page or by cursor.

use crate::ask::Ask;
use crate::spec::{Field, Kind};
use aimg_domain::Fault;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header;
use serde::Serialize;

pub const PAGE_SIZE: usize = 25;
pub const PAGE_SIZE_MAX: i64 = 200;
/// Rows before a page: deeper reading is for cursors.
const DEPTH_MAX: usize = 10_000;

pub const PAGE: Field = Field::may("page", Kind::Int { min: 1, max: 10_000 }, "From 1.");
pub const SIZE: Field = Field::may("page_size", Kind::Int { min: 1, max: PAGE_SIZE_MAX }, "25 unless told.");
pub const CURSOR: Field = Field::may(
    "cursor",
    Kind::Text { min: 1, max: 200 },
    "Of an earlier answer's `next`; empty results end the list. Takes the place of `page`.",
);
/// Of lists without filters.
pub const PAGED: &[Field] = &[PAGE, SIZE, CURSOR];

#[derive(Serialize)]
pub struct List<T> {
    /// null above 10,000.
    pub count: Option<u64>,
    pub next: Option<String>,
    pub previous: Option<String>,
    pub results: Vec<T>,
}

impl<T> List<T> {
    pub fn map<U>(self, shown: impl FnMut(T) -> U) -> List<U> {
        List {
            count: self.count,
            next: self.next,
            previous: self.previous,
            results: self.results.into_iter().map(shown).collect(),
        }
    }
}

/// Which part of a list is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// From 1.
    Page(usize),
    /// After what the cursor names; an empty one begins.
    Cursor(String),
}

pub struct Wanted {
    pub part: Part,
    pub size: usize,
}

impl Wanted {
    pub fn of(ask: &Ask) -> Result<Wanted, Fault> {
        Wanted::with_size(ask, PAGE_SIZE)
    }

    fn with_size(ask: &Ask, default: usize) -> Result<Wanted, Fault> {
        let size = ask.query.unsigned("page_size").and_then(|size| usize::try_from(size).ok()).unwrap_or(default);
        let part = match (ask.query.text("cursor"), ask.query.unsigned("page")) {
            (Some(_), Some(_)) => return Err(Fault::invalid("cursor", "either page or cursor")),
            (Some(cursor), None) => Part::Cursor(decode(cursor)?),
            // `?cursor=` begins a reading by cursor.
            (None, None) if names_cursor(&ask.raw_query) => Part::Cursor(String::new()),
            (None, page) => Part::Page(page.and_then(|page| usize::try_from(page).ok()).unwrap_or(1)),
        };
        if let Part::Page(page) = part
            && (page - 1) * size >= DEPTH_MAX
        {
            return Err(Fault::invalid("page", format!("at most {DEPTH_MAX} rows deep; read on by cursor")));
        }
        Ok(Wanted { part, size })
    }

    /// Rows before the page.
    pub fn skip(&self) -> usize {
        match self.part {
            Part::Page(page) => (page - 1) * self.size,
            Part::Cursor(_) => 0,
        }
    }
}

fn names_cursor(raw: &str) -> bool {
    raw.split('&').any(|pair| pair == "cursor" || pair == "cursor=")
}

pub fn encode(cursor: &str) -> String {
    URL_SAFE_NO_PAD.encode(cursor)
}

fn decode(cursor: &str) -> Result<String, Fault> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    bytes.ok_or_else(bad_cursor)
}

pub fn bad_cursor() -> Fault {
    Fault::invalid("cursor", "the cursor of an earlier answer's next")
}

/// The list with its links. `next` is the cursor after the last row shown, none on the last page.
pub fn list<T>(ask: &Ask, wanted: &Wanted, count: Option<u64>, next: Option<String>, results: Vec<T>) -> List<T> {
    let (next, previous) = match &wanted.part {
        Part::Cursor(_) => (next.map(|next| link(ask, "cursor", &encode(&next))), None),
        Part::Page(page) => {
            let next = next.map(|_| link(ask, "page", &(page + 1).to_string()));
            (next, (*page > 1).then(|| link(ask, "page", &(page - 1).to_string())))
        }
    };
    List {
        count,
        next,
        previous,
        results,
    }
}

/// A page of what is all at hand.
pub fn slice<T>(ask: &Ask, all: Vec<T>, cursor_of: impl Fn(&T) -> String) -> Result<List<T>, Fault> {
    slice_by(ask, all, cursor_of, PAGE_SIZE)
}

pub fn slice_by<T>(ask: &Ask, all: Vec<T>, cursor_of: impl Fn(&T) -> String, default_size: usize) -> Result<List<T>, Fault> {
    let wanted = Wanted::with_size(ask, default_size)?;
    let count = all.len() as u64;
    let start = match &wanted.part {
        Part::Cursor(after) if !after.is_empty() => all.iter().position(|row| cursor_of(row) == *after).map(|at| at + 1).ok_or_else(bad_cursor)?,
        _ => wanted.skip(),
    };
    let more = all.len() > start + wanted.size;
    let results: Vec<T> = all.into_iter().skip(start).take(wanted.size).collect();
    let next = results.last().filter(|_| more).map(&cursor_of);
    Ok(list(ask, &wanted, Some(count), next, results))
}

fn link(ask: &Ask, name: &str, value: &str) -> String {
    let others = ask.raw_query.split('&').filter(|pair| {
        let known = pair.split_once('=').map_or(*pair, |(known, _)| known);
        !known.is_empty() && known != "page" && known != "cursor"
    });
    let mut query: Vec<String> = others.map(str::to_owned).collect();
    query.push(format!("{name}={value}"));
    format!("{}{}?{}", base(ask), ask.path, query.join("&"))
}

/// Where the client says that we are; only it reads the answer.
fn base(ask: &Ask) -> String {
    if let Some(url) = &ask.edge.config.public_url {
        return url.trim_end_matches('/').to_owned();
    }
    let text = |name: &header::HeaderName| ask.headers.get(name).and_then(|value| value.to_str().ok());
    let Some(host) = text(&header::HOST) else { return String::new() };
    let forwarded = ask.headers.get("x-forwarded-proto").and_then(|value| value.to_str().ok());
    let scheme = if forwarded == Some("https") { "https" } else { "http" };
    format!("{scheme}://{host}")
}
