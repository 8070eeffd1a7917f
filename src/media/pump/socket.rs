//! A media socket: of one PBX, for many streams told apart by source, or for one whatever its source.

use crate::slot::Slot;
use crate::snapshot::{SocketStats, Stranger};
use aimg_domain::PbxId;
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

pub(crate) const STREAMS_PER_SOCKET: usize = 250;
/// Asked for; the kernel grants up to `net.core.rmem_max`, twice for its own bookkeeping.
const RECEIVE_BUFFER_BYTES: usize = 8 << 20;
/// Unknown sources remembered; the one silent for longest makes room.
const STRANGERS_MAX: usize = 16;
/// Packets in a row that move a dedicated port to another source.
const CONFIRMATIONS: u32 = 5;

/// Only sources that were asked for are in the table, so nobody can fill it with collisions: a cheap hash will do.
#[derive(Clone, Default)]
pub(crate) struct BySource;

pub(crate) struct SourceHasher(u64);

impl BuildHasher for BySource {
    type Hasher = SourceHasher;

    fn build_hasher(&self) -> SourceHasher {
        SourceHasher(0)
    }
}

impl Hasher for SourceHasher {
    fn write(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..piece.len()].copy_from_slice(piece);
            self.0 = (self.0 ^ u64::from_le_bytes(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        }
    }

    fn finish(&self) -> u64 {
        // The table takes its place from the low bits and its tag from the high ones.
        self.0 ^ (self.0 >> 32)
    }
}

/// Who listens on a socket. Replaced as a whole, read by the pump without a lock.
#[derive(Clone, Default)]
pub(crate) struct Table {
    pub(crate) by_source: HashMap<SocketAddr, Arc<Slot>, BySource>,
    /// All of them, with and without a source.
    pub(crate) slots: Vec<Arc<Slot>>,
}

#[derive(Default)]
struct Learned {
    pinned: Option<SocketAddr>,
    candidate: Option<(SocketAddr, u32)>,
}

pub(crate) struct MediaSocket {
    socket: UdpSocket,
    pub(crate) local: SocketAddr,
    pub(crate) pbx: PbxId,
    dedicated: AtomicBool,
    table: ArcSwap<Table>,
    learned: Mutex<Learned>,
    strangers: Mutex<Vec<Stranger>>,
    receive_buffer_bytes: usize,
    packets: AtomicU64,
    unknown: AtomicU64,
    unusable: AtomicU64,
    errors: AtomicU64,
}

impl MediaSocket {
    pub(crate) fn bind(pbx: PbxId, ip: IpAddr, port: u16, dedicated: bool) -> io::Result<Arc<MediaSocket>> {
        let socket = Socket::new(if ip.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 }, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        // Granted in part, or not at all: `receive_buffer_bytes` tells.
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES);
        let receive_buffer_bytes = socket.recv_buffer_size()?;
        socket.bind(&SocketAddr::new(ip, port).into())?;
        let socket: UdpSocket = socket.into();
        let local = socket.local_addr()?;
        Ok(Arc::new(MediaSocket {
            socket,
            local,
            pbx,
            dedicated: AtomicBool::new(dedicated),
            table: ArcSwap::from_pointee(Table::default()),
            learned: Mutex::new(Learned::default()),
            strangers: Mutex::new(Vec::new()),
            receive_buffer_bytes,
            packets: AtomicU64::new(0),
            unknown: AtomicU64::new(0),
            unusable: AtomicU64::new(0),
            errors: AtomicU64::new(0),
        }))
    }

    pub(crate) fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    pub(crate) fn is_dedicated(&self) -> bool {
        self.dedicated.load(Ordering::Acquire)
    }

    /// Only of a socket without streams.
    pub(crate) fn dedicate(&self, dedicated: bool) {
        self.dedicated.store(dedicated, Ordering::Release);
        *self.learned.lock() = Learned::default();
    }

    pub(crate) fn table(&self) -> arc_swap::Guard<Arc<Table>> {
        self.table.load()
    }

    /// Callers hold the set's lock: one change at a time.
    pub(crate) fn change(&self, act: impl FnOnce(&mut Table)) {
        let mut table = Table::clone(&self.table.load());
        act(&mut table);
        self.table.store(Arc::new(table));
    }

    pub(crate) fn streams(&self) -> usize {
        self.table.load().slots.len()
    }

    /// Of a dedicated socket: the only source listened to from now on.
    pub(crate) fn pin(&self, source: Option<SocketAddr>) {
        *self.learned.lock() = Learned {
            pinned: source,
            candidate: None,
        };
    }

    /// Whose packet this is.
    pub(crate) fn route<'t>(&self, table: &'t Table, source: SocketAddr) -> Option<&'t Arc<Slot>> {
        if !self.is_dedicated() {
            return table.by_source.get(&source);
        }
        let slot = table.slots.first()?;
        self.learn(source, slot).then_some(slot)
    }

    /// The first source is the right one, until another sent several packets and it none.
    fn learn(&self, source: SocketAddr, slot: &Slot) -> bool {
        let mut learned = self.learned.lock();
        if learned.pinned == Some(source) {
            learned.candidate = None;
            return true;
        }
        let count = match learned.candidate {
            Some((candidate, count)) if candidate == source => count + 1,
            _ => 1,
        };
        if learned.pinned.is_some() && count < CONFIRMATIONS {
            learned.candidate = Some((source, count));
            return false;
        }
        *learned = Learned {
            pinned: Some(source),
            candidate: None,
        };
        slot.set_source(Some(source));
        true
    }

    pub(crate) fn count(&self, packets: usize) {
        self.packets.fetch_add(packets as u64, Ordering::Relaxed);
    }

    pub(crate) fn count_unusable(&self) {
        self.unusable.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_error(&self) {
        self.errors.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_stranger(&self, source: SocketAddr, now: Duration) {
        self.unknown.fetch_add(1, Ordering::Relaxed);
        // Somebody is looking this instant: one packet less in the list.
        let Some(mut strangers) = self.strangers.try_lock() else { return };
        if let Some(known) = strangers.iter_mut().find(|known| known.source == source) {
            known.packets += 1;
            known.last_at = now;
            return;
        }
        let new = Stranger {
            source,
            packets: 1,
            last_at: now,
        };
        if strangers.len() < STRANGERS_MAX {
            strangers.push(new);
        } else if let Some(oldest) = strangers.iter_mut().min_by_key(|known| known.last_at) {
            *oldest = new;
        }
    }

    pub(crate) fn strangers(&self) -> Vec<Stranger> {
        self.strangers.lock().clone()
    }

    pub(crate) fn stats(&self) -> SocketStats {
        SocketStats {
            pbx: self.pbx,
            local: self.local,
            dedicated: self.is_dedicated(),
            streams: self.streams(),
            packets: self.packets.load(Ordering::Relaxed),
            unknown: self.unknown.load(Ordering::Relaxed),
            unusable: self.unusable.load(Ordering::Relaxed),
            errors: self.errors.load(Ordering::Relaxed),
            receive_buffer_bytes: self.receive_buffer_bytes,
        }
    }
}
