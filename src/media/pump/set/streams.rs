//! Which streams there are, on which socket, from which source, under which lease.

use super::StreamSpec;
use crate::error::PumpError;
use crate::slot::{Slot, StreamKey};
use crate::snapshot::StreamState;
use crate::socket::MediaSocket;
use aimg_media::{Codec, StreamConfig};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

pub(super) struct Stream {
    pub(super) slot: Arc<Slot>,
    pub(super) socket: Arc<MediaSocket>,
    source: Option<SocketAddr>,
    /// The lease that holds it. What an older one does is ignored.
    lease: u64,
    resting_until: Option<Duration>,
}

#[derive(Default)]
pub(super) struct State {
    streams: HashMap<StreamKey, Stream>,
    /// With the last moment at which they were seen in use.
    sockets: Vec<(Arc<MediaSocket>, Duration)>,
    leases: u64,
}

impl State {
    pub(super) fn sockets(&self) -> impl Iterator<Item = &Arc<MediaSocket>> {
        self.sockets.iter().map(|(socket, _)| socket)
    }

    pub(super) fn add_socket(&mut self, socket: Arc<MediaSocket>, now: Duration) {
        self.sockets.push((socket, now));
    }

    pub(super) fn stream(&self, key: &StreamKey) -> Option<&Stream> {
        self.streams.get(key)
    }

    /// Streams, and how many of them rest.
    pub(super) fn counted(&self) -> (usize, usize) {
        (
            self.streams.len(),
            self.streams.values().filter(|stream| stream.resting_until.is_some()).count(),
        )
    }

    /// The stream of the same call and track, unless it failed or is not what is asked for.
    pub(super) fn take_back(&mut self, spec: &StreamSpec) -> Option<(StreamKey, u64)> {
        let key = StreamKey {
            pbx: spec.pbx,
            call: spec.call,
            track: spec.track,
        };
        let stream = self.streams.get_mut(&key)?;
        let other_port = spec.want_local.is_some_and(|wanted| wanted.port() != stream.socket.local.port());
        if stream.slot.has_failed() || stream.slot.rate() != Codec::from(spec.format).sample_rate() || other_port {
            self.remove(&key);
            return None;
        }
        self.leases += 1;
        stream.lease = self.leases;
        stream.resting_until = None;
        stream.slot.set_state(StreamState::Waiting);
        Some((key, self.leases))
    }

    pub(super) fn add(&mut self, spec: &StreamSpec, socket: Arc<MediaSocket>, config: StreamConfig, ring_frames: usize, now: Duration) -> (StreamKey, u64) {
        let key = StreamKey {
            pbx: spec.pbx,
            call: spec.call,
            track: spec.track,
        };
        let slot = Slot::new(key, config, ring_frames, now);
        self.leases += 1;
        socket.change(|table| table.slots.push(slot.clone()));
        self.streams.insert(
            key,
            Stream {
                slot,
                socket,
                source: None,
                lease: self.leases,
                resting_until: None,
            },
        );
        (key, self.leases)
    }

    /// A PBX that gives an address to a new stream has taken it from the one before, of which we may not have heard yet:
    /// its channel's end comes by another way. So the newest word counts.
    pub(super) fn expect_from(&mut self, key: &StreamKey, lease: u64, source: SocketAddr) -> Result<(), PumpError> {
        let stream = self.streams.get_mut(key).filter(|stream| stream.lease == lease).ok_or(PumpError::Gone)?;
        if stream.source == Some(source) {
            return Ok(());
        }
        if stream.socket.is_dedicated() {
            // Where packets really come from is learned: the port may be rewritten on the way.
            stream.socket.pin(None);
        } else {
            let (before, slot) = (stream.source, stream.slot.clone());
            stream.socket.change(|table| {
                if let Some(before) = before {
                    table.by_source.remove(&before);
                }
                table.by_source.insert(source, slot);
            });
            stream.slot.set_source(Some(source));
        }
        if stream.source.replace(source).is_some() {
            stream.slot.expect_new_sender();
        }
        let socket = stream.socket.clone();
        self.displace(key, &socket, source);
        Ok(())
    }

    /// Whoever else was expected from there hears nothing until told of another source.
    fn displace(&mut self, by: &StreamKey, socket: &Arc<MediaSocket>, source: SocketAddr) {
        for (key, stream) in &mut self.streams {
            if key != by && stream.source == Some(source) && Arc::ptr_eq(&stream.socket, socket) {
                stream.source = None;
                stream.slot.set_source(None);
                stream.slot.expect_new_sender();
            }
        }
    }

    /// The lease was dropped.
    pub(super) fn rest(&mut self, key: &StreamKey, lease: u64, until: Duration) {
        if let Some(stream) = self.streams.get_mut(key).filter(|stream| stream.lease == lease) {
            stream.resting_until = Some(until);
            stream.slot.set_state(StreamState::Resting);
        }
    }

    pub(super) fn expire(&mut self, now: Duration) {
        let over: Vec<_> = self
            .streams
            .iter()
            .filter(|(_, stream)| stream.resting_until.is_some_and(|until| until <= now))
            .map(|(key, _)| *key)
            .collect();
        over.iter().for_each(|key| self.remove(key));
    }

    fn remove(&mut self, key: &StreamKey) {
        let Some(stream) = self.streams.remove(key) else { return };
        stream.socket.change(|table| {
            table.by_source.retain(|_, slot| !Arc::ptr_eq(slot, &stream.slot));
            table.slots.retain(|slot| !Arc::ptr_eq(slot, &stream.slot));
        });
        stream.socket.pin(None);
        stream.slot.set_state(StreamState::Closed);
        stream.slot.ring.close();
    }

    pub(super) fn remove_idle_sockets(&mut self, now: Duration, idle: Duration) -> Vec<Arc<MediaSocket>> {
        let mut removed = Vec::new();
        self.sockets.retain_mut(|(socket, used_at)| {
            if socket.streams() > 0 {
                *used_at = now;
            }
            let keep = now.saturating_sub(*used_at) < idle;
            if !keep {
                removed.push(socket.clone());
            }
            keep
        });
        removed
    }

    pub(super) fn close_all(&mut self) {
        let keys: Vec<_> = self.streams.keys().copied().collect();
        keys.iter().for_each(|key| self.remove(key));
        self.sockets.clear();
    }
}
