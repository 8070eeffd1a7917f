//! The directory by example: whose a channel is, what is held, what merges, what a gap hid.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::{CallDirectory, ClosedWhy, DirectoryLimits, DirectoryOutput, Verdict};
use crate::calls::testing::{CountedIds, World, at, channel, link, pbx_id, tenant};
use aimg_domain::call::Outcome;
use aimg_domain::link::ClaimBy;
use aimg_domain::{CallId, Timestamp};
use aimg_pbx::fact::{Changed, Channel, ChannelSnapshot, ChannelState, DialStatus, Fact, Snapshot, Told};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

const LIMITS: DirectoryLimits = DirectoryLimits {
    channels: 100,
    unclaimed_calls: 3,
    held_facts_per_call: 4,
    provisional: 2,
    provisional_for: Duration::from_secs(60),
    rest: Duration::from_secs(5),
    gone: 16,
};

fn directory() -> CallDirectory {
    CallDirectory::new(pbx_id(), Arc::new(CountedIds::default()), LIMITS)
}

fn new(s: i64, id: &str, linkedid: &str, name: &str) -> Told {
    at(s, Fact::NewChannel(channel(id, linkedid, name, ChannelState::Ring)))
}

fn changed(s: i64, channel: Channel) -> Told {
    at(
        s,
        Fact::ChannelChanged {
            channel,
            what: Changed::Extension,
        },
    )
}

fn hung_up(s: i64, id: &str, linkedid: &str, name: &str) -> Told {
    let fact = Fact::HungUp {
        channel: channel(id, linkedid, name, ChannelState::Up),
        cause: 16,
        cause_text: "Normal Clearing".into(),
    };
    at(s, fact)
}

fn tell(directory: &mut CallDirectory, told: &Told) -> Vec<String> {
    let outputs = directory.apply(told, told.at);
    outputs.iter().map(brief).collect()
}

fn brief(output: &DirectoryOutput) -> String {
    let n = |id: &CallId| id.0.as_u128();
    match output {
        DirectoryOutput::Opened(opened) => format!("opened {} for {}", n(&opened.session), opened.tenant.0.as_u128() - 0x1000),
        DirectoryOutput::Told { session, told } => {
            let kind = format!("{:?}", told.fact);
            format!(
                "{} {} {}",
                n(session),
                kind.split([' ', '(', '{']).next().unwrap(),
                told.fact.uniqueids().join("+")
            )
        }
        DirectoryOutput::Withdrawn { session, uniqueid } => format!("{} withdrawn {uniqueid}", n(session)),
        DirectoryOutput::Merged { from, into } => format!("{} into {}", n(from), n(into)),
        DirectoryOutput::Blind { session, .. } => format!("{} blind", n(session)),
        DirectoryOutput::Reconciled { session, part } => format!("{} {:?} {}", n(session), part.verdict, part.channels.len()),
        DirectoryOutput::Closed { session, why } => format!("{} closed {why:?}", n(session)),
    }
}

#[test]
fn nobody_hears_of_an_unclaimed_call_and_a_late_claim_hears_all_of_it_in_order() {
    let mut directory = directory();
    directory.install(link(1, ClaimBy::Context, &["sales"]), Timestamp(0));
    assert!(tell(&mut directory, &new(1, "a.1", "a.1", "PJSIP/1001-1")).is_empty());
    assert!(tell(&mut directory, &new(2, "a.2", "a.1", "PJSIP/trunk-2")).is_empty());
    let mut in_sales = channel("a.1", "a.1", "PJSIP/1001-1", ChannelState::Up);
    in_sales.context = Some("sales".into());
    assert_eq!(
        tell(&mut directory, &changed(3, in_sales)),
        ["opened 1 for 1", "1 NewChannel a.1", "1 NewChannel a.2", "1 ChannelChanged a.1"]
    );
}

#[test]
fn a_link_installed_later_claims_what_is_there() {
    let mut directory = directory();
    tell(&mut directory, &new(1, "a.1", "a.1", "PJSIP/1001-1"));
    let outputs = directory.install(link(1, ClaimBy::Endpoint, &["PJSIP/10*"]), Timestamp(2000));
    assert_eq!(outputs.iter().map(brief).collect::<Vec<_>>(), ["opened 1 for 1", "1 NewChannel a.1"]);
}

