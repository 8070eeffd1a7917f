//! Lanes with real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod property;
mod rig;

use aimg_fanout::{AttachError, LaneEvent, ReleaseOutcome};
use aimg_wire::close::CloseCode;
use aimg_wire::filter::Filter;
use aimg_wire::ws::frame;
use rig::{DEADLINE, at, connect, event, lanes, topic};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_comes_first_then_what_was_held_then_what_is_live() {
    let lanes = lanes(|_| ());
    let mut pair = connect(&lanes).await;
    let attachment = pair.socket.attach_held(topic(), Filter::ALL, None, 0).unwrap();
    assert_eq!(pair.socket.attach_held(topic(), Filter::ALL, None, 0), Err(AttachError::Already));
    (3..=6).for_each(|offset| lanes.publish(event(offset)));
    let history = ["reply", "e:3", "e:4"].map(frame::text).to_vec();
    assert_eq!(pair.socket.release(attachment, at(4), history).await, ReleaseOutcome::Released);
    lanes.publish(event(7));
    pair.socket.send(frame::text("end"));
    assert_eq!(pair.client.until("end").await, ["reply", "e:3", "e:4", "e:5", "e:6", "e:7"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_publication_that_the_history_had_is_not_sent_again() {
    let lanes = lanes(|_| ());
    let mut pair = connect(&lanes).await;
    let attachment = pair.socket.attach_held(topic(), Filter::ALL, None, 0).unwrap();
    pair.socket.release(attachment, at(4), vec![frame::text("reply")]).await;
    (3..=6).for_each(|offset| lanes.publish(event(offset)));
    pair.socket.send(frame::text("end"));
    assert_eq!(pair.client.until("end").await, ["reply", "e:5", "e:6"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filtered_subscriber_gets_what_passes_and_a_mark_for_the_rest() {
    let lanes = lanes(|config| config.mark_after = Duration::from_millis(20));
    let mut pair = connect(&lanes).await;
    let even = Filter::parse(&json!({"events": ["even"]})).unwrap();
    let attachment = pair.socket.attach_held(topic(), even, None, 0).unwrap();
    pair.socket.release(attachment, at(0), vec![]).await;
    (1..=5).for_each(|offset| lanes.publish(event(offset)));
    let mut pushed = Vec::new();
    let mark = loop {
        let text = pair.client.text().await;
        match serde_json::from_str::<serde_json::Value>(&text) {
            Ok(mark) if mark["offset"] == 5 => break mark,
            Ok(mark) => assert_eq!(mark["mark"], true),
            Err(_) => pushed.push(text),
        }
    };
    assert_eq!(pushed, ["e:2", "e:4"]);
    assert_eq!(mark["mark"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_that_overflows_says_so_and_may_be_tried_again() {
    let lanes = lanes(|config| config.hold_bytes_max = 20);
    let mut pair = connect(&lanes).await;
    let attachment = pair.socket.attach_held(topic(), Filter::ALL, None, 0).unwrap();
    (1..=9).for_each(|offset| lanes.publish(event(offset)));
    assert_eq!(
        pair.socket.release(attachment, at(0), vec![frame::text("lost")]).await,
        ReleaseOutcome::Overflowed
    );
    let again = pair.socket.attach_held(topic(), Filter::ALL, None, 0).unwrap();
    assert_eq!(pair.socket.release(again, at(9), vec![frame::text("reply")]).await, ReleaseOutcome::Released);
    lanes.publish(event(10));
    pair.socket.send(frame::text("end"));
    assert_eq!(pair.client.until("end").await, ["reply", "e:10"]);
    assert_eq!(lanes.totals().hold_overflows, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_read_is_closed_and_the_others_go_on() {
    let lanes = lanes(|config| {
        config.outbox_bytes_max = 100_000;
        config.lanes = 1;
        config.linger = Duration::from_millis(50);
    });
    let (mut slow, mut quick) = (connect(&lanes).await, connect(&lanes).await);
    for pair in [&slow, &quick] {
        let attachment = pair.socket.attach_held(topic(), Filter::ALL, None, 0).unwrap();
        pair.socket.release(attachment, at(0), vec![]).await;
    }
    let mut offset = 0;
    let closed = loop {
        offset += 1;
        let mut large = event(offset);
        large.frame = frame::text(&"x".repeat(60_000));
        lanes.publish(large);
        assert_eq!(quick.client.text().await.len(), 60_000);
        if let Ok(closed) = slow.events.try_recv() {
            break closed;
        }
    };
    assert_eq!(
        closed,
        LaneEvent::Closed {
            code: Some(CloseCode::SlowConsumer.code())
        }
    );
    assert_eq!(lanes.totals().slow_closed, 1);
    lanes.publish(event(offset + 1));
    quick.socket.send(frame::text("end"));
    assert_eq!(quick.client.until("end").await.last(), Some(&format!("e:{}", offset + 1)));
    let mut texts = 0;
    while slow.client.next().await.is_some() {
        texts += 1;
    }
    assert!(texts < offset);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_revoked_topic_comes_after_the_confirmation_and_older_rights_attach_nothing() {
    let lanes = lanes(|_| ());
    let mut pair = connect(&lanes).await;
    let attachment = pair.socket.attach_held(topic(), Filter::ALL, None, 0).unwrap();
    pair.socket.release(attachment, at(0), vec![]).await;
    lanes.publish(event(1));
    pair.socket.set_policy(1, vec![topic()]).await;
    pair.socket.send(frame::text("revoked"));
    lanes.publish(event(2));
    let stale = pair.socket.attach_held(topic(), Filter::ALL, None, 0).unwrap();
    assert_eq!(pair.socket.release(stale, at(0), vec![frame::text("stale")]).await, ReleaseOutcome::Gone);
    lanes.publish(event(3));
    pair.socket.send(frame::text("end"));
    pair.client.until("revoked").await;
    assert_eq!(pair.client.until("end").await, Vec::<String>::new());
    assert!(!lanes.wanted(&topic()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_is_conflated_to_the_rate_asked_for_and_never_sent_to_who_wants_none() {
    let lanes = lanes(|_| ());
    let (mut pair, mut without) = (connect(&lanes).await, connect(&lanes).await);
    for (pair, interval) in [(&pair, Some(Duration::from_secs(600))), (&without, None)] {
        let attachment = pair.socket.attach_held(topic(), Filter::ALL, interval, 0).unwrap();
        pair.socket.release(attachment, at(0), vec![]).await;
    }
    let kind: Arc<str> = "levels".into();
    ["s:1", "s:2", "s:3"].iter().for_each(|value| lanes.signal(topic(), &kind, frame::text(value)));
    for pair in [&mut pair, &mut without] {
        pair.socket.send(frame::text("end"));
    }
    assert_eq!(without.client.until("end").await, Vec::<String>::new());
    // The first goes at once; the second waits for its time and is replaced by the third.
    let got = pair.client.until("end").await;
    assert!(got.is_empty() || got == ["s:1"], "{got:?}");
    if got.is_empty() {
        assert_eq!(pair.client.text().await, "s:1");
    }
    assert_eq!(lanes.totals().conflated, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_due_signal_is_the_latest() {
    let lanes = lanes(|_| ());
    let mut pair = connect(&lanes).await;
    let attachment = pair.socket.attach_held(topic(), Filter::ALL, Some(Duration::from_millis(30)), 0).unwrap();
    pair.socket.release(attachment, at(0), vec![]).await;
    let kind: Arc<str> = "levels".into();
    (1..=50).for_each(|value| lanes.signal(topic(), &kind, frame::text(&format!("s:{value}"))));
    let mut last = 0;
    while last < 50 {
        let value: u32 = pair.client.text().await[2..].parse().unwrap();
        assert!(value > last);
        last = value;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_audio_the_oldest_is_dropped_and_the_next_frame_says_so() {
    let lanes = lanes(|config| config.loose_bytes_max = 50_000);
    let mut pair = connect(&lanes).await;
    let mut sent = 0u32;
    // Until the kernel takes no more and the bound is reached.
    while lanes.totals().loose_dropped == 0 {
        for _ in 0..100 {
            let mut payload = vec![0; 2000];
            payload[4..8].copy_from_slice(&sent.to_be_bytes());
            pair.socket.send_loose(frame::binary(&payload), 4, 0x80);
            sent += 1;
        }
        assert!(sent < 1_000_000, "the bound is never reached");
        assert!(pair.socket.send_paced(vec![], Duration::from_millis(1)).await || sent > 0);
    }
    pair.socket.close(CloseCode::Done, "done");
    let (mut last, mut jumps) = (None, 0);
    loop {
        let (opcode, payload) = pair.client.next().await.unwrap();
        if opcode == 8 {
            break;
        }
        let number = u32::from_be_bytes(*payload[4..].first_chunk().unwrap());
        let jumped = number > last.map_or(0, |last: u32| last + 1);
        assert!(last.is_none_or(|last| number > last));
        assert_eq!(payload[0] == 0x80, jumped, "frame {number}");
        jumps += u32::from(jumped);
        last = Some(number);
    }
    assert!(jumps > 0);
    assert_eq!(last, Some(sent - 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_close_is_said_also_when_the_handle_is_dropped_at_once() {
    let lanes = lanes(|_| ());
    let mut pair = connect(&lanes).await;
    pair.socket.send(frame::text("last"));
    pair.socket.close(CloseCode::Draining, "elsewhere");
    drop(pair.socket);
    assert_eq!(pair.client.text().await, "last");
    assert_eq!(pair.client.close_code().await, 4010);
    assert_eq!(pair.client.next().await, None);
    let event = tokio::time::timeout(DEADLINE, pair.events.recv()).await.unwrap();
    assert_eq!(event, Some(LaneEvent::Closed { code: Some(4010) }));
    assert_eq!(lanes.totals().sockets, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_handle_ends_the_socket_and_its_subscriptions() {
    let lanes = lanes(|_| ());
    let mut pair = connect(&lanes).await;
    let attachment = pair.socket.attach_held(topic(), Filter::ALL, None, 0).unwrap();
    pair.socket.release(attachment, at(0), vec![]).await;
    assert!(lanes.wanted(&topic()));
    drop(pair.socket);
    assert_eq!(pair.client.next().await, None);
    assert!(!lanes.wanted(&topic()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_that_lost_its_place_closes_its_sockets_to_resume() {
    let lanes = lanes(|config| config.inbox_bytes_max = 3);
    let mut pair = connect(&lanes).await;
    let attachment = pair.socket.attach_held(topic(), Filter::ALL, None, 0).unwrap();
    pair.socket.release(attachment, at(0), vec![]).await;
    lanes.publish(event(1));
    assert_eq!(pair.client.close_code().await, 4011);
    assert_eq!(lanes.totals().overruns, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_lane_is_replaced_and_its_whole_sockets_go_on() {
    let lanes = lanes(|config| config.lanes = 1);
    let mut pair = connect(&lanes).await;
    let attachment = pair.socket.attach_held(topic(), Filter::ALL, None, 0).unwrap();
    pair.socket.release(attachment, at(0), vec![frame::text("reply")]).await;
    assert_eq!(pair.client.text().await, "reply");
    assert!(pair.socket.send_paced(vec![], DEADLINE).await);
    lanes.kill_lane_for_test(0);
    let replaced = loop {
        if let Some(replaced) = lanes.check(Duration::ZERO).first() {
            break *replaced;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((replaced.closed, replaced.adopted), (0, 1));
    let lost: serde_json::Value = serde_json::from_str(&pair.client.text().await).unwrap();
    assert_eq!((&lost["code"], &lost["topic"]), (&json!("resume"), &json!(topic().to_string())));
    assert_eq!(
        tokio::time::timeout(DEADLINE, pair.events.recv()).await.unwrap(),
        Some(LaneEvent::Lost { topics: vec![topic()] })
    );
    let again = pair.socket.attach_held(topic(), Filter::ALL, None, 0).unwrap();
    pair.socket.release(again, at(0), vec![]).await;
    lanes.publish(event(1));
    assert_eq!(pair.client.text().await, "e:1");
}
