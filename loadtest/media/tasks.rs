//! What one would write first: a tokio task and a socket a stream.

use super::Receiver;
use super::wall::WallClock;
use aimg_domain::Clock;
use aimg_media::dsp::Level;
use aimg_media::rtp::Packet;
use aimg_media::{Codec, Decoder, FrameRing, StreamConfig, StreamCore, ring};
use std::hint::black_box;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::net::UdpSocket;
use tokio::runtime::Runtime;

const WORKERS: usize = 2;
const DATAGRAM_BYTES: usize = 2048;
/// Packets between two looks at quality intervals, 100 ms.
const CARE_EVERY: u64 = 5;

pub struct Tasks {
    addresses: Vec<SocketAddr>,
    /// A stream each.
    packets: Arc<[AtomicU64]>,
    /// Ends the tasks when dropped.
    _runtime: Runtime,
}

impl Tasks {
    /// `whole`: jitter buffer, quality and ring as well; else parsing, decoding and level.
    pub fn start(streams: usize, whole: bool) -> Result<Tasks, String> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .enable_io()
            .build()
            .map_err(|error| format!("the runtime: {error}"))?;
        let packets: Arc<[AtomicU64]> = (0..streams).map(|_| AtomicU64::new(0)).collect();
        let clock = Arc::new(WallClock::start());
        let mut addresses = Vec::new();
        for n in 0..streams {
            let (socket, local) = runtime.block_on(bind()).map_err(|error| format!("socket {n}: {error}"))?;
            addresses.push(local);
            let (packets, clock) = (packets.clone(), clock.clone());
            if whole {
                runtime.spawn(async move { receive_whole(socket, &packets[n], &clock).await });
            } else {
                runtime.spawn(async move { receive(socket, &packets[n]).await });
            }
        }
        Ok(Tasks {
            addresses,
            packets,
            _runtime: runtime,
        })
    }
}

async fn bind() -> io::Result<(UdpSocket, SocketAddr)> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let local = socket.local_addr()?;
    Ok((socket, local))
}

async fn receive(socket: UdpSocket, packets: &AtomicU64) {
    let mut buffer = vec![0u8; DATAGRAM_BYTES];
    let (mut decoder, mut decoded, mut level) = (Decoder::new(Codec::Ulaw), Vec::new(), Level::default());
    while let Ok((length, _)) = socket.recv_from(&mut buffer).await {
        if let Ok(packet) = Packet::parse(&buffer[..length]) {
            decoder.decode(packet.payload, &mut decoded);
            level.add(&decoded);
            black_box(&level);
            packets.fetch_add(1, Ordering::Relaxed);
        }
    }
}

async fn receive_whole(socket: UdpSocket, packets: &AtomicU64, clock: &WallClock) {
    let mut buffer = vec![0u8; DATAGRAM_BYTES];
    let ring = FrameRing::new(ring::DEFAULT_FRAMES);
    let (writer, mut core) = (ring.writer(), StreamCore::new(StreamConfig::new(Codec::Ulaw.sample_rate())));
    let mut received = 0u64;
    while let Ok((length, _)) = socket.recv_from(&mut buffer).await {
        let now = clock.monotonic();
        core.packet(&buffer[..length], now, &mut &writer);
        received += 1;
        if received.is_multiple_of(CARE_EVERY) {
            black_box(core.tick(now, &mut &writer));
            black_box(core.take_level());
        }
        packets.fetch_add(1, Ordering::Relaxed);
    }
}

impl Receiver for Tasks {
    fn addresses(&self) -> Vec<SocketAddr> {
        self.addresses.clone()
    }

    /// Which socket a packet comes to says whose it is.
    fn expect(&mut self, _: &[SocketAddr]) -> Result<(), String> {
        Ok(())
    }

    fn packets(&self) -> u64 {
        self.packets.iter().map(|packets| packets.load(Ordering::Relaxed)).sum()
    }
}