#[test]
fn rules_find_a_channel_by_what_they_name() {
    let mut subject = channel("a.1", "a.1", "PJSIP/trunk-berlin-00000001", ChannelState::Ring);
    subject.accountcode = Some("acme".into());
    subject.exten = Some("4930123".into());
    for (by, values, expected) in [
        (ClaimBy::All, vec![], true),
        (ClaimBy::Context, vec!["from-*"], true),
        (ClaimBy::Context, vec!["lab"], false),
        (ClaimBy::Accountcode, vec!["acme"], true),
        (ClaimBy::Accountcode, vec!["other"], false),
        (ClaimBy::Number, vec!["49*"], true),
        (ClaimBy::Number, vec!["50*"], false),
        (ClaimBy::Trunk, vec!["PJSIP/trunk-berlin"], true),
        (ClaimBy::Trunk, vec!["trunk-berlin"], true),
        (ClaimBy::Endpoint, vec!["PJSIP/trunk-*"], true),
        (ClaimBy::Endpoint, vec!["PJSIP/1001"], false),
    ] {
        let mut directory = directory();
        directory.install(link(1, by, &values), Timestamp(0));
        let opened = !tell(&mut directory, &at(1, Fact::NewChannel(subject.clone()))).is_empty();
        assert_eq!(opened, expected, "{by:?} {values:?}");
    }
}

#[test]
fn what_is_unclaimed_is_bounded_and_the_oldest_goes_first() {
    let mut directory = directory();
    for n in 0..5 {
        let id = format!("a.{n}");
        tell(&mut directory, &new(n, &id, &id, "PJSIP/1001-1"));
        for s in 0..10 {
            tell(&mut directory, &changed(n + s, channel(&id, &id, "PJSIP/1001-1", ChannelState::Up)));
        }
    }
    let counters = directory.counters();
    assert_eq!((counters.unclaimed, counters.channels, counters.dropped_unclaimed_calls), (3, 3, 2));
    assert!(counters.dropped_held_facts > 0);
    let outputs: Vec<String> = directory.install(link(1, ClaimBy::All, &[]), Timestamp(99)).iter().map(brief).collect();
    // Each begins with its channel and holds no more than the limit.
    assert_eq!(outputs.iter().filter(|output| output.starts_with("opened")).count(), 3);
    assert_eq!(outputs.len(), 3 * (1 + LIMITS.held_facts_per_call));
    assert!(outputs[1].contains("NewChannel a.2"), "{outputs:?}");
}

#[test]
fn our_own_objects_are_of_no_call() {
    let mut world = World::new();
    world.tell(&new(1, "a.1", "a.1", "PJSIP/1001-1"));
    world.tell(&new(2, "aimgx.c.p.1.0.tap1-in-snoop", "a.1", "Snoop/a.1-00000001"));
    world.tell(&new(3, "x", "a.1", "UnicastRTP/127.0.0.1:4000-0x1"));
    world.tell(&new(4, "aimgx.c.p.1.0.tap1-in-media", "a.1", "PJSIP/whatever"));
    assert_eq!(world.directory.counters().channels, 1);
    assert_eq!(world.only().legs.len(), 1);
}

#[test]
fn a_channel_that_we_asked_for_opens_the_session_that_was_promised() {
    let mut world = World::new();
    let promised = CallId(Uuid::from_u128(77));
    let id = link(1, ClaimBy::All, &[]).id;
    world.directory.announce("aimgx.c.p.1.0.originate", promised, id, Timestamp(0));
    world.tell(&new(1, "aimgx.c.p.1.0.originate", "aimgx.c.p.1.0.originate", "PJSIP/1001-1"));
    assert_eq!(world.only().id, promised);
    assert_eq!(world.only().legs.len(), 1);
}

#[test]
fn a_stasis_start_that_comes_first_waits_for_its_channel() {
    let stasis = |s| {
        at(
            s,
            Fact::Stasis {
                uniqueid: "a.1".into(),
                entered: true,
                args: vec![],
            },
        )
    };
    let mut world = World::new();
    world.tell(&stasis(1));
    assert!(world.machines.is_empty());
    world.tell(&new(1, "a.1", "a.1", "PJSIP/1001-1"));
    assert!(world.only().in_stasis);
    world.tell(&hung_up(2, "a.1", "a.1", "PJSIP/1001-1"));
    world.tell(&stasis(3));
    world.check_over();
}

#[test]
fn a_repeated_or_late_event_opens_nothing() {
    let mut world = World::new();
    world.tell(&new(1, "a.1", "a.1", "PJSIP/1001-1"));
    world.tell(&new(1, "a.1", "a.1", "PJSIP/1001-1"));
    world.tell(&hung_up(2, "a.1", "a.1", "PJSIP/1001-1"));
    world.tell(&new(1, "a.1", "a.1", "PJSIP/1001-1"));
    world.tell(&changed(1, channel("a.1", "a.1", "PJSIP/1001-1", ChannelState::Up)));
    world.tell(&changed(3, channel("never.1", "never.1", "PJSIP/1001-1", ChannelState::Up)));
    world.check_over();
    assert_eq!(world.machines.len(), 1);
}

