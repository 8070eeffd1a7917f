//! `aimg openapi`: the OpenAPI document of this build.

use super::say;

pub fn run() -> Result<(), String> {
    let document = serde_json::to_string_pretty(&aimg_edge::openapi_document()).map_err(|error| error.to_string())?;
    say(document);
    Ok(())
}
