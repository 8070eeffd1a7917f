//! Every kind of document with its keys, declared once. A name is part of keys at rest: it never changes.

use crate::records::Kind;

pub static TENANT: Kind = Kind {
    name: "tenant",
    unique: &["slug"],
    lookup: &[],
};

pub static USER: Kind = Kind {
    name: "user",
    unique: &["email"],
    lookup: &[],
};

/// `id` is declared unique because a PBX is also asked for without knowing whose it is.
pub static PBX: Kind = Kind {
    name: "pbx",
    unique: &["id"],
    lookup: &[],
};

pub static LINK: Kind = Kind {
    name: "link",
    unique: &[],
    lookup: &["pbx"],
};

pub static RECORDING: Kind = Kind {
    name: "recording",
    unique: &[],
    lookup: &["call", "unfinished"],
};

pub static REFRESH_FAMILY: Kind = Kind {
    name: "refresh_family",
    unique: &[],
    lookup: &["user"],
};

pub static REVOKED_TOKEN: Kind = Kind {
    name: "revoked_token",
    unique: &[],
    lookup: &[],
};

pub static ALL: [&Kind; 7] = [&TENANT, &USER, &PBX, &LINK, &RECORDING, &REFRESH_FAMILY, &REVOKED_TOKEN];