#[test]
fn a_session_is_closed_after_a_rest() {
    let mut directory = directory();
    directory.install(link(1, ClaimBy::All, &[]), Timestamp(0));
    tell(&mut directory, &new(1, "a.1", "a.1", "PJSIP/1001-1"));
    tell(&mut directory, &hung_up(2, "a.1", "a.1", "PJSIP/1001-1"));
    assert_eq!(directory.next_deadline(), Some(Timestamp(7000)));
    assert!(directory.tick(Timestamp(6999)).is_empty());
    assert!(matches!(
        directory.tick(Timestamp(7000))[..],
        [DirectoryOutput::Closed { why: ClosedWhy::Ended, .. }]
    ));
}

#[test]
fn strangers_in_one_bridge_stay_two_calls() {
    use aimg_pbx::fact::Bridge;
    let mut world = World::new();
    for id in ["a.1", "b.1"] {
        world.tell(&new(1, id, id, "PJSIP/1001-1"));
        let bridge = Bridge {
            id: "room".into(),
            kind: "base".into(),
            members: 2,
        };
        let channel = channel(id, id, "PJSIP/1001-1", ChannelState::Up);
        world.tell(&at(2, Fact::BridgeEntered { bridge, channel }));
    }
    assert_eq!(world.sessions().len(), 2);
}

#[test]
fn a_changed_linkedid_merges_into_the_older_whoever_is_told_of() {
    for (id, linkedid) in [("b.1", "a.1"), ("a.1", "b.1")] {
        let mut directory = directory();
        directory.install(link(1, ClaimBy::All, &[]), Timestamp(0));
        tell(&mut directory, &new(1, "a.1", "a.1", "PJSIP/1001-1"));
        tell(&mut directory, &new(2, "b.1", "b.1", "PJSIP/1002-1"));
        let outputs = tell(&mut directory, &changed(3, channel(id, linkedid, "", ChannelState::Up)));
        assert_eq!(
            outputs,
            ["2 into 1".to_owned(), "1 NewChannel b.1".to_owned(), format!("1 ChannelChanged {id}")]
        );
        // The younger's linkedid places new channels in the merged call.
        assert_eq!(tell(&mut directory, &new(4, "b.2", "b.1", "PJSIP/1003-1")), ["1 NewChannel b.2"]);
    }
}

#[test]
fn calls_of_two_tenants_are_linked_and_not_merged() {
    let mut world = World::of(vec![link(1, ClaimBy::Endpoint, &["PJSIP/1*"]), link(2, ClaimBy::Endpoint, &["PJSIP/2*"])]);
    world.tell(&new(1, "a.1", "a.1", "PJSIP/1001-1"));
    world.tell(&new(2, "b.1", "b.1", "PJSIP/2001-1"));
    world.tell(&changed(3, channel("b.1", "a.1", "PJSIP/2001-1", ChannelState::Up)));
    world.tell(&hung_up(4, "a.1", "a.1", "PJSIP/1001-1"));
    world.tell(&hung_up(5, "b.1", "a.1", "PJSIP/2001-1"));
    world.check_over();
    assert!(
        world
            .sessions()
            .iter()
            .all(|session| session.outcome != Some(Outcome::Merged) && session.legs.len() == 1)
    );
}

fn across_tenants() -> World {
    let mut world = World::of(vec![link(1, ClaimBy::Endpoint, &["PJSIP/1*"]), link(2, ClaimBy::Endpoint, &["PJSIP/2*"])]);
    let mut caller = channel("a.1", "a.1", "PJSIP/1001-1", ChannelState::Ring);
    caller.caller_number = Some("1001".into());
    caller.caller_name = Some("Secret of one".into());
    caller.exten = Some("2001".into());
    let mut callee = channel("a.2", "a.1", "PJSIP/2001-1", ChannelState::Ringing);
    callee.caller_number = Some("2001".into());
    callee.caller_name = Some("Secret of two".into());
    callee.connected_number = Some("1001".into());
    world.tell(&at(1, Fact::NewChannel(caller.clone())));
    world.tell(&at(2, Fact::NewChannel(callee.clone())));
    callee.state = ChannelState::Up;
    let end = Fact::DialEnd {
        from: Some(caller.clone()),
        to: callee.clone(),
        status: DialStatus::Answer,
    };
    world.tell(&at(3, end));
    caller.state = ChannelState::Up;
    world.tell(&changed(3, caller));
    world.tell(&changed(3, callee));
    world
}

