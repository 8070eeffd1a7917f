//! The switch in virtual time: the same seed gives the same bytes, and no sequence of requests breaks its books.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use crate::ami::action::ActionReader;
use crate::ari::request::Request;
use crate::config::{CallMix, Style};
use crate::rng::Rng;
use crate::script::{Ending, Party, Route};
use proptest::prelude::*;
use std::net::SocketAddr;

const BOOT: SimTime = SimTime(1_795_383_600_000_000);

struct Rig {
    switch: Switch,
    manager: Arc<Outbox>,
    app: Arc<Outbox>,
}

impl Rig {
    fn new(config: SimConfig) -> Self {
        let mut switch = Switch::new(Arc::new(config), BOOT);
        let (manager, app) = (Outbox::new(usize::MAX), Outbox::new(usize::MAX));
        let address = SocketAddr::from(([127, 0, 0, 1], 5038));
        switch.manager_came(1, Arc::clone(&manager), address, address);
        let mut rig = Self { switch, manager, app };
        rig.ami("Action: Login\r\nUsername: ami\r\nSecret: amipass\r\n\r\n");
        rig.switch.app_connected(&["app".to_owned()], 1, &rig.app, false);
        rig
    }

    fn ami(&mut self, text: &str) {
        for read in ActionReader::default().feed(text.as_bytes()) {
            self.switch.ami(1, &read);
        }
    }

    fn ari(&mut self, method: &str, path: &str) -> u16 {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let mut request = Request {
            method: method.to_owned(),
            segments: path.split('/').map(str::to_owned).collect(),
            ..Request::default()
        };
        request.local = Some(SocketAddr::from(([127, 0, 0, 1], 20_000)));
        request.add_query(query);
        self.switch.ari(&request).status
    }

    /// Timer by timer, so that every one fires at its own time.
    fn run(&mut self, span: Duration) {
        let end = self.switch.now.plus(span);
        while let Some(due) = self.switch.next_due().filter(|due| *due <= end) {
            self.switch.run_until(due);
        }
        self.switch.run_until(end);
    }

    fn said(&self) -> Vec<u8> {
        [self.manager.take().concat(), self.app.take().concat()].concat()
    }

    fn check(&self) {
        let switch = &self.switch;
        for (id, channel) in &switch.channels {
            assert_eq!(switch.names.get(&channel.name), Some(id));
            if let Some(bridge) = &channel.bridge {
                assert!(switch.bridges[bridge].members.contains(id));
            }
            for snoop in &channel.snoops {
                assert!(switch.channels.contains_key(snoop));
            }
            if let Some((call, _)) = channel.party() {
                assert!(switch.calls.contains_key(&call), "{id} has no call");
            }
        }
        assert_eq!(switch.names.len(), switch.channels.len());
        for bridge in switch.bridges.values() {
            for member in &bridge.members {
                assert_eq!(switch.channels[member].bridge.as_ref(), Some(&bridge.id));
            }
        }
        for call in switch.calls.values() {
            assert!(switch.channels.contains_key(&call.caller));
            assert!(call.callee.as_ref().is_none_or(|callee| switch.channels.contains_key(callee)));
        }
    }
}

fn office(seed: u64) -> SimConfig {
    SimConfig {
        talk_mean: Duration::from_secs(20),
        ..SimConfig::busy(15, seed)
    }
}

fn ten_minutes(seed: u64) -> (Vec<u8>, Counts) {
    let mut rig = Rig::new(office(seed));
    rig.run(Duration::from_secs(600));
    rig.check();
    (rig.said(), rig.switch.counts)
}

#[test]
fn a_seed_means_the_same_calls_to_the_byte_and_another_seed_others() {
    let (first, counts) = ten_minutes(5);
    assert!(counts.calls_ended > 100 && counts.calls_answered > 50, "{counts:?}");
    assert!(first == ten_minutes(5).0);
    assert!(first != ten_minutes(6).0);
}

