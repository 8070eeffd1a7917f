//! What a call costs a node: memory, CPU, actors, and how long until it is heard. The node is a child process that
//! attaches a simulated Asterisk of this process: its memory and CPU are its own.

mod api;
mod load;
mod node;
mod told;
mod window;

use crate::cli;
use crate::machine::Machine;
use crate::report::{Check, Report, progress, row};
use crate::stats::percentile;
use api::Api;
use load::Load;
use node::Node;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use told::{Heard, SetUp};
use window::{Window, watch};

/// After a change, until what it set off is over: rings of 5 s are full, closed streams have rested for 2 s.
const SETTLE: Duration = Duration::from_secs(8);
/// Beyond any wait of a call's actors for its tap and its recording.
const ACTORS_GONE: Duration = Duration::from_secs(60);
const IDLE_WATCH: Duration = Duration::from_secs(10);

/// All that one run found.
struct Found {
    /// Attached, no call; calls up; calls over.
    windows: [Window; 3],
    actors: [BTreeMap<String, usize>; 3],
    restarts: usize,
    set_up: SetUp,
    heard: Heard,
    /// By the simulator, until the calls were hung up.
    sent: u64,
    /// Sent a second while the calls were watched.
    packets_a_second: f64,
    up: usize,
    ended: usize,
    all_up_after: Duration,
}

pub fn run(given: &cli::Calls) -> Result<Report, String> {
    let mut machine = Machine::here();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let found = runtime.block_on(measure(given))?;
    machine.finished();
    report(given, machine, &found).ok_or_else(|| "no call was ever heard".to_owned())
}

async fn measure(given: &cli::Calls) -> Result<Found, String> {
    let binary = node::binary(given.aimg.as_deref())?;
    progress("starting a node and a simulated Asterisk");
    let node = Node::start(&binary).await?;
    let mut api = Api::sign_in(&node.url).await?;
    let load = Load::start().await?;
    load.attach(&mut api, given.record).await?;
    tokio::time::sleep(SETTLE).await;
    let (idle, idle_actors) = (watch(node.process, IDLE_WATCH).await?, actors(&mut api).await?);

    progress(&format!("placing {} calls", given.calls));
    let placing = Instant::now();
    let calls = load.place(given.calls, given.rate).await?;
    let up = load::until_flowing(&mut api, given.calls as usize).await?;
    let all_up_after = placing.elapsed();
    tokio::time::sleep(SETTLE).await;
    progress(&format!("{up} calls are up: watching the node for {} s", given.seconds));
    let sent_before = load.packets_sent();
    let busy = watch(node.process, Duration::from_secs(given.seconds.into())).await?;
    let packets_a_second = (load.packets_sent() - sent_before) as f64 / busy.seconds;
    let (busy_actors, sent) = (actors(&mut api).await?, load.packets_sent());

    progress("hanging up");
    load.hang_up(&calls);
    let sessions = load::until_ended(&mut api, given.calls as usize).await?;
    tokio::time::sleep(SETTLE).await;
    let after_actors = until_at_most(&mut api, idle_actors.len()).await?;
    let after = watch(node.process, IDLE_WATCH).await?;
    let events = api.all("events", "page_size=200&event=call.started,call.answered,call.audio.started").await?;
    let found = Found {
        windows: [idle, busy, after],
        actors: [&idle_actors, &busy_actors, &after_actors].map(|actors| told::kinds(actors)),
        restarts: told::restarts(&after_actors).max(told::restarts(&busy_actors)),
        set_up: told::set_up(&events),
        heard: told::heard(&sessions),
        sent,
        packets_a_second,
        up,
        ended: sessions.iter().filter(|session| session["state"] == "ended").count(),
        all_up_after,
    };
    node.stop().await?;
    Ok(found)
}

async fn actors(api: &mut Api) -> Result<Vec<Value>, String> {
    api.all("cluster/tree", "page_size=5000").await
}

