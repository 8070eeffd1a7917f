//! One stream from datagrams to frames: which sender, in which order, at what time, decoded, measured.

mod counts;
mod sender;

pub use counts::StreamCounts;

use crate::codec::{Codec, Decoder, PayloadKind};
use crate::dsp::{Level, Resampler};
use crate::frame::FrameKind;
use crate::jitter::{Arrival, Jitter, JitterCounts, Release, Verdict};
use crate::quality::{QualityInterval, QualityMeter, QualityTotal};
use crate::ring::{FrameHead, RingWriter};
use crate::rtp::{Header, Packet, ParseError, TimestampExtender};
use sender::{Sender, Trust};
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamConfig {
    /// Samples a second of all frames. Audio at another rate is resampled.
    pub rate: u32,
    /// How long a hole is waited for.
    pub hold: Duration,
    /// Of quality.
    pub interval: Duration,
}

impl StreamConfig {
    pub fn new(rate: u32) -> StreamConfig {
        StreamConfig {
            rate,
            hold: Duration::from_millis(60),
            interval: Duration::from_secs(5),
        }
    }
}

/// Where frames go.
pub trait Output {
    fn frame(&mut self, head: FrameHead, audio: &[i16]);
}

impl Output for &RingWriter {
    fn frame(&mut self, head: FrameHead, audio: &[i16]) {
        self.write(head, audio);
    }
}

pub struct StreamCore {
    config: StreamConfig,
    sender: Sender,
    jitter: Jitter,
    timestamp: TimestampExtender,
    decoding: Decoding,
    meter: QualityMeter,
    /// Since it was taken.
    level: Level,
    counts: StreamCounts,
}

/// What audio passes on its way out. Buffers live as long as the stream.
struct Decoding {
    rate: u32,
    codec: Option<(Codec, Decoder, Option<Resampler>)>,
    decoded: Vec<i16>,
    resampled: Vec<i16>,
    /// Not yet measured.
    level: Level,
}

struct Releasing<'a, O> {
    decoding: &'a mut Decoding,
    out: &'a mut O,
}

impl StreamCore {
    pub fn new(config: StreamConfig) -> StreamCore {
        StreamCore {
            sender: Sender::default(),
            jitter: Jitter::new(config.rate, config.hold),
            timestamp: TimestampExtender::default(),
            decoding: Decoding {
                rate: config.rate,
                codec: None,
                decoded: Vec::new(),
                resampled: Vec::new(),
                level: Level::default(),
            },
            meter: QualityMeter::new(config.interval, config.hold),
            level: Level::default(),
            counts: StreamCounts::default(),
            config,
        }
    }

    /// Goes on behind another core of this stream that was lost with its thread.
    pub fn resume(config: StreamConfig, media_time: u64, last_arrival: Option<Duration>) -> StreamCore {
        let mut core = StreamCore::new(config);
        core.jitter = core.jitter.resumed(media_time, last_arrival);
        core
    }

    pub fn counts(&self) -> StreamCounts {
        let jitter = self.jitter.counts();
        StreamCounts {
            ssrc: self.sender.ssrc(),
            ssrc_changes: self.sender.changes(),
            jitter,
            ..self.counts
        }
    }

    pub fn quality(&self) -> QualityTotal {
        self.meter.total()
    }

    pub fn media_time(&self) -> u64 {
        self.jitter.media_time()
    }

    /// A `tick` is due within the hold time.
    pub fn is_holding(&self) -> bool {
        self.jitter.is_holding()
    }

    /// Level of the audio since this was last asked.
    pub fn take_level(&mut self) -> Level {
        std::mem::take(&mut self.level)
    }

    /// The next SSRC is right, whatever it is: the tap was made anew.
    pub fn expect_new_sender(&mut self) {
        self.sender.forget();
    }

    /// False if the datagram was no packet of this stream.
    pub fn packet(&mut self, datagram: &[u8], at: Duration, out: &mut impl Output) -> bool {
        match Packet::parse(datagram) {
            Ok(packet) => self.parsed(&packet, at, out),
            Err(ParseError::Rtcp) => {
                self.counts.rtcp += 1;
                false
            }
            Err(_) => {
                self.counts.malformed += 1;
                false
            }
        }
    }

    /// Gives up holes, closes intervals. At least every few hundred ms, and every few ms while [`StreamCore::is_holding`].
    pub fn tick(&mut self, now: Duration, out: &mut impl Output) -> Option<QualityInterval> {
        let before = self.jitter.counts();
        self.jitter.tick(
            now,
            &mut Releasing {
                decoding: &mut self.decoding,
                out,
            },
        );
        self.measure_released(before);
        self.meter.tick(now)
    }

