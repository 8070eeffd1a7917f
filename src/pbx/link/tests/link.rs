//! The link against scripted servers on loopback: order, loss and return, refusals, overrun, silence.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "link/server.rs"]
mod server;

use aimg_domain::pbx::{AmiAccess, AriAccess, PbxState};
use aimg_domain::secret::Secret;
use aimg_domain::{Clock, PbxId, Timestamp};
use aimg_pbx::ami::Action;
use aimg_pbx::ari::Request;
use aimg_pbx::ari::event::What;
use aimg_pbx::fact::Fact;
use aimg_pbx_link::*;
use server::{AmiScript, AriScript, FakeAmi, FakeAri};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;
use uuid::Uuid;

const WITHIN: Duration = Duration::from_secs(20);

struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp(1_795_000_000_000)
    }
    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

fn pbx() -> PbxId {
    PbxId(Uuid::from_u128(5))
}

fn ami_access(port: u16) -> AmiAccess {
    AmiAccess {
        host: "127.0.0.1".into(),
        port,
        tls: false,
        username: "ami".into(),
        secret: Secret::new("amipass"),
    }
}

fn ari_access(port: u16) -> AriAccess {
    AriAccess {
        url: format!("http://127.0.0.1:{port}"),
        username: "ari".into(),
        password: Secret::new("aripass"),
    }
}

fn config(ami: u16, ari: Option<u16>) -> LinkConfig {
    LinkConfig {
        pbx: pbx(),
        ami: ami_access(ami),
        ari: ari.map(ari_access),
        epoch: 3,
        deadlines: Deadlines::default(),
        backoff: Backoff {
            first: Duration::from_millis(5),
            max: Duration::from_millis(20),
        },
        seed: 1,
    }
}

fn start(config: LinkConfig) -> (PbxLinkDriver, PbxCommands, mpsc::Receiver<LinkEvent>) {
    PbxLinkDriver::start(config, Arc::new(FixedClock)).unwrap()
}

async fn next(events: &mut mpsc::Receiver<LinkEvent>) -> LinkEvent {
    timeout(WITHIN, events.recv()).await.expect("an event in time").expect("the link lives")
}

async fn until<T>(events: &mut mpsc::Receiver<LinkEvent>, mut wanted: impl FnMut(LinkEvent) -> Option<T>) -> T {
    loop {
        if let Some(found) = wanted(next(events).await) {
            return found;
        }
    }
}

fn up(event: LinkEvent) -> Option<Box<LinkUp>> {
    if let LinkEvent::Up(up) = event { Some(up) } else { None }
}

#[tokio::test]
async fn what_happens_while_the_snapshot_is_taken_is_told_after_it() {
    let ami = FakeAmi::start(AmiScript::default()).await;
    let (_driver, commands, mut events) = start(config(ami.port, None));
    assert!(
        matches!(commands.ami(Action::ping(), WITHIN).await, Err(PbxError::Down { .. })),
        "not before Up"
    );
    assert_eq!(next(&mut events).await, LinkEvent::Connecting { attempt: 1 });
    let up = up(next(&mut events).await).expect("Up comes before every fact");
    assert_eq!(up.ami_version, "11.0.0");
    assert_eq!(up.system_name.as_deref(), Some("fake"));
    // The pong's own clock less the uptime of `FullyBooted`.
    assert_eq!(
        (up.booted_at, up.boot_source),
        (Some(Timestamp(1_795_383_618_351 - 56_000)), BootSource::Uptime)
    );
    let rows: Vec<_> = up.snapshot.channels.iter().map(|row| row.channel.uniqueid.as_str()).collect();
    assert_eq!((rows, up.snapshot.in_stasis), (vec!["fake-1.0"], None));
    let LinkEvent::Facts(facts) = next(&mut events).await else { panic!() };
    assert!(matches!(&facts[..], [told] if matches!(&told.fact, Fact::NewChannel(channel) if channel.uniqueid == "fake-1.7")));
    assert_eq!(commands.state().ami.state, PbxState::Attached);
    assert!(commands.ami(Action::ping(), WITHIN).await.is_ok());
    assert_eq!(commands.ari(&Request::channels(), WITHIN).await, Err(PbxError::NoAri));
    assert_eq!(
        commands.ami(Action::hangup("none", None), WITHIN).await,
        Err(PbxError::NotFound("No such channel".into()))
    );
}

#[tokio::test]
async fn a_lost_connection_is_told_and_comes_back() {
    let ami = FakeAmi::start(AmiScript::default()).await;
    let (driver, commands, mut events) = start(config(ami.port, None));
    until(&mut events, up).await;
    ami.drop_connections();
    let since = until(&mut events, |event| match event {
        LinkEvent::Down { since, reason } => {
            assert_eq!(reason, "the PBX closed the connection");
            Some(since)
        }
        _ => None,
    })
    .await;
    assert_eq!(since, FixedClock.now());
    until(&mut events, up).await;
    assert!(commands.ami(Action::ping(), WITHIN).await.is_ok());
    driver.stop(WITHIN).await;
    assert!(matches!(commands.ami(Action::ping(), WITHIN).await, Err(PbxError::Down { reason, .. }) if reason == "stopped"));
}

