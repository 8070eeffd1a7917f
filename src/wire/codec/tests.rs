#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use crate::request::{CallAction, MuteDirection, Originate, OriginateTo, PbxAccess};
use aimg_domain::pbx::{AmiAccess, AriAccess, MediaAccess, MediaPorts, PbxState, PbxStatus, TapFormat};
use aimg_domain::{CallId, Caller, PbxId, PbxLinkId, Role, TenantId, Timestamp, UserId};
use proptest::prelude::*;
use uuid::Uuid;

fn asked<T>(body: T) -> Asked<T> {
    let caller = Caller {
        user: UserId(Uuid::from_u128(2)),
        email: "a@b.c".into(),
        role: Role::Operator,
        tenant: TenantId(Uuid::from_u128(1)),
    };
    Asked {
        tenant: caller.tenant,
        caller,
        remaining_ms: 5000,
        body,
    }
}

fn access(ari: bool) -> PbxAccess {
    PbxAccess {
        pbx: Some(PbxId(Uuid::from_u128(7))),
        ami: AmiAccess {
            host: "pbx".into(),
            port: 5038,
            tls: false,
            username: "aimg".into(),
            secret: Secret::new("s3cret"),
        },
        ari: ari.then(|| AriAccess {
            url: "http://pbx:8088".into(),
            username: "aimg".into(),
            password: Secret::new("pässword"),
        }),
        media: MediaAccess {
            address: Some([10, 0, 0, 1].into()),
            ports: MediaPorts::Shared,
            format: TapFormat::Slin16,
        },
    }
}

#[test]
fn every_request_of_a_tenant_is_read_back_with_its_secrets() {
    let originate = Originate {
        link: PbxLinkId(Uuid::from_u128(3)),
        endpoint: "PJSIP/1001".into(),
        to: OriginateTo::Extension {
            context: "internal".into(),
            exten: "600".into(),
        },
        caller_number: None,
        caller_name: Some("A".into()),
        ring_timeout_ms: 30_000,
    };
    for body in [
        TenantRequest::ApplyPbx {
            pbx: PbxId(Uuid::from_u128(3)),
        },
        TenantRequest::DetachPbx {
            pbx: PbxId(Uuid::from_u128(3)),
        },
        TenantRequest::ApplyLink {
            link: PbxLinkId(Uuid::from_u128(3)),
        },
        TenantRequest::RemoveLink {
            link: PbxLinkId(Uuid::from_u128(3)),
        },
        TenantRequest::PbxStatuses,
        TenantRequest::TestPbx {
            access: Box::new(access(true)),
        },
        TenantRequest::TestPbx {
            access: Box::new(access(false)),
        },
        TenantRequest::Originate(Box::new(originate)),
        TenantRequest::ActiveCalls,
    ] {
        let asked = asked(body);
        assert_eq!(decode::<Asked<TenantRequest>>(&encode(&asked).unwrap()).unwrap(), asked);
    }
}

#[test]
fn requests_of_a_call_and_replies_are_read_back() {
    let asked = asked(CallRequest::Act(CallAction::Mute {
        leg: Some("1.2".into()),
        direction: MuteDirection::Both,
    }));
    assert_eq!(decode::<Asked<CallRequest>>(&encode(&asked).unwrap()).unwrap(), asked);
    let status = PbxStatus {
        state: PbxState::Blind,
        since: Timestamp(5),
        reason: Some("gone".into()),
        version: None,
        booted_at: None,
        last_gap: None,
    };
    let replies = vec![
        TenantReply::Done,
        TenantReply::Statuses(vec![(PbxId(Uuid::nil()), status)]),
        TenantReply::Originated(CallId(Uuid::nil())),
    ];
    for reply in replies {
        let answer = encode(&Answer::from(Ok(reply.clone()))).unwrap();
        assert_eq!(decode::<Answer<TenantReply>>(&answer).unwrap().into_result(), Ok(reply));
    }
    let fault = Fault::PbxDown {
        since: Timestamp(9),
        reason: "x".into(),
    };
    let answer = encode(&Answer::<CallReply>::from(Err(fault.clone()))).unwrap();
    assert_eq!(decode::<Answer<CallReply>>(&answer).unwrap().into_result(), Err(fault));
}

#[test]
fn the_bytes_of_version_1_stay_as_they_are() {
    let bytes = encode(&asked(TenantRequest::ApplyPbx {
        pbx: PbxId(Uuid::from_u128(0x0102)),
    }))
    .unwrap();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let tenant = "1000000000000000000000000000000001";
    let user = "1000000000000000000000000000000002";
    assert_eq!(
        hex,
        format!("0100{tenant}{user}056140622e6302{tenant}fb881300{}", "1000000000000000000000000000000102")
    );
}

#[test]
fn what_is_too_large_of_another_version_or_cut_is_refused() {
    let other = encode(&asked(TenantRequest::ActiveCalls)).unwrap();
    let mut newer = other.clone();
    newer[0] = 2;
    assert!(matches!(decode::<Asked<TenantRequest>>(&newer), Err(CodecError::Version(2))));
    assert!(matches!(decode::<Asked<TenantRequest>>(&vec![1; MESSAGE_MAX + 1]), Err(CodecError::TooLarge)));
    assert!(matches!(
        encode(&asked(CallRequest::Act(CallAction::Other {
            action: "x".repeat(MESSAGE_MAX)
        }))),
        Err(CodecError::TooLarge)
    ));
    for end in 0..other.len() {
        assert!(decode::<Asked<TenantRequest>>(&other[..end]).is_err());
    }
    assert!(matches!(decode::<Asked<TenantRequest>>(&[other, vec![0]].concat()), Err(CodecError::Malformed)));
}

proptest! {
    #[test]
    fn random_bytes_are_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode::<Asked<TenantRequest>>(&bytes);
        let _ = decode::<Answer<CallReply>>(&bytes);
    }
}