    fn parsed(&mut self, packet: &Packet<'_>, at: Duration, out: &mut impl Output) -> bool {
        match self.sender.judge(packet.header.ssrc) {
            Trust::Known => {}
            Trust::New => {
                self.jitter.restart_sequence(&mut Releasing {
                    decoding: &mut self.decoding,
                    out,
                });
                self.timestamp.reset();
                self.decoding.codec = None;
            }
            Trust::Stranger => {
                self.counts.foreign_ssrc += 1;
                return false;
            }
        }
        let (samples, clock_rate) = self.length(packet);
        let arrival = Arrival {
            header: packet.header,
            payload: packet.payload,
            samples,
            clock_rate,
            at,
        };
        let before = self.jitter.counts();
        let verdict = self.jitter.push(
            &arrival,
            &mut Releasing {
                decoding: &mut self.decoding,
                out,
            },
        );
        self.measure_released(before);
        self.measure(&arrival, verdict);
        self.counts.packets += 1;
        self.counts.bytes += packet.payload.len() as u64;
        self.counts.last_packet_at = Some(at);
        true
    }

    /// Samples at the stream's rate, and the clock; 0 samples for what is no audio (or cannot be brought to the stream's rate).
    fn length(&mut self, packet: &Packet<'_>) -> (u64, u32) {
        match PayloadKind::of(packet.header.payload_type) {
            PayloadKind::Audio(codec) => {
                let samples = codec.samples_in(packet.payload.len()) as u64;
                (samples * u64::from(self.config.rate) / u64::from(codec.sample_rate()), codec.clock_rate())
            }
            PayloadKind::ComfortNoise => {
                self.counts.comfort_noise += 1;
                (0, 8000)
            }
            PayloadKind::TelephoneEvent => {
                self.counts.telephone_events += u64::from(packet.header.marker);
                (0, 8000)
            }
            PayloadKind::Unknown => {
                self.counts.unknown_payload += 1;
                (0, 8000)
            }
        }
    }

    fn measure(&mut self, arrival: &Arrival<'_>, verdict: Verdict) {
        let (sequence, restarted) = match verdict {
            Verdict::Accepted { sequence, restarted } => (sequence, restarted),
            Verdict::Late { sequence } => (sequence, false),
            Verdict::Duplicate | Verdict::Doubtful => return,
        };
        if restarted {
            self.timestamp.reset();
        }
        let timing = (arrival.samples > 0).then(|| (self.timestamp.extend(arrival.header.timestamp), arrival.clock_rate));
        self.meter.packet(sequence, restarted, timing, arrival.at);
        if arrival.samples > 0 {
            self.counts.payload_type = Some(arrival.header.payload_type);
        }
    }

    fn measure_released(&mut self, before: JitterCounts) {
        let level = std::mem::take(&mut self.decoding.level);
        self.meter.audio(&level);
        self.level.merge(&level);
        let after = self.jitter.counts();
        if after.lost != before.lost {
            self.meter.given_up(after.lost - before.lost, after.loss_runs - before.loss_runs);
        }
    }
}

impl Decoding {
    /// Exactly `samples` of audio.
    fn decode(&mut self, header: &Header, payload: &[u8], samples: u64) -> &[i16] {
        let PayloadKind::Audio(codec) = PayloadKind::of(header.payload_type) else {
            return &[];
        };
        if self.codec.as_ref().is_none_or(|(known, ..)| *known != codec) {
            let resampler = if codec.sample_rate() == self.rate {
                None
            } else {
                Resampler::new(codec.sample_rate(), self.rate)
            };
            self.codec = Some((codec, Decoder::new(codec), resampler));
        }
        let Some((_, decoder, resampler)) = &mut self.codec else { return &[] };
        decoder.decode(payload, &mut self.decoded);
        let audio = match resampler {
            None => &mut self.decoded,
            Some(resampler) => {
                self.resampled.clear();
                resampler.run(&self.decoded, &mut self.resampled);
                &mut self.resampled
            }
        };
        // Differs by one when a halved packet had an odd number of samples.
        audio.resize(usize::try_from(samples).unwrap_or(0), 0);
        self.level.add(audio);
        audio
    }
}

impl<O: Output> Release for Releasing<'_, O> {
    fn packet(&mut self, media_time: u64, arrival: &Arrival<'_>) {
        let rate = self.decoding.rate;
        let audio = self.decoding.decode(&arrival.header, arrival.payload, arrival.samples);
        let head = FrameHead {
            media_time,
            rate,
            kind: FrameKind::Audio,
            samples: arrival.samples,
            received_at: arrival.at,
        };
        self.out.frame(head, audio);
    }

    fn gap(&mut self, media_time: u64, samples: u64, kind: FrameKind, at: Duration) {
        self.out.frame(
            FrameHead {
                media_time,
                rate: self.decoding.rate,
                kind,
                samples,
                received_at: at,
            },
            &[],
        );
    }
}

#[cfg(test)]
mod tests;