#[test]
fn a_call_across_two_tenants_is_one_session_in_each_with_its_own_legs() {
    let mut world = across_tenants();
    let sessions = world.sessions();
    assert_eq!(sessions.len(), 2);
    for session in sessions {
        let (own, other) = if session.tenant_id == tenant(1) { ("one", "two") } else { ("two", "one") };
        assert_eq!(session.legs.len(), 1, "{own}");
        let all = serde_json::to_string(session).unwrap();
        assert!(all.contains(&format!("Secret of {own}")));
        assert!(!all.contains(&format!("Secret of {other}")), "{all}");
        assert!(session.answered_at.is_some() && session.connected_at.is_some(), "{own}");
        assert_eq!(session.caller.number.as_deref(), Some("1001"));
        assert_eq!(session.callee.number.as_deref(), Some("2001"));
    }
    for log in world.log.values() {
        let other = if log.stored[0].tenant_id == tenant(1) {
            "Secret of two"
        } else {
            "Secret of one"
        };
        assert!(!serde_json::to_string(&log.events).unwrap().contains(other));
    }
    world.tell(&hung_up(9, "a.1", "a.1", "PJSIP/1001-1"));
    assert_eq!(world.sessions().iter().filter(|session| session.is_ended()).count(), 1);
    world.tell(&hung_up(9, "a.2", "a.1", "PJSIP/2001-1"));
    world.check_over();
}

#[test]
fn a_channel_that_turns_out_to_be_another_tenant_s_is_withdrawn() {
    let mut world = World::of(vec![link(1, ClaimBy::Endpoint, &["PJSIP/1*"]), link(2, ClaimBy::Context, &["two"])]);
    world.tell(&new(1, "a.1", "a.1", "PJSIP/1001-1"));
    world.tell(&new(2, "a.2", "a.1", "PJSIP/trunk-1"));
    assert_eq!(world.only().legs.len(), 2);
    let mut in_two = channel("a.2", "a.1", "PJSIP/trunk-1", ChannelState::Up);
    in_two.context = Some("two".into());
    world.tell(&changed(3, in_two));
    let legs: Vec<Vec<&str>> = world
        .sessions()
        .iter()
        .map(|session| session.legs.iter().map(|leg| leg.id.as_str()).collect())
        .collect();
    assert_eq!(legs, [["a.1"], ["a.2"]]);
    world.check();
}

#[test]
fn removing_a_link_closes_its_sessions() {
    let mut world = across_tenants();
    let outputs = world.directory.remove(link(1, ClaimBy::All, &[]).id);
    world.bring(outputs);
    let ended: Vec<_> = world
        .sessions()
        .iter()
        .filter(|session| session.is_ended())
        .map(|session| (session.tenant_id, session.outcome))
        .collect();
    assert_eq!(ended, [(tenant(1), Some(Outcome::Failed))]);
}

fn seen(id: &str, linkedid: &str, name: &str, duration_s: u64) -> ChannelSnapshot {
    ChannelSnapshot {
        channel: channel(id, linkedid, name, ChannelState::Up),
        bridge: None,
        application: None,
        duration_s,
    }
}

fn snapshot(channels: Vec<ChannelSnapshot>) -> Snapshot {
    Snapshot { channels, in_stasis: None }
}

#[test]
fn a_gap_is_reconciled_once_for_each_session() {
    let mut world = World::new();
    let boot = Timestamp(500);
    let outputs = world.directory.reconcile(&snapshot(vec![]), boot, Timestamp(900));
    world.bring(outputs);
    for id in ["stays.1", "changes.1", "goes.1"] {
        world.tell(&new(1, id, id, "PJSIP/1001-1"));
    }
    world.tell(&new(2, "changes.2", "changes.1", "PJSIP/trunk-1"));
    let lost = world.directory.lost(Timestamp(10_000));
    world.bring(lost);
    world.now = Timestamp(60_000);
    let truth = snapshot(vec![
        seen("stays.1", "stays.1", "PJSIP/1001-1", 59),
        seen("changes.1", "changes.1", "PJSIP/1001-1", 59),
        seen("appears.1", "appears.1", "PJSIP/1002-1", 20),
    ]);
    // The boot is computed from whole seconds and may come out a little different.
    let outputs = world.directory.reconcile(&truth, Timestamp(1_400), world.now);
    let verdicts: Vec<String> = outputs
        .iter()
        .filter(|output| matches!(output, DirectoryOutput::Reconciled { .. }))
        .map(brief)
        .collect();
    assert_eq!(verdicts, ["1 Kept 1", "3 Kept 1", "7 Adopted 1", "5 Gone 0"]);
    world.bring(outputs);
    world.check();
    let whats: Vec<(u128, String)> = world
        .log
        .iter()
        .flat_map(|(id, log)| log.events.iter().map(move |event| (id.0.as_u128(), event)))
        .filter(|(_, event)| event.event == aimg_domain::EventKind::CallReconciled)
        .map(|(id, event)| (id, event.data["what"].as_str().unwrap().to_owned()))
        .collect();
    let whats: Vec<(u128, &str)> = whats.iter().map(|(id, what)| (*id, what.as_str())).collect();
    // Ids are counted with those of events. The first was answered unseen, the second lost its trunk.
    assert_eq!(whats, [(1, "corrected"), (3, "corrected"), (5, "ended"), (7, "adopted")]);
    let adopted = world.machines[&CallId(Uuid::from_u128(7))].session();
    assert_eq!(adopted.started_at, Timestamp(40_000));
}

