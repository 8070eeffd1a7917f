//! A PBX as clients write it.

use crate::spec::{Checked, Field, Kind};
use aimg_domain::pbx::{AmiAccess, AriAccess, MediaAccess, MediaPorts, Pbx, TapFormat};
use aimg_domain::secret::Secret;
use aimg_domain::{Fault, PbxId, TenantId, Timestamp};
use aimg_wire::request::PbxAccess;

const AMI_PORT: u16 = 5038;
const USERNAME: Kind = Kind::Text { min: 1, max: 200 };
const PASSWORD: Kind = Kind::Secret { min: 0, max: 500 };
const PATTERNS: Kind = Kind::List {
    of: &Kind::Text { min: 1, max: 200 },
    max: 500,
};
const AMI: &[Field] = &[
    Field::must("host", Kind::Host, ""),
    Field::may("port", Kind::Int { min: 1, max: 65535 }, "5038 unless told."),
    Field::may("tls", Kind::Bool, ""),
    Field::must("username", USERNAME, ""),
    Field::must("secret", PASSWORD, "Never shown again."),
];
const ARI: &[Field] = &[
    Field::must("url", Kind::HttpUrl, "`http://host:8088`; `/ari` is added."),
    Field::must("username", USERNAME, ""),
    Field::must("password", PASSWORD, "Never shown again."),
];
const MEDIA: &[Field] = &[
    Field::may("address", Kind::Address, "Ours, as the PBX sees it; found by the attach test unless told."),
    Field::may("ports", Kind::OneOf(&["shared", "dedicated"]), "`shared` unless told."),
    Field::may(
        "format",
        Kind::OneOf(&["ulaw", "alaw", "g722", "slin16"]),
        "What taps ask the PBX to send; `ulaw` unless told.",
    ),
];

pub const ACCESS: &[Field] = &[
    Field::must("ami", Kind::Object(AMI), ""),
    Field::may("ari", Kind::Object(ARI), "Without it calls are followed, but not heard."),
    Field::may("media", Kind::Object(MEDIA), ""),
];

pub const PBX: &[Field] = &[
    Field::may("owner", Kind::OneOf(&["tenant", "platform"]), "`platform` for super_admin only."),
    Field::must("name", Kind::Text { min: 1, max: 200 }, ""),
    ACCESS[0],
    ACCESS[1],
    ACCESS[2],
    Field::may("trunks", PATTERNS, "Patterns of channel names that lead outside, such as `PJSIP/trunk-*`."),
    Field::may("extensions", PATTERNS, "Patterns of channel names that belong to people, such as `PJSIP/10*`."),
    Field::may("country", Kind::Country, "For E.164 numbers."),
    Field::may("national_prefix", Kind::Text { min: 0, max: 5 }, ""),
    Field::may("timezone", Kind::Text { min: 1, max: 64 }, "IANA name such as `Europe/Berlin`."),
];

/// From a whole body.
pub fn build(body: &Checked, id: PbxId, tenant_id: Option<TenantId>, placement_key: String, created_at: Timestamp) -> Pbx {
    let access = access(body);
    Pbx {
        id,
        tenant_id,
        name: body.string("name"),
        ami: access.ami,
        ari: access.ari,
        media: access.media,
        trunks: body.texts("trunks").unwrap_or_default(),
        extensions: body.texts("extensions").unwrap_or_default(),
        country: body.text("country").map(str::to_owned),
        national_prefix: body.text("national_prefix").map(str::to_owned),
        timezone: body.text("timezone").map(str::to_owned),
        placement_key,
        detached: false,
        created_at,
    }
}

pub fn access(body: &Checked) -> PbxAccess {
    let ami = body.object("ami").unwrap_or_default();
    PbxAccess {
        pbx: None,
        ami: AmiAccess {
            host: ami.string("host"),
            port: port(&ami).unwrap_or(AMI_PORT),
            tls: ami.boolean("tls").unwrap_or(false),
            username: ami.string("username"),
            secret: Secret::new(ami.string("secret")),
        },
        ari: body.object("ari").map(|ari| AriAccess {
            url: ari.string("url"),
            username: ari.string("username"),
            password: Secret::new(ari.string("password")),
        }),
        media: media(&body.object("media").unwrap_or_default()),
    }
}

fn port(ami: &Checked) -> Option<u16> {
    ami.unsigned("port").and_then(|port| u16::try_from(port).ok())
}

fn media(given: &Checked) -> MediaAccess {
    MediaAccess {
        address: given.address("address"),
        ports: given.word("ports").unwrap_or(MediaPorts::Shared),
        format: given.word("format").unwrap_or(TapFormat::Ulaw),
    }
}

/// Puts what is given into what is stored. Null takes an optional field away.
pub fn merge(pbx: &mut Pbx, body: &Checked) -> Result<(), Fault> {
    if let Some(name) = body.text("name") {
        pbx.name = name.to_owned();
    }
    if let Some(ami) = body.object("ami") {
        merge_ami(&mut pbx.ami, &ami);
    }
    if body.has("ari") {
        merge_ari(&mut pbx.ari, body.object("ari"))?;
    }
    if let Some(given) = body.object("media") {
        if given.has("address") {
            pbx.media.address = given.address("address");
        }
        pbx.media.ports = given.word("ports").unwrap_or(pbx.media.ports);
        pbx.media.format = given.word("format").unwrap_or(pbx.media.format);
    }
    for (name, list) in [("trunks", &mut pbx.trunks), ("extensions", &mut pbx.extensions)] {
        if body.has(name) {
            *list = body.texts(name).unwrap_or_default();
        }
    }
    for (name, text) in [
        ("country", &mut pbx.country),
        ("national_prefix", &mut pbx.national_prefix),
        ("timezone", &mut pbx.timezone),
    ] {
        if body.has(name) {
            *text = body.text(name).map(str::to_owned);
        }
    }
    Ok(())
}

fn merge_ami(ami: &mut AmiAccess, given: &Checked) {
    if let Some(host) = given.text("host") {
        ami.host = host.to_owned();
    }
    ami.port = port(given).unwrap_or(ami.port);
    ami.tls = given.boolean("tls").unwrap_or(ami.tls);
    if let Some(username) = given.text("username") {
        ami.username = username.to_owned();
    }
    if let Some(secret) = given.text("secret") {
        ami.secret = Secret::new(secret);
    }
}

fn merge_ari(ari: &mut Option<AriAccess>, given: Option<Checked>) -> Result<(), Fault> {
    let Some(given) = given else {
        *ari = None;
        return Ok(());
    };
    if ari.is_none() && !(given.has("url") && given.has("username") && given.has("password")) {
        return Err(Fault::invalid("ari", "url, username and password: this PBX has no ARI access yet"));
    }
    let stored = ari.get_or_insert_with(|| AriAccess {
        url: String::new(),
        username: String::new(),
        password: Secret::default(),
    });
    if let Some(url) = given.text("url") {
        stored.url = url.to_owned();
    }
    if let Some(username) = given.text("username") {
        stored.username = username.to_owned();
    }
    if let Some(password) = given.text("password") {
        stored.password = Secret::new(password);
    }
    Ok(())
}