#[test]
fn the_office_keeps_about_as_many_calls_up_as_it_should() {
    let mut rig = Rig::new(office(9));
    rig.run(Duration::from_secs(60));
    for _ in 0..60 {
        rig.run(Duration::from_secs(5));
        assert!((10..=15).contains(&rig.switch.calls.len()), "{}", rig.switch.calls.len());
    }
}

#[test]
fn rtcp_comes_every_five_seconds_on_each_leg_while_the_call_is_up() {
    let mut rig = Rig::new(SimConfig::scripted(Style::Asterisk22));
    rig.switch
        .place(CallScript::inbound("0301", "1001").talking(Duration::from_secs(21)), false)
        .unwrap();
    rig.run(Duration::from_secs(60));
    let text = String::from_utf8(rig.said()).unwrap();
    assert_eq!(text.matches("Event: RTCPSent").count(), 8);
    assert_eq!(text.matches("Event: RTCPReceived").count(), 8);
    assert_eq!(rig.switch.next_due(), None, "nothing is left to do");
}

#[test]
fn every_kind_of_call_is_in_the_mix_of_an_office() {
    let config = SimConfig {
        mix: CallMix {
            ivr: 20,
            echo: 20,
            ..CallMix::default()
        },
        ..office(1)
    };
    let mut plan = Rng::new(3);
    let drawn: Vec<CallScript> = (0..500).filter_map(|_| load::next(&config, &mut plan)).collect();
    for wanted in [Ending::Busy, Ending::NoAnswer, Ending::Failed, Ending::Cancelled] {
        assert!(drawn.iter().any(|script| script.ending == wanted), "{wanted:?}");
    }
    for route in [Route::Echo, Route::Ivr] {
        assert!(drawn.iter().any(|script| script.route == route));
    }
    let itself = |script: &CallScript| matches!(&script.route, Route::Internal { extension } if *extension == script.caller.number);
    assert!(!drawn.iter().any(itself));
}

#[derive(Clone, Debug)]
enum Deed {
    Place(u8, u8),
    Wait(u16),
    HangUp(u8, bool),
    Ari(u8, u8, u8),
    Ami(u8, u8),
    Press(u8),
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        3 => (any::<u8>(), any::<u8>()).prop_map(|(route, ending)| Deed::Place(route, ending)),
        3 => (0u16..8000).prop_map(Deed::Wait),
        1 => (any::<u8>(), any::<bool>()).prop_map(|(call, side)| Deed::HangUp(call, side)),
        8 => (any::<u8>(), any::<u8>(), any::<u8>()).prop_map(|(what, a, b)| Deed::Ari(what, a, b)),
        2 => (any::<u8>(), any::<u8>()).prop_map(|(what, on)| Deed::Ami(what, on)),
        1 => any::<u8>().prop_map(Deed::Press),
    ]
}

fn nth<'a>(mut keys: impl ExactSizeIterator<Item = &'a String>, n: u8) -> String {
    let count = keys.len().max(1);
    keys.nth(usize::from(n) % count).cloned().unwrap_or_else(|| "none".to_owned())
}

impl Rig {
    fn perform(&mut self, deed: &Deed) {
        match deed {
            Deed::Place(route, ending) => self.place_some(*route, *ending),
            Deed::Wait(span_ms) => self.run(Duration::from_millis(u64::from(*span_ms))),
            Deed::HangUp(call, first) => {
                if let Some(call) = self.switch.calls.keys().nth(usize::from(*call) % self.switch.calls.len().max(1)).copied() {
                    self.switch.party_hangs_up(call, if *first { Side::Caller } else { Side::Callee });
                }
            }
            Deed::Ari(what, a, b) => self.request(*what, *a, *b),
            Deed::Ami(what, on) => {
                let channel = nth(self.switch.channels.keys(), *on);
                let action = [
                    "Hangup",
                    "MuteAudio\r\nDirection: all\r\nState: on",
                    "PlayDTMF\r\nDigit: 1",
                    "CoreShowChannels",
                    "Status",
                    "BridgeList",
                ];
                self.ami(&format!("Action: {}\r\nChannel: {channel}\r\n\r\n", action[usize::from(*what) % action.len()]));
            }
            Deed::Press(on) => {
                let channel = nth(self.switch.channels.keys(), *on);
                self.switch.digit_down(&channel, '5', true, Duration::from_millis(140));
            }
        }
    }

