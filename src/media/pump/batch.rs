//! One `recvmmsg`: many datagrams with their sources for one system call.

use std::io;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::RawFd;

/// Datagrams a system call.
pub(crate) const BATCH: usize = 64;
/// A cache line more than a power of two, or all buffers would begin in the same few cache sets.
const DATAGRAM_BYTES: usize = aimg_media::rtp::MAX_PACKET_BYTES + 64;

/// Buffers for [`BATCH`] datagrams. The kernel's tables point into the boxed buffers, which never move.
pub(crate) struct Batch {
    buffers: Box<[[u8; DATAGRAM_BYTES]]>,
    names: Box<[libc::sockaddr_storage]>,
    slices: Box<[libc::iovec]>,
    headers: Box<[libc::mmsghdr]>,
    /// How many headers the last call wrote to.
    used: usize,
}

// SAFETY: the raw pointers point only into this value's own boxes, and are used only by `receive`, which takes `&mut self`.
unsafe impl Send for Batch {}

impl Batch {
    pub(crate) fn new() -> Batch {
        let mut buffers = vec![[0u8; DATAGRAM_BYTES]; BATCH].into_boxed_slice();
        // SAFETY: all three are plain C structures for which zero is a valid value.
        let mut names = vec![unsafe { mem::zeroed::<libc::sockaddr_storage>() }; BATCH].into_boxed_slice();
        let mut slices: Box<[libc::iovec]> = buffers
            .iter_mut()
            .map(|buffer| libc::iovec {
                iov_base: buffer.as_mut_ptr().cast(),
                iov_len: DATAGRAM_BYTES,
            })
            .collect();
        let headers = (0..BATCH)
            .map(|i| {
                // SAFETY: as above.
                let mut header = unsafe { mem::zeroed::<libc::mmsghdr>() };
                header.msg_hdr.msg_name = (&raw mut names[i]).cast();
                header.msg_hdr.msg_iov = &raw mut slices[i];
                header.msg_hdr.msg_iovlen = 1;
                header
            })
            .collect();
        Batch {
            buffers,
            names,
            slices,
            headers,
            used: BATCH,
        }
    }

    /// How many datagrams waited, at most [`BATCH`]. Never waits itself.
    pub(crate) fn receive(&mut self, socket: RawFd) -> io::Result<usize> {
        for header in &mut self.headers[..self.used] {
            header.msg_hdr.msg_namelen = mem::size_of::<libc::sockaddr_storage>() as libc::socklen_t;
        }
        debug_assert_eq!(self.slices.len(), BATCH);
        // SAFETY: each header points to one name and one slice of this value, the slice to a buffer of its stated length, and all outlive the call.
        let count = unsafe {
            libc::recvmmsg(
                socket,
                self.headers.as_mut_ptr(),
                BATCH as libc::c_uint,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        // Nothing says that a failed call wrote nothing.
        self.used = usize::try_from(count).unwrap_or(BATCH);
        if count >= 0 {
            return Ok(self.used);
        }
        let error = io::Error::last_os_error();
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(0),
            // An ICMP answer to something sent long ago: of no concern to a receiver.
            io::ErrorKind::ConnectionRefused => Ok(0),
            _ => Err(error),
        }
    }

    /// Datagram `i` of the last [`Batch::receive`]; `None` if its source is of no family we know or it did not fit.
    pub(crate) fn datagram(&self, i: usize) -> Option<(SocketAddr, &[u8])> {
        let header = self.headers.get(i)?;
        if header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0 {
            return None;
        }
        let bytes = self.buffers.get(i)?.get(..header.msg_len as usize)?;
        Some((source(self.names.get(i)?)?, bytes))
    }
}

/// An IPv4 source is the same on a dual-stack socket.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        ip @ IpAddr::V4(_) => SocketAddr::new(ip, address.port()),
        IpAddr::V6(_) => address,
    }
}

fn source(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match i32::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that the kernel wrote a sockaddr_in, and a sockaddr_storage is large enough and aligned for any.
            let v4 = unsafe { &*(&raw const *name).cast::<libc::sockaddr_in>() };
            Some(SocketAddrV4::new(Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr)), u16::from_be(v4.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above, a sockaddr_in6.
            let v6 = unsafe { &*(&raw const *name).cast::<libc::sockaddr_in6>() };
            let address = SocketAddrV6::new(Ipv6Addr::from(v6.sin6_addr.s6_addr), u16::from_be(v6.sin6_port), 0, v6.sin6_scope_id);
            Some(canonical(address.into()))
        }
        _ => None,
    }
}
