//! Live audio to a websocket: reads the tracks' rings as frames come, and hands them to the lane, which drops the oldest of a slow listener.

use super::ConnectionDeps;
use super::actor::ConnectionMessage;
use crate::platform::{ListenPurpose, LiveAudio, LiveTrack};
use aimg_actor_kit::Address;
use aimg_domain::{CallId, Caller, Fault, Permission};
use aimg_fanout::LaneSocket;
use aimg_media_pump::{Frame, FrameKind, Read};
use aimg_wire::audio::{self, AudioHeader, GAP, LAGGED, RESYNC, SILENCE};
use aimg_wire::request::Asked;
use aimg_wire::ws::frame;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// How long making the tap may take.
const LISTEN: Duration = Duration::from_secs(10);

/// Dropping it ends the listening and gives the tap back.
pub struct AudioTask(tokio::task::AbortHandle);

impl Drop for AudioTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub async fn begin(
    deps: &ConnectionDeps,
    socket: &Arc<LaneSocket>,
    caller: &Caller,
    call: CallId,
    address: Address<ConnectionMessage>,
) -> Result<AudioTask, Fault> {
    caller.require(Permission::CallsMonitor)?;
    let remaining_ms = LISTEN.as_millis() as u64;
    let asked = Asked {
        tenant: caller.tenant,
        caller: caller.clone(),
        remaining_ms,
        body: ListenPurpose::Listen,
    };
    let listening = tokio::time::timeout(LISTEN, deps.listener.listen(call, asked)).await;
    let live = listening.map_err(|_| Fault::Timeout {
        what: "the call's audio".into(),
    })??;
    let tracks: Vec<_> = live.tracks.iter().map(|track| (track.track, track.sample_rate)).collect();
    socket.send(frame::text(&audio::announcement(call, &tracks)));
    let socket = socket.clone();
    let task = tokio::spawn(async move {
        relay(live, &socket).await;
        drop(socket);
        // Refused only by a connection that is about to end.
        let _ = address.cast(ConnectionMessage::AudioEnded);
    });
    Ok(AudioTask(task.abort_handle()))
}

/// Until every track has ended.
async fn relay(live: LiveAudio, socket: &LaneSocket) {
    let LiveAudio { mut tracks, lease } = live;
    let mut lagged = vec![false; tracks.len()];
    let mut turn = 0;
    while let Some((index, read)) = poll_fn(|context| poll_any(&mut tracks, &mut turn, context)).await {
        match read {
            Read::Frame(piece) => {
                let (bytes, flags_at) = encode(index, &piece, std::mem::take(&mut lagged[index]));
                socket.send_loose(bytes, flags_at, LAGGED);
            }
            Read::Lagged(_) => lagged[index] = true,
            Read::Empty | Read::Closed => {}
        }
    }
    drop(lease);
}

/// What comes next of any track, each in its turn; `None` when all have ended.
fn poll_any(tracks: &mut [LiveTrack], turn: &mut usize, context: &mut Context<'_>) -> Poll<Option<(usize, Read)>> {
    let mut ended = 0;
    for n in 0..tracks.len() {
        let index = (*turn + n) % tracks.len();
        match tracks[index].reader.poll_read(context) {
            Poll::Ready(Read::Closed) => ended += 1,
            Poll::Ready(read) => {
                *turn = index + 1;
                return Poll::Ready(Some((index, read)));
            }
            Poll::Pending => {}
        }
    }
    if ended == tracks.len() { Poll::Ready(None) } else { Poll::Pending }
}

fn encode(index: usize, piece: &Frame, lagged: bool) -> (Vec<u8>, usize) {
    let kind = match piece.kind {
        FrameKind::Audio => 0,
        FrameKind::Silence => SILENCE,
        FrameKind::Lost => GAP,
        FrameKind::Resync => RESYNC,
    };
    let header = AudioHeader {
        track: index as u8,
        flags: kind | if lagged { LAGGED } else { 0 },
        // Wraps, as documented.
        sequence: piece.seq as u32,
        media_time: piece.media_time,
        sample_rate: piece.rate,
        samples: u32::try_from(piece.samples).unwrap_or(u32::MAX),
    };
    audio::frame(&header, &piece.audio)
}
