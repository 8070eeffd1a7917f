//! G.711 by table: 256 entries to decode, the segment's number to encode.

pub(super) const ULAW: [i16; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = from_ulaw(byte as u8);
        byte += 1;
    }
    table
};

pub(super) const ALAW: [i16; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = from_alaw(byte as u8);
        byte += 1;
    }
    table
};

/// µ-law works on 14 bits with 33 added; on 16 bits that is 132.
const BIAS: i32 = 132;
const ULAW_MAX: i32 = 32635;

const fn from_ulaw(byte: u8) -> i16 {
    let bits = !byte as i32;
    let magnitude = ((((bits & 0x0f) << 3) + BIAS) << ((bits >> 4) & 7)) - BIAS;
    (if bits & 0x80 != 0 { -magnitude } else { magnitude }) as i16
}

const fn from_alaw(byte: u8) -> i16 {
    // Every second bit is inverted on the line.
    let bits = (byte ^ 0x55) as i32;
    let (segment, step) = ((bits >> 4) & 7, bits & 0x0f);
    let magnitude = match segment {
        0 => (step << 4) + 8,
        _ => ((step << 4) + 0x108) << (segment - 1),
    };
    (if bits & 0x80 != 0 { magnitude } else { -magnitude }) as i16
}

pub(super) fn to_ulaw(sample: i16) -> u8 {
    let sample = i32::from(sample);
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = sample.abs().min(ULAW_MAX) + BIAS;
    let segment = (31 - magnitude.leading_zeros()).saturating_sub(7);
    !(sign | (segment << 4) as u8 | ((magnitude >> (segment + 3)) & 0x0f) as u8)
}

pub(super) fn to_alaw(sample: i16) -> u8 {
    // Negative values are ones' complements, so that the decision levels mirror.
    let (sign, magnitude) = if sample < 0 { (0, !i32::from(sample)) } else { (0x80, i32::from(sample)) };
    let segment = (31 - (magnitude | 1).leading_zeros()).saturating_sub(7);
    let step = (magnitude >> if segment == 0 { 4 } else { segment + 3 }) & 0x0f;
    (sign | (segment << 4) as u8 | step as u8) ^ 0x55
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values_decode_as_the_recommendation_says() {
        for (byte, sample) in [(0x00, -32124), (0x80, 32124), (0xff, 0), (0x7f, 0), (0x8f, 16764), (0xfe, 8)] {
            assert_eq!(ULAW[byte], sample, "µ {byte:#x}");
        }
        for (byte, sample) in [(0xd5, 8), (0x55, -8), (0xaa, 32256), (0x2a, -32256), (0x80, 5504), (0x85, 4224)] {
            assert_eq!(ALAW[byte], sample, "A {byte:#x}");
        }
    }

    #[test]
    fn every_code_is_its_own_nearest() {
        for byte in 0..=255u8 {
            let sample = ULAW[usize::from(byte)];
            assert_eq!(ULAW[usize::from(to_ulaw(sample))], sample, "µ {byte:#x}");
            assert_eq!(to_alaw(ALAW[usize::from(byte)]), byte, "A {byte:#x}");
        }
    }

    #[test]
    fn the_error_is_at_most_half_a_step_which_grows_with_the_sample() {
        for (to, table) in [(to_ulaw as fn(i16) -> u8, &ULAW), (to_alaw, &ALAW)] {
            for sample in (i16::MIN..=i16::MAX).step_by(7) {
                let error = (i32::from(table[usize::from(to(sample))]) - i32::from(sample)).abs();
                assert!(error <= (i32::from(sample).abs() + 132) / 30 + 8, "{sample}: {error}");
            }
        }
    }
}
