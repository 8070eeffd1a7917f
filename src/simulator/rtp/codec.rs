//! The formats Asterisk offers on external media, and their bytes.

use crate::config::Style;
use audio_codec::Encoder as _;
use audio_codec::g722::G722Encoder;
use std::sync::OnceLock;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Ulaw,
    Alaw,
    G722,
    /// 8 kHz, big-endian, payload type 10.
    Slin,
    /// 16 kHz, big-endian, payload type 118.
    Slin16,
}

impl Format {
    /// As `format=` names it; 16 offers slin and sends ulaw.
    pub(crate) fn parse(name: &str, style: Style) -> Option<Self> {
        match name {
            "ulaw" => Some(Format::Ulaw),
            "alaw" => Some(Format::Alaw),
            "g722" => Some(Format::G722),
            "slin" if style == Style::Asterisk16 => Some(Format::Ulaw),
            "slin" => Some(Format::Slin),
            "slin16" => Some(Format::Slin16),
            _ => None,
        }
    }

    pub(crate) fn payload_type(self) -> u8 {
        match self {
            Format::Ulaw => 0,
            Format::Alaw => 8,
            Format::G722 => 9,
            Format::Slin => 10,
            Format::Slin16 => 118,
        }
    }

    /// Timestamp units of a 20 ms packet. G.722 counts 8 kHz although it is 16 (RFC 3551).
    pub(crate) fn step(self) -> u32 {
        if self == Format::Slin16 { 320 } else { 160 }
    }
}

pub(crate) enum Coder {
    Plain(Format),
    G722(Box<G722Encoder>),
}

impl Coder {
    pub(crate) fn new(format: Format) -> Self {
        if format == Format::G722 {
            Coder::G722(Box::new(G722Encoder::new()))
        } else {
            Coder::Plain(format)
        }
    }

    /// Appends 20 ms, given at 16 kHz.
    pub(crate) fn encode(&mut self, frame: &[i16], into: &mut Vec<u8>) {
        match self {
            Coder::Plain(Format::Slin16) => into.extend(frame.iter().flat_map(|sample| sample.to_be_bytes())),
            Coder::Plain(Format::Slin) => into.extend(halved(frame).flat_map(i16::to_be_bytes)),
            Coder::Plain(Format::Alaw) => into.extend(halved(frame).map(|sample| laws().1[law_index(sample)])),
            Coder::Plain(_) => into.extend(halved(frame).map(|sample| laws().0[law_index(sample)])),
            Coder::G722(encoder) => {
                let from = into.len();
                into.resize(from + frame.len() / 2, 0);
                // The room is what 64 kbit/s needs; a short answer would leave zeros, never a panic.
                let _ = encoder.encode_into(frame, &mut into[from..]);
            }
        }
    }
}

/// Two to one, averaging: the voices have next to nothing above 4 kHz.
pub(crate) fn halved(frame: &[i16]) -> impl Iterator<Item = i16> {
    frame
        .chunks_exact(2)
        .map(|pair| i16::try_from((i32::from(pair[0]) + i32::from(pair[1])) / 2).unwrap_or(0))
}

/// Both laws have at most 14 bits: a table of 16384 serves.
fn law_index(sample: i16) -> usize {
    usize::from((sample as u16) >> 2)
}

fn laws() -> &'static (Vec<u8>, Vec<u8>) {
    static LAWS: OnceLock<(Vec<u8>, Vec<u8>)> = OnceLock::new();
    LAWS.get_or_init(|| {
        let samples = || (0..=u16::MAX).step_by(4).map(|bits| bits as i16);
        (samples().map(ulaw).collect(), samples().map(alaw).collect())
    })
}

/// G.711 µ-law of a 16-bit sample.
fn ulaw(sample: i16) -> u8 {
    let magnitude = (i32::from(sample).abs().min(32_635)) + 0x84;
    let exponent = (magnitude >> 7).ilog2();
    let mantissa = (magnitude >> (exponent + 3)) & 0x0f;
    let sign = if sample < 0 { 0x80 } else { 0 };
    !u8::try_from(sign | i32::try_from(exponent << 4).unwrap_or(0) | mantissa).unwrap_or(0)
}

/// G.711 A-law of a 16-bit sample.
fn alaw(sample: i16) -> u8 {
    let (sign, magnitude) = if sample >= 0 {
        (0x80, i32::from(sample))
    } else {
        (0, -i32::from(sample) - 1)
    };
    let compressed = if magnitude >= 256 {
        let exponent = (magnitude >> 7).ilog2();
        (i32::try_from(exponent).unwrap_or(0) << 4) | ((magnitude >> (exponent + 3)) & 0x0f)
    } else {
        magnitude >> 4
    };
    u8::try_from(sign | compressed).unwrap_or(0) ^ 0x55
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use audio_codec::Decoder as _;
    use audio_codec::pcma::PcmaDecoder;
    use audio_codec::pcmu::PcmuDecoder;

    #[test]
    fn an_independent_decoder_reads_both_laws_back() {
        for sample in (i16::MIN..=i16::MAX).step_by(4) {
            let mut decoded = [0i16; 2];
            PcmuDecoder::new().decode_into(&[ulaw(sample)], &mut decoded[..1]).unwrap();
            PcmaDecoder::new().decode_into(&[alaw(sample)], &mut decoded[1..]).unwrap();
            // A step of G.711 is a sixteenth of its segment.
            let tolerance = 16 + (i32::from(sample).abs() / 16);
            for value in decoded {
                assert!((i32::from(value) - i32::from(sample)).abs() <= tolerance, "{sample} became {value}");
            }
        }
    }

    #[test]
    fn a_frame_has_the_bytes_that_asterisk_sends() {
        let frame = [1000i16; 320];
        for (format, bytes) in [
            (Format::Ulaw, 160),
            (Format::Alaw, 160),
            (Format::G722, 160),
            (Format::Slin, 320),
            (Format::Slin16, 640),
        ] {
            let mut out = Vec::new();
            Coder::new(format).encode(&frame, &mut out);
            assert_eq!(out.len(), bytes, "{format:?}");
        }
        assert_eq!(Format::parse("slin", Style::Asterisk16), Some(Format::Ulaw));
        assert_eq!(Format::parse("nonsense", Style::Asterisk22), None);
    }
}
