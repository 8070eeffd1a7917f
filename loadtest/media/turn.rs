//! One way of receiving, measured once.

use super::Receiver;
use super::feed::Feed;
use crate::usage::own_cpu;
use serde::Serialize;
use std::thread;
use std::time::{Duration, Instant};

/// Before the measured part: rings of 5 s fill with new memory, which costs more than what comes later.
const WARM_UP_SECONDS: u32 = 7;
/// For what is still on its way when the last packet was sent.
const DRAIN: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Measured {
    /// CPU a packet.
    pub micros: f64,
    pub user_micros: f64,
    pub system_micros: f64,
    /// Within the measured part.
    pub packets: u64,
    /// Of the whole turn, warm-up included.
    pub sent: u64,
    pub delivered: u64,
    /// How far the sender fell behind its schedule at worst.
    pub late_ms_max: f64,
}

impl Measured {
    pub fn lost(&self) -> u64 {
        self.sent.saturating_sub(self.delivered)
    }
}

pub fn turn(mut receiver: Box<dyn Receiver>, streams: u32, seconds: u32) -> Result<Measured, String> {
    let mut feed = Feed::start(&receiver.addresses(), WARM_UP_SECONDS + seconds)?;
    if feed.sources.len() != streams as usize {
        return Err(format!("the sender has {} of {streams} streams", feed.sources.len()));
    }
    receiver.expect(&feed.sources)?;
    feed.go()?;
    thread::sleep(Duration::from_secs(WARM_UP_SECONDS.into()));
    let (cpu, packets) = (own_cpu(), receiver.packets());
    // Ends a little before the sender does: its end is not part of it.
    thread::sleep(Duration::from_millis(u64::from(seconds) * 1000 - 100));
    let (cpu, packets) = (own_cpu().since(cpu), receiver.packets() - packets);
    let sent = feed.finished()?;
    let deadline = Instant::now() + DRAIN;
    while receiver.delivered() < sent.packets && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(20));
    }
    if packets == 0 {
        return Err("no packet arrived".into());
    }
    let each = |span: Duration| span.as_secs_f64() * 1e6 / packets as f64;
    Ok(Measured {
        micros: each(cpu.total()),
        user_micros: each(cpu.user),
        system_micros: each(cpu.system),
        packets,
        sent: sent.packets,
        delivered: receiver.delivered(),
        late_ms_max: sent.late_ms_max,
    })
}
