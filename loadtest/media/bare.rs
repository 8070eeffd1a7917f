//! The floor: shared sockets drained by `recvmmsg` every 2 ms, the bytes thrown away.

use super::{Receiver, STREAMS_PER_SOCKET};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::mem;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const TICK: Duration = Duration::from_millis(2);
const BATCH: usize = 64;
const DATAGRAM_BYTES: usize = 2048;
const RECEIVE_BUFFER_BYTES: usize = 8 << 20;

pub struct Bare {
    addresses: Vec<SocketAddr>,
    packets: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Bare {
    pub fn start(streams: usize) -> Result<Bare, String> {
        let sockets = (0..streams.div_ceil(STREAMS_PER_SOCKET))
            .map(|_| bind())
            .collect::<io::Result<Vec<_>>>()
            .map_err(|error| format!("sockets: {error}"))?;
        let locals = sockets
            .iter()
            .map(UdpSocket::local_addr)
            .collect::<io::Result<Vec<_>>>()
            .map_err(|error| error.to_string())?;
        let (packets, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let thread = {
            let (packets, stop) = (packets.clone(), stop.clone());
            thread::spawn(move || run(&sockets, &packets, &stop))
        };
        Ok(Bare {
            addresses: (0..streams).map(|n| locals[n / STREAMS_PER_SOCKET]).collect(),
            packets,
            stop,
            thread: Some(thread),
        })
    }
}

impl Receiver for Bare {
    fn addresses(&self) -> Vec<SocketAddr> {
        self.addresses.clone()
    }

    fn expect(&mut self, _: &[SocketAddr]) -> Result<(), String> {
        Ok(())
    }

    fn packets(&self) -> u64 {
        self.packets.load(Ordering::Relaxed)
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It does not panic; if it did, nothing was received and that is said.
            let _ = thread.join();
        }
    }
}

/// The buffer as the pump asks for it: losses have to be of the same cause.
fn bind() -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES);
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    Ok(socket.into())
}

fn run(sockets: &[UdpSocket], packets: &AtomicU64, stop: &AtomicBool) {
    let mut buffers = vec![[0u8; DATAGRAM_BYTES]; BATCH];
    // SAFETY: plain C structures for which zero is a valid value.
    let mut names = vec![unsafe { mem::zeroed::<libc::sockaddr_storage>() }; BATCH];
    let mut slices: Vec<libc::iovec> = buffers
        .iter_mut()
        .map(|buffer| libc::iovec {
            iov_base: buffer.as_mut_ptr().cast(),
            iov_len: DATAGRAM_BYTES,
        })
        .collect();
    let mut headers: Vec<libc::mmsghdr> = slices
        .iter_mut()
        .zip(&mut names)
        .map(|(slice, name)| {
            // SAFETY: as above.
            let mut header = unsafe { mem::zeroed::<libc::mmsghdr>() };
            header.msg_hdr.msg_name = (&raw mut *name).cast();
            header.msg_hdr.msg_iov = &raw mut *slice;
            header.msg_hdr.msg_iovlen = 1;
            header
        })
        .collect();
    while !stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        for socket in sockets {
            drain(socket, &mut headers, packets);
        }
        thread::sleep(TICK.saturating_sub(began.elapsed()));
    }
}

fn drain(socket: &UdpSocket, headers: &mut [libc::mmsghdr], packets: &AtomicU64) {
    loop {
        for header in headers.iter_mut() {
            header.msg_hdr.msg_namelen = mem::size_of::<libc::sockaddr_storage>() as libc::socklen_t;
        }
        // SAFETY: every header points to a name, a slice and a buffer of `run`, which outlive the call.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                BATCH as libc::c_uint,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        let count = usize::try_from(count).unwrap_or(0);
        packets.fetch_add(count as u64, Ordering::Relaxed);
        if count < BATCH {
            return;
        }
    }
}
