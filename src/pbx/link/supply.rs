//! A byte stream to the PBX.

use crate::error::PbxError;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Resolves and connects within `within`.
pub(crate) async fn open(host: &str, port: u16, tls: bool, within: Duration) -> Result<Box<dyn Stream>, PbxError> {
    if tls {
        return Err(PbxError::Invalid(
            "TLS to the PBX is not supported yet: use a private network or a tunnel".into(),
        ));
    }
    let stream = match timeout(within, TcpStream::connect((host, port))).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(PbxError::Unreachable(format!("{host}:{port}: {error}"))),
        Err(_) => return Err(PbxError::Unreachable(format!("{host}:{port}: no connection within {within:?}"))),
    };
    // Actions are small and each waits for its answer.
    let _ = stream.set_nodelay(true);
    Ok(Box::new(stream))
}
