//! `AudioStream`: owns one track's stream on a media pump. It never sees a packet: it takes the figures of each
//! interval, and its lease keeps the stream open.

use crate::call_media::CallMediaMessage;
use aimg_actor_kit::{ActorError, Address, Context, Dispatch};
use aimg_media_pump::StreamLease;
use std::sync::Arc;
use std::time::Duration;

pub enum AudioStreamMessage {
    Tick,
}

/// Intervals are 5 s long; looked for more often, so that none is told late.
const EVERY: Duration = Duration::from_secs(1);

pub struct AudioStream {
    lease: Arc<StreamLease>,
    media: Address<CallMediaMessage>,
    /// Intervals taken so far.
    taken: u64,
}

impl AudioStream {
    pub fn new(lease: Arc<StreamLease>, media: Address<CallMediaMessage>) -> AudioStream {
        AudioStream { lease, media, taken: 0 }
    }

    fn look(&mut self, context: &Context<Self>) {
        for (n, quality) in self.lease.quality_since(self.taken) {
            self.taken = n + 1;
            let _ = self.media.cast(CallMediaMessage::Quality(quality));
        }
        let snapshot = self.lease.snapshot();
        context.note(format!("{:?}, {} packets", snapshot.state, snapshot.counts.packets).to_lowercase());
    }
}

impl Dispatch for AudioStream {
    type Message = AudioStreamMessage;
    const KIND: &'static str = "audio_stream";
    const BOUND: usize = 16;

    async fn started(&mut self, context: &mut Context<Self>) -> Result<(), ActorError> {
        context.remind(AudioStreamMessage::Tick, EVERY);
        Ok(())
    }

    async fn handle(&mut self, _: AudioStreamMessage, context: &mut Context<Self>) -> Result<(), ActorError> {
        context.remind(AudioStreamMessage::Tick, EVERY);
        self.look(context);
        Ok(())
    }
}
