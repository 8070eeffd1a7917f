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
    let (after, after_actors) = (watch(node.process, IDLE_WATCH).await?, actors(&mut api).await?);
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

fn report(given: &cli::Calls, machine: Machine, found: &Found) -> Option<Report> {
    let calls = f64::from(given.calls);
    let [idle, busy, after] = &found.windows;
    let count = |n: usize| found.actors[n].values().sum::<usize>();
    let memory = (busy.resident_bytes.median - idle.resident_bytes.median) / calls;
    let cpu = (busy.cpu_percent - idle.cpu_percent) / calls;
    let pump_micros = busy
        .threads_percent
        .get("media")
        .map(|percent| percent * 10_000.0 / found.packets_a_second.max(1.0));
    let times = |values: &[f64]| Some([percentile(values, 50.0)?, percentile(values, 95.0)?, percentile(values, 100.0)?]);
    let (started, answered) = (times(&found.set_up.started_to_audio_ms)?, times(&found.set_up.answered_to_audio_ms)?);
    let figures = json!({
        "memory_a_call_bytes": memory,
        "cpu_a_call_percent_of_a_core": cpu,
        "pump_micros_a_packet": pump_micros,
        "actors": { "idle": found.actors[0], "up": found.actors[1], "after": found.actors[2] },
        "actors_a_call": (count(1) as f64 - count(0) as f64) / calls,
        "restarts": found.restarts,
        "started_to_audio_ms": { "p50": started[0], "p95": started[1], "max": started[2] },
        "answered_to_audio_ms": { "p50": answered[0], "p95": answered[1], "max": answered[2] },
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
        tables: vec![
            windows_table(found),
            calls_table(memory, cpu, pump_micros, found, started, answered),
            kinds_table(found),
        ],
        figures,
        notes: notes(),
        checks: checks(given, found),
    })
}

fn checks(given: &cli::Calls, found: &Found) -> Vec<Check> {
    let calls = given.calls as usize;
    let actors = |n: usize| found.actors[n].values().sum::<usize>();
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
            actors(2) <= actors(0),
            format!("{} before, {} after", actors(0), actors(2)),
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
        let actors: usize = found.actors[n].values().sum();
        let cells: [&dyn std::fmt::Display; 5] = [
            name,
            &mb.shown(1),
            &format!("{:.1}", window.cpu_percent),
            &format!("{:.1}", window.user_percent),
            &actors,
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

fn calls_table(memory: f64, cpu: f64, pump: Option<f64>, found: &Found, started: [f64; 3], answered: [f64; 3]) -> Vec<Vec<String>> {
    let times = |[p50, p95, max]: [f64; 3]| format!("p50 {p50:.0} ms, p95 {p95:.0} ms, max {max:.0} ms");
    vec![
        row(&[&"a call", &""]),
        row(&[&"memory", &format!("{:.0} KB", memory / 1000.0)]),
        row(&[&"CPU", &format!("{cpu:.3} % of a core")]),
        row(&[
            &"pump thread, a packet",
            &pump.map_or_else(
                || "?".to_owned(),
                |micros| format!("{micros:.2} µs at {:.0} packets a second", found.packets_a_second),
            ),
        ]),
        row(&[&"call.started to call.audio.started", &times(started)]),
        row(&[&"call.answered to call.audio.started", &times(answered)]),
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
