//! Why a stream could not be had.

use std::io;
use std::net::SocketAddr;
use thiserror::Error;

#[derive(Debug, Error)]
pub enum PumpError {
    /// The stored port could not be bound again: the tap has to be made again.
    #[error("cannot bind {address} again: {source}")]
    PortTaken { address: SocketAddr, source: io::Error },
    #[error("all media ports from {first} to {last} are in use")]
    PortsExhausted { first: u16, last: u16 },
    #[error("cannot open a media socket: {0}")]
    Io(#[from] io::Error),
    /// The pumps were shut down, or the lease was taken over by a newer one.
    #[error("the stream is gone")]
    Gone,
}
