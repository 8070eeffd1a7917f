//! A stretch of time in which a process is watched.

use crate::stats::Spread;
use crate::usage::{Cpu, Process};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const SAMPLE_EVERY: Duration = Duration::from_millis(500);

#[derive(Clone, Debug, Serialize)]
pub struct Window {
    pub seconds: f64,
    pub resident_bytes: Spread,
    /// Percent of one core.
    pub cpu_percent: f64,
    pub user_percent: f64,
    /// The same by kind of thread.
    pub threads_percent: BTreeMap<String, f64>,
}

pub async fn watch(process: Process, length: Duration) -> Result<Window, String> {
    let (began, cpu, threads) = (Instant::now(), process.cpu()?, process.threads()?);
    let mut resident = Vec::new();
    while began.elapsed() < length {
        resident.push(process.resident_bytes()? as f64);
        tokio::time::sleep(SAMPLE_EVERY.min(length.saturating_sub(began.elapsed()))).await;
    }
    let (elapsed, cpu) = (began.elapsed(), process.cpu()?.since(cpu));
    let percent = |span: Duration| span.as_secs_f64() / elapsed.as_secs_f64() * 100.0;
    let by_thread = process.threads()?.into_iter().map(|(kind, now)| {
        let before = threads.get(&kind).copied().unwrap_or(Cpu::default());
        (kind, percent(now.since(before).total()))
    });
    Ok(Window {
        seconds: elapsed.as_secs_f64(),
        resident_bytes: Spread::of(&resident).ok_or("nothing was watched")?,
        cpu_percent: percent(cpu.total()),
        user_percent: percent(cpu.user),
        threads_percent: by_thread.collect(),
    })
}
