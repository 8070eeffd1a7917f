//! `aimg attach`: tests the access, then makes the pbx and its link in one call.

use super::say;
use crate::cli;
use crate::client::Client;
use serde_json::{Value, json};

pub async fn run(given: &cli::Attach) -> Result<(), String> {
    let client = Client::new(&given.reach)?;
    let pbx = pbx(given)?;
    let test = client.post("pbxs/test", &access(&pbx)).await?;
    for step in test["steps"].as_array().into_iter().flatten() {
        let mark = if step["ok"] == true { "ok  " } else { "FAIL" };
        if !given.json {
            say(format!(
                "{mark} {}: {}",
                step["step"].as_str().unwrap_or("?"),
                step["detail"].as_str().unwrap_or("")
            ));
        }
    }
    if test["ok"] != true {
        let failed = test["steps"].as_array().into_iter().flatten().find(|step| step["ok"] != true);
        let why = failed.map_or("the test failed", |step| step["detail"].as_str().unwrap_or("the test failed"));
        return Err(format!("not attached: {why}"));
    }
    let link = json!({ "pbx": pbx, "claims": { "match": "all" }, "audio": given.audio, "recording": given.recording });
    let made = client.post("pbx-links", &link).await?;
    if given.json {
        say(made);
    } else {
        say(format!(
            "attached {}: pbx {}, link {}",
            given.name,
            made["pbx_id"].as_str().unwrap_or("?"),
            made["id"].as_str().unwrap_or("?")
        ));
        if let Ok(pbx) = client.get(&format!("pbxs/{}", made["pbx_id"].as_str().unwrap_or("?"))).await
            && let Some(app) = pbx["stasis_app"].as_str()
        {
            say(format!(
                "calls that enter Stasis({app}) in its dialplan can be answered and controlled from here"
            ));
        }
    }
    Ok(())
}

/// What `pbxs/test` takes of a pbx.
fn access(pbx: &Value) -> Value {
    let mut access = json!({ "ami": pbx["ami"], "media": pbx["media"] });
    if !pbx["ari"].is_null() {
        access["ari"] = pbx["ari"].clone();
    }
    access
}

fn pbx(given: &cli::Attach) -> Result<Value, String> {
    let (host, port) = given.ami.rsplit_once(':').ok_or("--ami: expected host:port")?;
    let port: u16 = port.parse().map_err(|_| "--ami: expected host:port with a port from 1 to 65535")?;
    let mut pbx = json!({
        "name": given.name,
        "ami": { "host": host, "port": port, "tls": false, "username": given.ami_user, "secret": given.ami_secret },
        "media": { "ports": "shared", "format": given.format },
        "trunks": given.trunk,
        "extensions": given.extension,
    });
    if let Some(url) = &given.ari {
        pbx["ari"] = json!({ "url": url, "username": given.ari_user, "password": given.ari_password });
    }
    if let Some(address) = &given.media_address {
        pbx["media"]["address"] = json!(address);
    }
    if let Some(country) = &given.country {
        pbx["country"] = json!(country);
    }
    Ok(pbx)
}