#[test]
fn another_boot_ends_what_was_as_failed() {
    let mut world = World::new();
    let outputs = world.directory.reconcile(&snapshot(vec![]), Timestamp(0), Timestamp(0));
    world.bring(outputs);
    world.tell(&new(1, "a.1", "a.1", "PJSIP/1001-1"));
    world.tell(&changed(2, channel("a.1", "a.1", "PJSIP/1001-1", ChannelState::Up)));
    world.now = Timestamp(20_000);
    let outputs = world
        .directory
        .reconcile(&snapshot(vec![seen("b.1", "b.1", "PJSIP/1001-1", 2)]), Timestamp(15_000), world.now);
    world.bring(outputs);
    let outcomes: Vec<_> = world.sessions().iter().map(|session| session.outcome).collect();
    assert_eq!(outcomes, [Some(Outcome::Failed), None]);
}

#[test]
fn a_surviving_channel_proves_the_same_boot_whatever_the_clock_says() {
    let mut world = World::new();
    let outputs = world.directory.reconcile(&snapshot(vec![]), Timestamp(0), Timestamp(0));
    world.bring(outputs);
    world.tell(&new(1, "a.1", "a.1", "PJSIP/1001-1"));
    let outputs = world
        .directory
        .reconcile(&snapshot(vec![seen("a.1", "a.1", "PJSIP/1001-1", 60)]), Timestamp(3_600_000), Timestamp(60_000));
    assert!(
        outputs
            .iter()
            .all(|output| !matches!(output, DirectoryOutput::Reconciled { part, .. } if part.verdict == Verdict::Rebooted))
    );
}

#[test]
fn a_channel_that_hung_up_while_the_list_was_made_is_not_adopted_and_a_new_one_not_ended() {
    let mut world = World::new();
    world.tell(&new(1, "a.1", "a.1", "PJSIP/1001-1"));
    let lost = world.directory.lost(Timestamp(2_000));
    world.bring(lost);
    world.tell(&hung_up(10, "a.1", "a.1", "PJSIP/1001-1"));
    world.tell(&new(10, "b.1", "b.1", "PJSIP/1002-1"));
    let outputs = world
        .directory
        .reconcile(&snapshot(vec![seen("a.1", "a.1", "PJSIP/1001-1", 9)]), Timestamp(0), Timestamp(11_000));
    world.bring(outputs);
    let ended: Vec<bool> = world.sessions().iter().map(|session| session.is_ended()).collect();
    assert_eq!(ended, [true, false]);
    world.check();
}

#[test]
fn after_a_restart_the_same_sessions_go_on() {
    let mut world = across_tenants();
    world.tell(&new(4, "c.1", "c.1", "PJSIP/1009-1"));
    let before: Vec<CallId> = world.machines.keys().copied().collect();
    world.restart();
    let lost = world.directory.lost(Timestamp(5_000));
    world.bring(lost);
    world.now = Timestamp(30_000);
    let truth = snapshot(vec![seen("a.1", "a.1", "PJSIP/1001-1", 29), seen("a.2", "a.1", "PJSIP/2001-1", 28)]);
    let outputs = world.directory.reconcile(&truth, Timestamp(0), world.now);
    world.bring(outputs);
    assert_eq!(world.machines.keys().copied().collect::<Vec<_>>(), before);
    let ended: Vec<bool> = world.sessions().iter().map(|session| session.is_ended()).collect();
    assert_eq!(ended, [false, false, true]);
    assert!(world.sessions().iter().all(|session| session.legs.len() == 1));
    world.tell(&hung_up(31, "a.1", "a.1", "PJSIP/1001-1"));
    world.tell(&hung_up(31, "a.2", "a.1", "PJSIP/2001-1"));
    world.check_over();
}