#[tokio::test]
async fn a_refusal_says_what_to_do_and_is_tried_again() {
    let refused = |script: AmiScript| async move {
        let ami = FakeAmi::start(script).await;
        let (_driver, commands, mut events) = start(config(ami.port, None));
        let mut found = Vec::new();
        while found.len() < 2 {
            if let LinkEvent::Refused { reason, what_to_do, .. } = next(&mut events).await {
                found.push((reason, what_to_do));
            }
        }
        assert_eq!(found[0], found[1]);
        let down = commands.ami(Action::ping(), WITHIN).await;
        assert!(matches!(down, Err(PbxError::Down { .. })), "{down:?}");
        found.remove(0)
    };
    let (reason, what_to_do) = refused(AmiScript {
        password_accepted: false,
        ..AmiScript::default()
    })
    .await;
    assert_eq!(reason, "the PBX does not accept user name and password");
    assert!(what_to_do.contains("manager.conf"));
    let (reason, what_to_do) = refused(AmiScript {
        may_list: false,
        ..AmiScript::default()
    })
    .await;
    assert!(
        reason.contains("Permission denied") && what_to_do.contains("reporting"),
        "{reason} {what_to_do}"
    );
}

#[tokio::test]
async fn a_consumer_that_takes_nothing_costs_the_connection_not_our_memory() {
    let ami = FakeAmi::start(AmiScript {
        flood: 200_000,
        ..AmiScript::default()
    })
    .await;
    let mut connection = connect_ami(&ami_access(ami.port), &Deadlines::default(), Arc::new(FixedClock)).await.unwrap();
    let end = timeout(WITHIN, connection.end()).await.unwrap();
    assert_eq!(end, AmiEnd::Overrun);
    let mut taken = 0;
    while let Some(event) = connection.events.recv().await {
        if let AmiEvent::Facts(facts) = event {
            taken += facts.len();
        }
    }
    assert!(taken < 200_000);
    assert!(matches!(connection.handle.action(Action::ping(), WITHIN).await, Err(PbxError::Unreachable(_))));
}

#[tokio::test]
async fn ari_refusals_are_told_apart_and_bounded_in_time() {
    let ari = FakeAri::start(AriScript::default()).await;
    let client = AriClient::new(&ari_access(ari.port), WITHIN).unwrap();
    let ask = |id: &'static str| {
        let client = client.clone();
        async move { client.send(&Request::channel(id), WITHIN).await }
    };
    assert_eq!(ask("401").await, Err(PbxError::Unauthorized));
    assert_eq!(ask("403").await, Err(PbxError::Forbidden("no 403".into())));
    assert_eq!(ask("404").await, Err(PbxError::NotFound("no 404".into())));
    assert_eq!(ask("409").await, Err(PbxError::Conflict("no 409".into())));
    assert_eq!(
        ask("500").await,
        Err(PbxError::Refused {
            status: 500,
            text: "no 500".into()
        })
    );
    assert_eq!(ask("200").await.map(|answer| answer.status), Ok(200));
    let late = client.send(&Request::channel("never"), Duration::from_millis(50)).await;
    assert_eq!(
        late,
        Err(PbxError::Timeout {
            what: "GET /channels/never".into()
        })
    );
    assert_eq!(format!("{client:?}"), format!("AriClient(http://127.0.0.1:{}/ari)", ari.port));
}

