//! What comes out: a plain table, or one line of JSON. Checks decide the exit code.

use crate::machine::Machine;
use serde::Serialize;
use serde_json::Value;
use std::io::{self, Write};

/// Something that has to hold, and by how much it does.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    pub what: String,
    pub held: bool,
    pub found: String,
}

impl Check {
    pub fn new(what: impl Into<String>, held: bool, found: impl ToString) -> Check {
        Check {
            what: what.into(),
            held,
            found: found.to_string(),
        }
    }
}

#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub scenario: &'static str,
    pub machine: Machine,
    pub parameters: Value,
    /// All that was measured.
    pub figures: Value,
    /// What must be known to read the figures rightly.
    pub notes: Vec<String>,
    pub checks: Vec<Check>,
    /// The first row is the head.
    #[serde(skip)]
    pub tables: Vec<Vec<Vec<String>>>,
}

impl Report {
    pub fn held(&self) -> bool {
        self.checks.iter().all(|check| check.held)
    }

    pub fn print(&self, json: bool) -> Result<(), String> {
        let text = if json {
            serde_json::to_string(self).map_err(|error| error.to_string())? + "\n"
        } else {
            self.text()
        };
        io::stdout().write_all(text.as_bytes()).map_err(|error| error.to_string())
    }

    fn text(&self) -> String {
        let mut text = format!("{} {}\n{}\n", self.scenario, self.parameters, self.machine.shown());
        for rows in &self.tables {
            text.push('\n');
            text.push_str(&table(rows));
        }
        text.push('\n');
        for note in &self.notes {
            text.push_str(&format!("note  {note}\n"));
        }
        for check in &self.checks {
            let mark = if check.held { "ok  " } else { "FAIL" };
            text.push_str(&format!("{mark}  {}: {}\n", check.what, check.found));
        }
        text
    }
}

/// Columns as wide as their widest cell.
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

pub fn row(cells: &[&dyn std::fmt::Display]) -> Vec<String> {
    cells.iter().map(ToString::to_string).collect()
}

/// What goes on, for people who wait; not part of the result.
pub fn progress(text: &str) {
    eprintln!("… {text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_lines_end_with_their_text() {
        let rows = [row(&[&"µs", &"x"]), row(&[&"a", &12]), row(&[&"long"])];
        assert_eq!(table(&rows), "µs    x\na     12\nlong\n");
        assert_eq!(table(&[]), "");
    }
}
