//! Which socket a stream gets, and which thread a socket.

use super::streams::State;
use super::{PumpSet, StreamSpec};
use crate::error::PumpError;
use crate::socket::{MediaSocket, STREAMS_PER_SOCKET};
use aimg_domain::PbxId;
use aimg_domain::pbx::MediaPorts;
use aimg_media::{Codec, StreamConfig};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

impl PumpSet {
    pub(super) fn stream_config(&self, spec: &StreamSpec) -> StreamConfig {
        StreamConfig {
            hold: self.config.jitter_delay,
            ..StreamConfig::new(Codec::from(spec.format).sample_rate())
        }
    }

    pub(super) fn socket_for(&self, state: &mut State, spec: &StreamSpec, now: Duration) -> Result<Arc<MediaSocket>, PumpError> {
        let dedicated = spec.ports == MediaPorts::Dedicated;
        if let Some(address) = spec.want_local {
            return self.bind_again(state, spec.pbx, address, dedicated, now);
        }
        let shared = state
            .sockets()
            .find(|socket| socket.pbx == spec.pbx && !socket.is_dedicated() && socket.streams() < STREAMS_PER_SOCKET);
        match shared.cloned() {
            Some(socket) if !dedicated => Ok(socket),
            _ => self.bind_next(state, spec.pbx, dedicated, now),
        }
    }

    /// The socket of a stored port: bound before, or bound now.
    pub(super) fn bind_again(&self, state: &mut State, pbx: PbxId, address: SocketAddr, dedicated: bool, now: Duration) -> Result<Arc<MediaSocket>, PumpError> {
        let taken = |kind: io::ErrorKind| PumpError::PortTaken { address, source: kind.into() };
        let known = state.sockets().find(|socket| socket.local.port() == address.port()).cloned();
        let Some(socket) = known else {
            let socket = MediaSocket::bind(pbx, self.config.bind, address.port(), dedicated).map_err(|source| PumpError::PortTaken { address, source })?;
            self.install(state, &socket, now);
            return Ok(socket);
        };
        if socket.pbx != pbx {
            return Err(taken(io::ErrorKind::AddrInUse));
        }
        match socket.streams() {
            0 => socket.dedicate(dedicated),
            STREAMS_PER_SOCKET.. => return Err(taken(io::ErrorKind::QuotaExceeded)),
            _ if dedicated || socket.is_dedicated() => return Err(taken(io::ErrorKind::AddrInUse)),
            _ => {}
        }
        Ok(socket)
    }

    fn bind_next(&self, state: &mut State, pbx: PbxId, dedicated: bool, now: Duration) -> Result<Arc<MediaSocket>, PumpError> {
        for port in self.config.ports.clone() {
            // Even ports: the odd one above is RTCP's by custom.
            if port % 2 != 0 || state.sockets().any(|socket| socket.local.port() == port) {
                continue;
            }
            match MediaSocket::bind(pbx, self.config.bind, port, dedicated) {
                Ok(socket) => {
                    self.install(state, &socket, now);
                    return Ok(socket);
                }
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(PumpError::PortsExhausted {
            first: *self.config.ports.start(),
            last: *self.config.ports.end(),
        })
    }

    /// To the thread with the fewest sockets.
    fn install(&self, state: &mut State, socket: &Arc<MediaSocket>, now: Duration) {
        state.add_socket(socket.clone(), now);
        if let Some(worker) = self.workers.iter().min_by_key(|worker| worker.sockets.load().len()) {
            worker.sockets.rcu(|sockets| sockets.iter().chain([socket]).cloned().collect::<Vec<_>>());
            worker.wake();
        }
    }

    pub(super) fn housekeep(&self, now: Duration) {
        let mut state = self.state.lock();
        state.expire(now);
        for socket in state.remove_idle_sockets(now, self.config.socket_idle) {
            for worker in &self.workers {
                worker
                    .sockets
                    .rcu(|sockets| sockets.iter().filter(|known| !Arc::ptr_eq(known, &socket)).cloned().collect::<Vec<_>>());
            }
        }
    }
}