#[tokio::test]
async fn both_websockets_open_and_a_replaced_one_stays_away_until_it_is_reclaimed() {
    let ami = FakeAmi::start(AmiScript::default()).await;
    let mut ari = FakeAri::start(AriScript::default()).await;
    let (_driver, commands, mut events) = start(config(ami.port, Some(ari.port)));
    let mut apps = Vec::new();
    let mut link_up = None;
    while apps.len() < 2 || link_up.is_none() {
        match next(&mut events).await {
            LinkEvent::AriUp { app, application } => {
                assert_eq!(application.channel_ids, ["in-app"]);
                apps.push(app);
            }
            LinkEvent::Up(up) => link_up = Some(up),
            LinkEvent::Connecting { .. } | LinkEvent::Facts(_) => {}
            other => panic!("{other:?}"),
        }
    }
    let link_up = link_up.unwrap();
    assert_eq!(link_up.snapshot.in_stasis, Some(vec!["in-app".into()]));
    assert_eq!((link_up.boot_source, link_up.booted_at), (BootSource::Ari, Some(Timestamp(1_795_382_042_636))));
    let stable = pbx().stasis_app();
    let mut sockets = vec![ari.accepted().await, ari.accepted().await];
    let at = sockets
        .iter()
        .position(|socket| socket.app == stable)
        .expect("the stable application is followed");
    let other = sockets.remove(1 - at);
    assert_eq!(other.app, pbx().tap_app(3));
    let stable_socket = sockets.remove(0);
    stable_socket.send(r#"{"type":"StasisStart","timestamp":"2026-11-22T21:14:02.636+0000","args":["a"],"channel":{"id":"c.1"}}"#);
    stable_socket.send(r#"{"type":"ApplicationReplaced"}"#);
    let heard = until(&mut events, |event| {
        if let LinkEvent::Ari { app, event } = event {
            Some((app, event))
        } else {
            None
        }
    })
    .await;
    assert!(matches!((heard.0, &heard.1.what), (AriApp::Stable, What::StasisStart { channel, .. }) if channel.id == "c.1"));
    let replaced = until(&mut events, |event| if let LinkEvent::Replaced { app } = event { Some(app) } else { None }).await;
    assert_eq!(replaced, AriApp::Stable);
    assert!(matches!(commands.ari(&Request::channel("200"), WITHIN).await, Err(PbxError::Down { .. })));
    commands.reclaim();
    let back = until(&mut events, |event| if let LinkEvent::AriUp { app, .. } = event { Some(app) } else { None }).await;
    assert_eq!(back, AriApp::Stable);
    assert_eq!(ari.accepted().await.app, stable);
    assert!(commands.ari(&Request::channel("200"), WITHIN).await.is_ok());
}

#[tokio::test]
async fn a_websocket_that_answers_no_ping_is_dead() {
    let ari = FakeAri::start(AriScript {
        reads: false,
        ..AriScript::default()
    })
    .await;
    let deadlines = Deadlines {
        ping_every: Duration::from_millis(20),
        ping_within: Duration::from_millis(40),
        ..Deadlines::default()
    };
    let mut socket = AriSocket::connect(&ari_access(ari.port), "app", &deadlines).await.unwrap();
    let end = timeout(WITHIN, socket.next()).await.unwrap().unwrap_err();
    assert!(matches!(end, SocketEnd::Silent(_)), "{end:?}");
}

#[tokio::test]
async fn a_wrong_password_closes_the_websocket_with_its_name() {
    let ari = FakeAri::start(AriScript {
        password_accepted: false,
        ..AriScript::default()
    })
    .await;
    let refused = AriSocket::connect(&ari_access(ari.port), "app", &Deadlines::default()).await.unwrap_err();
    assert_eq!(refused, PbxError::Unauthorized);
}

#[tokio::test]
async fn the_attach_test_names_the_step_and_what_to_do() {
    let test = |ami: AmiScript, ari: Option<AriScript>| async move {
        let ami = FakeAmi::start(ami).await;
        let ari = match ari {
            Some(script) => Some(FakeAri::start(script).await),
            None => None,
        };
        let access = ari.as_ref().map(|ari| ari_access(ari.port));
        test_pbx(
            &ami_access(ami.port),
            access.as_ref(),
            "aimg-probe",
            &Deadlines::default(),
            Arc::new(FixedClock),
        )
        .await
    };
    let failed = |found: aimg_domain::pbx::PbxTest| {
        let failed: Vec<_> = found
            .steps
            .iter()
            .filter(|step| !step.ok)
            .map(|step| (step.step.clone(), step.detail.clone()))
            .collect();
        assert_eq!(found.ok, failed.is_empty());
        failed
    };
    let good = test(AmiScript::default(), Some(AriScript::default())).await;
    assert_eq!(good.version.as_deref(), Some("22.0-fake"));
    assert_eq!(failed(good), []);
    for (ami, ari, step, advice) in [
        (
            AmiScript {
                banner: "SSH-2.0-x",
                ..AmiScript::default()
            },
            None,
            "ami.banner",
            "5038",
        ),
        (
            AmiScript {
                password_accepted: false,
                ..AmiScript::default()
            },
            None,
            "ami.login",
            "manager.conf",
        ),
        (
            AmiScript {
                may_list: false,
                ..AmiScript::default()
            },
            None,
            "ami.permissions",
            "write class system or reporting",
        ),
        (
            AmiScript {
                reads: "call",
                ..AmiScript::default()
            },
            None,
            "ami.permissions",
            "read class system, read class dtmf",
        ),
        (
            AmiScript::default(),
            Some(AriScript {
                password_accepted: false,
                ..AriScript::default()
            }),
            "ari.login",
            "ari.conf",
        ),
        (
            AmiScript::default(),
            Some(AriScript {
                enabled: false,
                ..AriScript::default()
            }),
            "ari.connect",
            "load res_ari",
        ),
        (
            AmiScript::default(),
            Some(AriScript {
                writable: false,
                ..AriScript::default()
            }),
            "ari.write",
            "read_only = no",
        ),
    ] {
        let failed = failed(test(ami, ari).await);
        assert_eq!(failed.len(), 1, "{step}: {failed:?}");
        assert!(failed[0].0 == step && failed[0].1.contains(advice), "{step} {advice}: {failed:?}");
    }
}
