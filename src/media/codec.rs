//! Payload types as Asterisk sends them, and the codecs behind them.

mod g711;

use aimg_domain::pbx::TapFormat;
use audio_codec::g722::{G722Decoder, G722Encoder};
use audio_codec::{Decoder as _, Encoder as _};

/// A codec of a stream of one voice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// G.711 µ-law.
    Ulaw,
    /// G.711 A-law.
    Alaw,
    /// Its RTP clock is 8000 by tradition (RFC 3551, 4.5.2), its samples are 16,000 a second.
    G722,
    /// Signed 16-bit linear at 8 kHz, big-endian.
    Slin,
    /// Signed 16-bit linear at 16 kHz, big-endian.
    Slin16,
}

/// What a payload type means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadKind {
    Audio(Codec),
    /// RFC 3389: what follows until the next packet is silence.
    ComfortNoise,
    /// RFC 4733.
    TelephoneEvent,
    Unknown,
}

impl PayloadKind {
    /// Asterisk's own assignments; 10 and 11 are both read as 8 kHz mono, as Asterisk does.
    pub fn of(payload_type: u8) -> PayloadKind {
        match payload_type {
            0 => PayloadKind::Audio(Codec::Ulaw),
            8 => PayloadKind::Audio(Codec::Alaw),
            9 => PayloadKind::Audio(Codec::G722),
            10 | 11 => PayloadKind::Audio(Codec::Slin),
            118 => PayloadKind::Audio(Codec::Slin16),
            13 | 19 => PayloadKind::ComfortNoise,
            101 => PayloadKind::TelephoneEvent,
            _ => PayloadKind::Unknown,
        }
    }
}

impl From<TapFormat> for Codec {
    fn from(format: TapFormat) -> Codec {
        match format {
            TapFormat::Ulaw => Codec::Ulaw,
            TapFormat::Alaw => Codec::Alaw,
            TapFormat::G722 => Codec::G722,
            TapFormat::Slin16 => Codec::Slin16,
        }
    }
}

impl Codec {
    pub fn name(self) -> &'static str {
        match self {
            Codec::Ulaw => "ulaw",
            Codec::Alaw => "alaw",
            Codec::G722 => "g722",
            Codec::Slin => "slin",
            Codec::Slin16 => "slin16",
        }
    }

    pub fn payload_type(self) -> u8 {
        match self {
            Codec::Ulaw => 0,
            Codec::Alaw => 8,
            Codec::G722 => 9,
            Codec::Slin => 10,
            Codec::Slin16 => 118,
        }
    }

    /// Samples a second after decoding.
    pub fn sample_rate(self) -> u32 {
        match self {
            Codec::Ulaw | Codec::Alaw | Codec::Slin => 8000,
            Codec::G722 | Codec::Slin16 => 16000,
        }
    }

    /// Units of the RTP timestamp a second.
    pub fn clock_rate(self) -> u32 {
        match self {
            Codec::Slin16 => 16000,
            _ => 8000,
        }
    }

    /// How many samples `payload_bytes` decode to.
    pub fn samples_in(self, payload_bytes: usize) -> usize {
        match self {
            Codec::Ulaw | Codec::Alaw => payload_bytes,
            Codec::G722 => payload_bytes * 2,
            Codec::Slin | Codec::Slin16 => payload_bytes / 2,
        }
    }
}

/// Decodes one stream. Holds state for codecs that need it.
pub enum Decoder {
    Ulaw,
    Alaw,
    G722(Box<G722Decoder>),
    Linear,
}

impl Decoder {
    pub fn new(codec: Codec) -> Decoder {
        match codec {
            Codec::Ulaw => Decoder::Ulaw,
            Codec::Alaw => Decoder::Alaw,
            Codec::G722 => Decoder::G722(Box::new(G722Decoder::new())),
            Codec::Slin | Codec::Slin16 => Decoder::Linear,
        }
    }

    /// Replaces `out` with the samples of `payload`; exactly [`Codec::samples_in`] of them. An odd last octet of linear audio is ignored.
    pub fn decode(&mut self, payload: &[u8], out: &mut Vec<i16>) {
        out.clear();
        match self {
            Decoder::Ulaw => out.extend(payload.iter().map(|&byte| g711::ULAW[usize::from(byte)])),
            Decoder::Alaw => out.extend(payload.iter().map(|&byte| g711::ALAW[usize::from(byte)])),
            Decoder::Linear => out.extend(payload.chunks_exact(2).map(|pair| i16::from_be_bytes([pair[0], pair[1]]))),
            Decoder::G722(state) => {
                out.resize(payload.len() * 2, 0);
                // The only error is a buffer too small, which two samples an octet never is; then silence stays.
                let _ = state.decode_into(payload, out);
            }
        }
    }
}

