//! What a received packet costs: the pump, and the same packets received in other ways, in turns in the same run.

pub mod bare;
pub mod feed;
pub mod pumped;
pub mod send;
pub mod tasks;
mod turn;
mod wall;

use crate::cli;
use crate::machine::Machine;
use crate::report::{Check, Report, progress, row};
use crate::stats::Spread;
use serde_json::{Value, json};
use std::net::SocketAddr;
use turn::{Measured, turn};

/// Packets a second of one stream.
pub const PACKETS_PER_SECOND: u32 = 50;
/// As the pump has it; the bare loop shares sockets in the same way.
pub const STREAMS_PER_SOCKET: usize = 250;
/// Of what a task a stream costs.
const RATIO_MAX: f64 = 0.6;

/// A way of receiving.
pub trait Receiver {
    /// Where each stream is awaited.
    fn addresses(&self) -> Vec<SocketAddr>;
    /// From where each stream will come.
    fn expect(&mut self, sources: &[SocketAddr]) -> Result<(), String>;
    /// Packets taken from sockets so far.
    fn packets(&self) -> u64;
    /// Packets that came out at the far end of what this way does. Called once all was sent.
    fn delivered(&self) -> u64 {
        self.packets()
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    Bare,
    Pump,
    Task,
    TaskWhole,
}

impl Way {
    const ALL: [Way; 4] = [Way::Bare, Way::Pump, Way::Task, Way::TaskWhole];

    fn name(self) -> &'static str {
        match self {
            Way::Bare => "bare",
            Way::Pump => "pump",
            Way::Task => "task",
            Way::TaskWhole => "task_whole",
        }
    }

    fn about(self) -> &'static str {
        match self {
            Way::Bare => "recvmmsg every 2 ms on shared sockets, nothing done",
            Way::Pump => "the product: demux, jitter buffer, decode, quality, ring",
            Way::Task => "a tokio task and a socket a stream, decode",
            Way::TaskWhole => "the same with all that the pump does",
        }
    }

    fn start(self, streams: usize) -> Result<Box<dyn Receiver>, String> {
        Ok(match self {
            Way::Bare => Box::new(bare::Bare::start(streams)?),
            Way::Pump => Box::new(pumped::Pumped::start(streams)?),
            Way::Task => Box::new(tasks::Tasks::start(streams, false)?),
            Way::TaskWhole => Box::new(tasks::Tasks::start(streams, true)?),
        })
    }
}

pub fn run(given: &cli::Media) -> Result<Report, String> {
    let mut machine = Machine::here();
    let mut rounds: Vec<[Measured; 4]> = Vec::new();
    for n in 0..given.rounds {
        let mut round = [Measured::default(); 4];
        // Each round begins with another one: none always follows the same.
        for k in 0..4 {
            let at = (n as usize + k) % 4;
            round[at] = turn(Way::ALL[at].start(given.streams as usize)?, given.streams, given.seconds)?;
        }
        let figures: Vec<String> = Way::ALL.iter().zip(&round).map(|(way, m)| format!("{} {:.2}", way.name(), m.micros)).collect();
        progress(&format!("round {} of {}: {} µs a packet", n + 1, given.rounds, figures.join(", ")));
        rounds.push(round);
    }
    machine.finished();
    summary(given, machine, &rounds).ok_or_else(|| "nothing was received".to_owned())
}

fn summary(given: &cli::Media, machine: Machine, rounds: &[[Measured; 4]]) -> Option<Report> {
    let (table, ways) = ways(rounds)?;
    let (task, whole, bare) = (ratio(rounds, Way::Task)?, ratio(rounds, Way::TaskWhole)?, ratio(rounds, Way::Bare)?);
    let ratios = vec![
        row(&[&"ratio, median of the rounds' (min to max)", &""]),
        row(&[&"pump / task", &task.shown(2)]),
        row(&[&"pump / task_whole", &whole.shown(2)]),
        row(&[&"pump / bare", &bare.shown(2)]),
    ];
    let lost: u64 = rounds.iter().map(|round| round[Way::Pump as usize].lost()).sum();
    Some(Report {
        scenario: "media",
        machine,
        parameters: json!({ "streams": given.streams, "packets_a_second": given.streams * PACKETS_PER_SECOND, "seconds": given.seconds, "rounds": given.rounds }),
        figures: json!({
            "ways": ways,
            "ratios": { "pump_to_task": task, "pump_to_task_whole": whole, "pump_to_bare": bare },
            "rounds": in_full(rounds),
        }),
        notes: notes(),
        checks: vec![
            Check::new(
                format!("the pump costs at most {RATIO_MAX} of a task a stream"),
                task.median <= RATIO_MAX,
                task.shown(2),
            ),
            Check::new("the pump loses nothing between socket and ring", lost == 0, lost),
        ],
        tables: vec![table, ratios],
    })
}

fn notes() -> Vec<String> {
    vec![
        "CPU is user and system time of the receiving process; the sender is another process. On loopback the kernel's own receive path runs in the sender's time.".into(),
        "Microseconds drift with what else the machine does. Ratios are taken within a round.".into(),
        "A sender that is late was kept from running: it catches up with one packet of each stream at a time.".into(),
    ]
}

fn figures(rounds: &[[Measured; 4]], way: Way, figure: fn(&Measured) -> f64) -> Vec<f64> {
    rounds.iter().map(|round| figure(&round[way as usize])).collect()
}

/// The pump's cost over another way's.
fn ratio(rounds: &[[Measured; 4]], under: Way) -> Option<Spread> {
    Spread::of_ratios(&figures(rounds, Way::Pump, |m| m.micros), &figures(rounds, under, |m| m.micros))
}

fn ways(rounds: &[[Measured; 4]]) -> Option<(Vec<Vec<String>>, Value)> {
    let head: [&dyn std::fmt::Display; 7] = [
        &"way",
        &"µs a packet, median (min to max)",
        &"user",
        &"system",
        &"lost of sent",
        &"sender late, ms",
        &"what",
    ];
    let (mut table, mut ways) = (vec![row(&head)], serde_json::Map::new());
    for way in Way::ALL {
        let spread = |figure| Spread::of(&figures(rounds, way, figure));
        let (total, user, system, late) = (
            spread(|m| m.micros)?,
            spread(|m| m.user_micros)?,
            spread(|m| m.system_micros)?,
            spread(|m| m.late_ms_max)?,
        );
        let sent: u64 = rounds.iter().map(|round| round[way as usize].sent).sum();
        let lost: u64 = rounds.iter().map(|round| round[way as usize].lost()).sum();
        table.push(row(&[
            &way.name(),
            &total.shown(2),
            &format!("{:.2}", user.median),
            &format!("{:.2}", system.median),
            &format!("{lost} of {sent}"),
            &late.shown(0),
            &way.about(),
        ]));
        let told = json!({ "micros_a_packet": total, "user": user, "system": system, "sent": sent, "lost": lost, "sender_late_ms_max": late });
        ways.insert(way.name().to_owned(), told);
    }
    Some((table, Value::Object(ways)))
}

fn in_full(rounds: &[[Measured; 4]]) -> Vec<Value> {
    let round = |round: &[Measured; 4]| Way::ALL.iter().map(|way| (way.name().to_owned(), json!(round[*way as usize]))).collect();
    rounds.iter().map(|of| Value::Object(round(of))).collect()
}
