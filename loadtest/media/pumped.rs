//! The product's way: a pump set with one thread.

use super::Receiver;
use super::wall::WallClock;
use aimg_domain::pbx::{MediaPorts, TapFormat};
use aimg_domain::{CallId, PbxId, TrackId};
use aimg_media_pump::{PumpConfig, PumpSet, StreamLease, StreamSpec};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use uuid::Uuid;

pub struct Pumped {
    set: Arc<PumpSet>,
    leases: Vec<StreamLease>,
}

impl Pumped {
    pub fn start(streams: usize) -> Result<Pumped, String> {
        let config = PumpConfig::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 26_000..=26_999);
        let set = PumpSet::start(config, Arc::new(WallClock::start())).map_err(|error| format!("the pump: {error}"))?;
        let open = |n: usize| {
            // Calls with two tracks each, as taps are.
            let spec = StreamSpec {
                pbx: PbxId(Uuid::from_u128(1)),
                call: CallId(Uuid::from_u128(n as u128 / 2)),
                track: if n.is_multiple_of(2) { TrackId::Caller } else { TrackId::Callee },
                format: TapFormat::Ulaw,
                ports: MediaPorts::Shared,
                want_local: None,
            };
            set.open(spec).map_err(|error| format!("stream {n}: {error}"))
        };
        let leases = (0..streams).map(open).collect::<Result<_, _>>()?;
        Ok(Pumped { set, leases })
    }
}

impl Receiver for Pumped {
    fn addresses(&self) -> Vec<SocketAddr> {
        self.leases.iter().map(StreamLease::local_addr).collect()
    }

    fn expect(&mut self, sources: &[SocketAddr]) -> Result<(), String> {
        for (lease, source) in self.leases.iter().zip(sources) {
            lease.expect_from(*source).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn packets(&self) -> u64 {
        self.set.stats().packets
    }

    /// Packets whose audio is in a ring, in order: a gap that was filled is none.
    fn delivered(&self) -> u64 {
        let of = |lease: &StreamLease| {
            let counts = lease.snapshot().counts;
            counts
                .packets
                .saturating_sub(counts.jitter.duplicates + counts.jitter.late + counts.jitter.doubtful)
        };
        self.leases.iter().map(of).sum()
    }
}

impl Drop for Pumped {
    fn drop(&mut self) {
        self.set.stop();
    }
}