/// Encodes one stream.
pub enum Encoder {
    Ulaw,
    Alaw,
    G722(Box<G722Encoder>),
    Linear,
}

impl Encoder {
    pub fn new(codec: Codec) -> Encoder {
        match codec {
            Codec::Ulaw => Encoder::Ulaw,
            Codec::Alaw => Encoder::Alaw,
            Codec::G722 => Encoder::G722(Box::new(G722Encoder::new())),
            Codec::Slin | Codec::Slin16 => Encoder::Linear,
        }
    }

    /// Appends the payload of `samples`, which are at the codec's rate. G.722 takes pairs: an odd last sample is ignored.
    pub fn encode(&mut self, samples: &[i16], out: &mut Vec<u8>) {
        match self {
            Encoder::Ulaw => out.extend(samples.iter().map(|&sample| g711::to_ulaw(sample))),
            Encoder::Alaw => out.extend(samples.iter().map(|&sample| g711::to_alaw(sample))),
            Encoder::Linear => samples.iter().for_each(|sample| out.extend_from_slice(&sample.to_be_bytes())),
            Encoder::G722(state) => {
                let start = out.len();
                out.resize(start + samples.len() / 2, 0);
                let written = state.encode_into(&samples[..samples.len() & !1], &mut out[start..]).unwrap_or(0);
                out.truncate(start + written);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: [Codec; 5] = [Codec::Ulaw, Codec::Alaw, Codec::G722, Codec::Slin, Codec::Slin16];

    fn round_trip(codec: Codec, samples: &[i16]) -> Vec<i16> {
        let (mut bytes, mut back) = (Vec::new(), Vec::new());
        Encoder::new(codec).encode(samples, &mut bytes);
        Decoder::new(codec).decode(&bytes, &mut back);
        back
    }

    fn tone(rate: u32, hertz: f64, samples: usize) -> Vec<i16> {
        (0..samples)
            .map(|n| (8000.0 * (std::f64::consts::TAU * hertz * n as f64 / f64::from(rate)).sin()) as i16)
            .collect()
    }

    /// Signal to noise in dB at the best delay (G.722's filters delay by 22 samples or so).
    fn snr_db(sent: &[i16], got: &[i16]) -> f64 {
        (0..32)
            .map(|delay| {
                let pairs = sent[100..sent.len() - 100].iter().zip(&got[100 + delay..]);
                let (power, noise) = pairs.fold((0.0, 0.0), |(power, noise), (&a, &b)| {
                    (power + f64::from(a).powi(2), noise + (f64::from(a) - f64::from(b)).powi(2))
                });
                10.0 * (power / noise.max(1.0)).log10()
            })
            .fold(f64::MIN, f64::max)
    }

    #[test]
    fn every_codec_gives_a_tone_back_with_little_noise() {
        for codec in ALL {
            let sent = tone(codec.sample_rate(), 1000.0, 4000);
            let got = round_trip(codec, &sent);
            assert_eq!(got.len(), sent.len());
            let least = if codec == Codec::G722 { 20.0 } else { 35.0 };
            assert!(snr_db(&sent, &got) > least, "{codec:?}: {} dB", snr_db(&sent, &got));
        }
    }

    #[test]
    fn payload_types_map_to_codecs_and_back() {
        for codec in ALL {
            assert_eq!(PayloadKind::of(codec.payload_type()), PayloadKind::Audio(codec));
        }
        assert_eq!(PayloadKind::of(11), PayloadKind::Audio(Codec::Slin));
        assert_eq!(PayloadKind::of(13), PayloadKind::ComfortNoise);
        assert_eq!(PayloadKind::of(101), PayloadKind::TelephoneEvent);
        assert_eq!(PayloadKind::of(107), PayloadKind::Unknown);
    }

    proptest! {
        #[test]
        fn any_payload_decodes_to_exactly_as_many_samples_as_told(payload in proptest::collection::vec(any::<u8>(), 0..1500), which in 0usize..5) {
            let codec = ALL[which];
            let mut out = Vec::new();
            let mut decoder = Decoder::new(codec);
            for _ in 0..3 {
                decoder.decode(&payload, &mut out);
                prop_assert_eq!(out.len(), codec.samples_in(payload.len()));
            }
        }
    }
}
