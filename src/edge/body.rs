//! Request bodies, counted while they arrive: what is longer than it may be is not kept, whatever its headers said.

use crate::accept::Activity;
use aimg_domain::Fault;
use bytes::{Buf, Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use std::pin::Pin;
use std::time::Duration;

pub type BodyStream = Pin<Box<dyn Stream<Item = Result<Bytes, ()>> + Send>>;

pub fn boxed<S, B, E>(stream: S) -> BodyStream
where
    S: Stream<Item = Result<B, E>> + Send + 'static,
    B: Buf + 'static,
    E: 'static,
{
    Box::pin(stream.map(|piece| piece.map(|mut piece| piece.copy_to_bytes(piece.remaining())).map_err(|_| ())))
}

/// The whole body, at most `limit` bytes and within `timeout`.
pub async fn read(mut stream: BodyStream, declared: Option<u64>, limit: u64, timeout: Duration, activity: Option<&Activity>) -> Result<Bytes, Fault> {
    let too_large = Fault::TooLarge { limit_bytes: limit };
    if declared.is_some_and(|length| length > limit) {
        return Err(too_large);
    }
    let gather = async {
        let mut body = BytesMut::new();
        while let Some(piece) = stream.next().await {
            let piece = piece.map_err(|()| Fault::invalid("", "a whole body; it broke off"))?;
            if let Some(activity) = activity {
                activity.touch();
            }
            if (body.len() + piece.len()) as u64 > limit {
                return Err(too_large);
            }
            body.extend_from_slice(&piece);
        }
        Ok(body.freeze())
    };
    match tokio::time::timeout(timeout, gather).await {
        Ok(body) => body,
        Err(_) => Err(Fault::Timeout {
            what: "the request's body".into(),
        }),
    }
}
