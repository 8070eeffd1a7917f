//! The sender: a process of its own, a socket a stream, each stream at its own moment within the 20 ms.

use super::PACKETS_PER_SECOND;
use super::feed::{Plan, Ready, Sent};
use aimg_media::rtp;
use serde::Serialize;
use std::io::{self, BufRead, Write};
use std::net::{Ipv4Addr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

/// Between two looks at the schedule.
const STEP: Duration = Duration::from_millis(1);
const SAMPLES: u32 = 160;
/// RTP header and 20 ms of G.711.
const PACKET_BYTES: usize = 172;

pub fn run() -> Result<(), String> {
    let mut lines = io::stdin().lock().lines();
    let mut line = || lines.next().and_then(Result::ok).ok_or("nobody told what to send");
    let plan: Plan = serde_json::from_str(&line()?).map_err(|error| format!("the plan: {error}"))?;
    let mut streams = plan
        .to
        .iter()
        .enumerate()
        .map(|(n, to)| Stream::open(n, to))
        .collect::<io::Result<Vec<_>>>()
        .map_err(|error| format!("sockets: {error}"))?;
    let sources = streams
        .iter()
        .map(|stream| stream.socket.local_addr())
        .collect::<io::Result<Vec<_>>>()
        .map_err(|error| error.to_string())?;
    say(&Ready { sources })?;
    line()?;
    say(&send(&mut streams, plan.seconds)?)
}

fn say(words: &impl Serialize) -> Result<(), String> {
    let line = serde_json::to_string(words).map_err(|error| error.to_string())?;
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|error| error.to_string())
}

struct Stream {
    socket: UdpSocket,
    ssrc: u32,
    sent: u32,
    packet: Vec<u8>,
}

impl Stream {
    fn open(n: usize, to: &std::net::SocketAddr) -> io::Result<Stream> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect(to)?;
        Ok(Stream {
            socket,
            ssrc: 0x1000_0000 + n as u32,
            sent: 0,
            packet: Vec::with_capacity(PACKET_BYTES),
        })
    }

    fn send(&mut self) -> io::Result<()> {
        let header = rtp::Header {
            marker: self.sent == 0,
            payload_type: 0,
            sequence: self.sent as u16,
            timestamp: self.sent.wrapping_mul(SAMPLES),
            ssrc: self.ssrc,
        };
        // Any samples will do, but not all the same.
        let mut payload = [0u8; SAMPLES as usize];
        for (n, byte) in payload.iter_mut().enumerate() {
            *byte = (self.sent as u8).wrapping_mul(31).wrapping_add(n as u8);
        }
        self.packet.clear();
        rtp::write(&header, &payload, &mut self.packet);
        self.socket.send(&self.packet)?;
        self.sent += 1;
        Ok(())
    }
}

/// Packet `k` of all streams together is due at `k` times the gap between two.
fn send(streams: &mut [Stream], seconds: u32) -> Result<Sent, String> {
    let per_second = streams.len() as u64 * u64::from(PACKETS_PER_SECOND);
    let total = per_second * u64::from(seconds);
    // Kept from running, it makes up for it with one packet of each stream at a time, as a PBX that stalled would.
    let at_once = streams.len() as u64;
    let (began, mut sent, mut late_packets_max) = (Instant::now(), 0u64, 0u64);
    while sent < total {
        let due = (due(began.elapsed(), per_second)).min(total);
        late_packets_max = late_packets_max.max(due - sent);
        for k in sent..due.min(sent + at_once) {
            streams[k as usize % streams.len()].send().map_err(|error| format!("sending: {error}"))?;
        }
        sent = due.min(sent + at_once);
        thread::sleep(STEP);
    }
    Ok(Sent {
        packets: sent,
        late_ms_max: late_packets_max as f64 * 1000.0 / per_second as f64,
    })
}

fn due(elapsed: Duration, per_second: u64) -> u64 {
    u64::try_from(elapsed.as_micros() * u128::from(per_second) / 1_000_000).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_due_evenly() {
        for (micros, packets) in [(0, 0), (19, 0), (20, 1), (1_000, 50), (1_000_000, 50_000)] {
            assert_eq!(due(Duration::from_micros(micros), 50_000), packets);
        }
    }
}