/// The tree once it is as small as before, or as it is at the deadline.
async fn until_at_most(api: &mut Api, count: usize) -> Result<Vec<Value>, String> {
    let deadline = Instant::now() + ACTORS_GONE;
    loop {
        let now = actors(api).await?;
        if now.len() <= count || Instant::now() > deadline {
            return Ok(now);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

fn report(given: &cli::Calls, machine: Machine, found: &Found) -> Option<Report> {
    let each = Each::of(given, found)?;
    let [idle, busy, after] = &found.windows;
    let times = |[p50, p95, max]: [f64; 3]| json!({ "p50": p50, "p95": p95, "max": max });
    let figures = json!({
        "memory_a_call_bytes": each.memory_bytes,
        "cpu_a_call_percent_of_a_core": each.cpu_percent,
        "pump_micros_a_packet": each.pump_micros,
        "actors_a_call": each.actors,
        "actors": { "idle": found.actors[0], "up": found.actors[1], "after": found.actors[2] },
        "restarts": found.restarts,
        "started_to_audio_ms": times(each.started_to_audio_ms),
        "answered_to_audio_ms": times(each.answered_to_audio_ms),
        "packets_a_second": found.packets_a_second,
        "packets_sent": found.sent,
        "packets_heard": found.heard.packets,
        "packets_lost": found.heard.lost,
        "all_up_after_s": found.all_up_after.as_secs_f64(),
        "windows": { "idle": idle, "up": busy, "after": after },
    });
    Some(Report {
        scenario: "calls",
        machine,
        parameters: json!({ "calls": given.calls, "rate": given.rate, "seconds": given.seconds, "record": given.record }),
        tables: vec![windows_table(found), calls_table(&each, found), kinds_table(found)],
        figures,
        notes: notes(),
        checks: checks(given, found),
    })
}

/// What one call costs.
struct Each {
    memory_bytes: f64,
    cpu_percent: f64,
    pump_micros: Option<f64>,
    actors: f64,
    /// Median, 95th percentile, most.
    started_to_audio_ms: [f64; 3],
    answered_to_audio_ms: [f64; 3],
}

impl Each {
    fn of(given: &cli::Calls, found: &Found) -> Option<Each> {
        let calls = f64::from(given.calls);
        let [idle, busy, _] = &found.windows;
        let times = |values: &[f64]| Some([percentile(values, 50.0)?, percentile(values, 95.0)?, percentile(values, 100.0)?]);
        Some(Each {
            memory_bytes: (busy.resident_bytes.median - idle.resident_bytes.median) / calls,
            cpu_percent: (busy.cpu_percent - idle.cpu_percent) / calls,
            pump_micros: busy
                .threads_percent
                .get("media")
                .map(|percent| percent * 10_000.0 / found.packets_a_second.max(1.0)),
            actors: (found.count(1) as f64 - found.count(0) as f64) / calls,
            started_to_audio_ms: times(&found.set_up.started_to_audio_ms)?,
            answered_to_audio_ms: times(&found.set_up.answered_to_audio_ms)?,
        })
    }
}

impl Found {
    /// Actors: before, while the calls were up, after.
    fn count(&self, window: usize) -> usize {
        self.actors[window].values().sum()
    }
}

fn checks(given: &cli::Calls, found: &Found) -> Vec<Check> {
    let calls = given.calls as usize;
    // A call's last words may still be on their way when its packets are counted: what was sent while it was up has to be there.
    let heard = found.heard.lost == 0 && found.heard.packets >= found.sent && found.heard.calls == calls;
    vec![
        Check::new("every call came up and was heard", found.up == calls, format!("{} of {calls}", found.up)),
        Check::new(
            "no packet was lost",
            heard,
            format!(
                "{} lost, {} heard, {} sent before the hang-up",
                found.heard.lost, found.heard.packets, found.sent
            ),
        ),
        Check::new("every call ended", found.ended == calls, format!("{} of {calls}", found.ended)),
        Check::new("no actor was restarted", found.restarts == 0, found.restarts),
        Check::new(
            "the calls' actors are gone",
            found.count(2) <= found.count(0),
            format!("{} before, {} after", found.count(0), found.count(2)),
        ),
    ]
}

fn notes() -> Vec<String> {
    vec![
        "The node's process alone: the simulated Asterisk and its RTP run in the process of aimg-loadtest.".into(),
        "Memory is resident memory: pages that the allocator keeps after the calls count for the node, not for the next calls.".into(),
        "CPU of threads and processes comes in ticks of 10 ms.".into(),
        "On loopback the kernel's own receive path of RTP runs in the sender's time.".into(),
    ]
}

fn windows_table(found: &Found) -> Vec<Vec<String>> {
    let mut table = vec![row(&[
        &"node",
        &"resident MB, median (min to max)",
        &"CPU, % of a core",
        &"of it user",
        &"actors",
    ])];
    for (n, name) in ["idle", "calls up", "calls over"].iter().enumerate() {
        let window = &found.windows[n];
        let mb = window.resident_bytes.scaled(1e-6);
        let cells: [&dyn std::fmt::Display; 5] = [
            name,
            &mb.shown(1),
            &format!("{:.1}", window.cpu_percent),
            &format!("{:.1}", window.user_percent),
            &found.count(n),
        ];
        table.push(row(&cells));
    }
    let mut threads: Vec<_> = found.windows[1].threads_percent.iter().filter(|(_, percent)| **percent >= 0.1).collect();
    threads.sort_by(|a, b| b.1.total_cmp(a.1));
    table.extend(
        threads
            .into_iter()
            .map(|(kind, percent)| row(&[&"", &format!("threads {kind}, calls up"), &format!("{percent:.1}")])),
    );
    table
}

fn calls_table(each: &Each, found: &Found) -> Vec<Vec<String>> {
    let times = |[p50, p95, max]: [f64; 3]| format!("p50 {p50:.0} ms, p95 {p95:.0} ms, max {max:.0} ms");
    let rate = found.packets_a_second;
    let pump = each
        .pump_micros
        .map_or_else(|| "?".to_owned(), |micros| format!("{micros:.2} µs at {rate:.0} packets a second"));
    vec![
        row(&[&"a call", &""]),
        row(&[&"memory", &format!("{:.0} KB", each.memory_bytes / 1000.0)]),
        row(&[&"CPU", &format!("{:.3} % of a core", each.cpu_percent)]),
        row(&[&"actors", &format!("{:.2}", each.actors)]),
        row(&[&"pump thread, a packet", &pump]),
        row(&[&"call.started to call.audio.started", &times(each.started_to_audio_ms)]),
        row(&[&"call.answered to call.audio.started", &times(each.answered_to_audio_ms)]),
        row(&[&"first placed to all heard", &format!("{:.1} s", found.all_up_after.as_secs_f64())]),
    ]
}

fn kinds_table(found: &Found) -> Vec<Vec<String>> {
    let mut table = vec![row(&[&"actors", &"idle", &"calls up", &"calls over"])];
    for kind in found.actors[1].keys() {
        let of = |n: usize| found.actors[n].get(kind).copied().unwrap_or(0);
        table.push(row(&[kind, &of(0), &of(1), &of(2)]));
    }
    table
}
