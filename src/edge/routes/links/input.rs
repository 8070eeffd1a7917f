//! A tie as clients write it.

use crate::routes::pbxs;
use crate::spec::{Checked, Field, Kind};
use aimg_domain::Fault;
use aimg_domain::link::{ClaimBy, Claims};

pub const TAP_BUDGET: u32 = 50;
const CLAIMS: &[Field] = &[
    Field::must("match", Kind::OneOf(&["all", "context", "endpoint", "accountcode", "trunk", "number"]), ""),
    Field::may(
        "values",
        Kind::List {
            of: &Kind::Text { min: 1, max: 200 },
            max: 500,
        },
        "Patterns such as `PJSIP/10*`; none for `all`.",
    ),
];
const PBX_ID: Field = Field::may("pbx_id", Kind::Id, "");
const CLAIMS_FIELD: Field = Field::may("claims", Kind::Object(CLAIMS), "Which calls are the tenant's; `all` unless told.");
const AUDIO: Field = Field::may("audio", Kind::OneOf(&["on_demand", "legs", "mixed", "none"]), "`on_demand` unless told.");
const RECORDING: Field = Field::may("recording", Kind::OneOf(&["always", "on_demand", "never"]), "`on_demand` unless told.");
const CONTROL: Field = Field::may("control", Kind::OneOf(&["observe", "takeover"]), "`observe` unless told.");
const BUDGET: Field = Field::may("tap_budget", Kind::Int { min: 0, max: 10_000 }, "Calls tapped at once; 50 unless told.");
pub const CREATE: &[Field] = &[
    PBX_ID,
    Field::may("pbx", Kind::Object(pbxs::PBX), "In place of `pbx_id`: both are made in one call."),
    CLAIMS_FIELD,
    AUDIO,
    RECORDING,
    CONTROL,
    BUDGET,
];
pub const CHANGE: &[Field] = &[CLAIMS_FIELD, AUDIO, RECORDING, CONTROL, BUDGET];

pub fn everything() -> Claims {
    Claims {
        by: ClaimBy::All,
        values: Vec::new(),
    }
}

pub fn budget(body: &Checked) -> Option<u32> {
    body.unsigned("tap_budget").and_then(|budget| u32::try_from(budget).ok())
}

pub fn claims(body: &Checked) -> Result<Option<Claims>, Fault> {
    let Some(given) = body.object("claims") else { return Ok(None) };
    let Some(by) = given.word::<ClaimBy>("match") else {
        return Err(Fault::invalid("claims.match", "required: what the values are compared with"));
    };
    let values = given.texts("values").unwrap_or_default();
    match by {
        ClaimBy::All if !values.is_empty() => Err(Fault::invalid("claims.values", "nothing: `all` takes every call")),
        ClaimBy::All => Ok(Some(everything())),
        _ if values.is_empty() => Err(Fault::invalid("claims.values", "at least one pattern")),
        _ => Ok(Some(Claims { by, values })),
    }
}
