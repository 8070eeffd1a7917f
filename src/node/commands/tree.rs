//! `aimg tree`: the supervision tree of a node, as a tree.

use super::say;
use crate::cli;
use crate::client::Client;
use serde_json::Value;
use std::collections::BTreeMap;

pub async fn run(given: &cli::Tree) -> Result<(), String> {
    let client = Client::new(&given.reach)?;
    let tree = client.get("cluster/tree").await?;
    if given.json {
        say(&tree);
        return Ok(());
    }
    let actors: Vec<&Value> = tree["results"].as_array().into_iter().flatten().collect();
    let mut children: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for actor in &actors {
        children.entry(actor["parent"].as_str().unwrap_or("")).or_default().push(actor);
    }
    print(&children, "", 0);
    say(format!("{} actors", actors.len()));
    Ok(())
}

fn print(children: &BTreeMap<&str, Vec<&Value>>, parent: &str, depth: usize) {
    for actor in children.get(parent).into_iter().flatten() {
        let id = actor["id"].as_str().unwrap_or("?");
        let messages = &actor["messages"];
        let mut line = format!("{:indent$}{id}  {}", "", actor["state"].as_str().unwrap_or("?"), indent = depth * 2);
        if let Some(note) = actor["note"].as_str() {
            line.push_str(&format!(" ({note})"));
        }
        line.push_str(&format!("  in {} handled {} depth {}", messages["in"], messages["handled"], actor["depth"]));
        let restarts = actor["restarts"].as_array().map_or(&[][..], Vec::as_slice);
        if let Some(last) = restarts.last() {
            line.push_str(&format!("  restarts {}, last: {}", restarts.len(), last["cause"].as_str().unwrap_or("?")));
        }
        say(line);
        // A parent never is below its own child; the depth bound only guards against a broken answer.
        if depth < 32 && id != parent {
            print(children, id, depth + 1);
        }
    }
}