    fn place_some(&mut self, route: u8, ending: u8) {
        let number = || "1001".to_owned();
        let (caller, route) = match route % 8 {
            0 => ("0301", Route::Inbound { extension: number() }),
            1 => ("1001", Route::Outbound { number: "0309".to_owned() }),
            2 => ("1002", Route::Internal { extension: number() }),
            3 => ("0301", Route::Echo),
            4 => ("0301", Route::Ivr),
            5 => ("0301", Route::BusyApp),
            6 => ("0301", Route::RingingApp),
            _ => ("0301", Route::Stasis { app: None, args: Vec::new() }),
        };
        let talk = Some(Duration::from_secs(5));
        let answered = Ending::Answered {
            talk,
            hung_up_by: Side::Callee,
        };
        let ending = [answered, answered, Ending::Busy, Ending::NoAnswer, Ending::Failed, Ending::Cancelled][usize::from(ending) % 6];
        self.switch
            .place(
                CallScript::new(Party::new(caller, ""), route)
                    .ending(ending)
                    .ringing(Duration::from_millis(300)),
                false,
            )
            .unwrap();
    }

    fn request(&mut self, what: u8, a: u8, b: u8) {
        let (channel, other) = (nth(self.switch.channels.keys(), a), nth(self.switch.channels.keys(), b));
        let bridge = nth(self.switch.bridges.keys(), b);
        let (method, path) = match what % 18 {
            0 => ("POST", format!("channels/{channel}/snoop/sn-{b}?spy=both&app=app")),
            1 => (
                "POST",
                format!("channels/externalMedia?app=app&external_host=127.0.0.1:9&format=ulaw&channelId=em-{b}"),
            ),
            2 => ("POST", format!("bridges/br-{}", b % 4)),
            3 | 4 => ("POST", format!("bridges/{bridge}/addChannel?channel={channel},{other}")),
            5 => ("POST", format!("bridges/{bridge}/removeChannel?channel={channel}")),
            6 => ("DELETE", format!("bridges/{bridge}")),
            7 => ("DELETE", format!("channels/{channel}")),
            8 => ("POST", format!("channels/{channel}/answer")),
            9 => ("POST", format!("channels/{channel}/hold")),
            10 => ("POST", format!("channels/{channel}/continue?extension=1002")),
            11 => ("POST", format!("channels/{channel}/move?app=app")),
            12 => ("POST", format!("channels/{channel}/play/pb-{b}?media=sound:x")),
            13 => ("POST", format!("channels?endpoint=Local/600@lab/n&app=app&channelId=lo-{b}")),
            14 => ("POST", "channels?endpoint=PJSIP/1003&extension=1001&context=x".to_owned()),
            15 => ("POST", format!("channels?endpoint=Local/1@x&app=app&channelId=lo-{a}&otherChannelId=lo-{b}")),
            16 => ("POST", format!("channels/{channel}/continue")),
            _ => ("GET", "channels".to_owned()),
        };
        assert!(self.ari(method, &path) < 600);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_asked_the_books_stay_right_and_everything_can_be_ended(deeds in proptest::collection::vec(deed(), 1..60)) {
        let mut rig = Rig::new(SimConfig::default());
        for deed in &deeds {
            rig.perform(deed);
            rig.check();
        }
        while let Some(id) = rig.switch.channels.keys().next().cloned() {
            let before = rig.switch.channels.len();
            rig.switch.hang_up(&id, 32);
            rig.check();
            prop_assert!(rig.switch.channels.len() < before, "{} does not end", id);
        }
        prop_assert!(rig.switch.calls.is_empty());
    }
}
