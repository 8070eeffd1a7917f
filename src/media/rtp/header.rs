//! The fixed header, CSRC list, extension and padding (RFC 3550, 5.1 and 5.3.1).

use thiserror::Error;

/// Longest datagram that is looked at: an Ethernet frame and then some.
pub const MAX_PACKET_BYTES: usize = 2048;
const FIXED_BYTES: usize = 12;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub marker: bool,
    /// 0 to 127.
    pub payload_type: u8,
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    pub header: Header,
    /// Without CSRCs, extension and padding. May be empty.
    pub payload: &'a [u8],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ParseError {
    #[error("shorter than its header says")]
    Short,
    #[error("not version 2")]
    Version,
    #[error("the padding is longer than the packet")]
    Padding,
    #[error("RTCP")]
    Rtcp,
}

/// RFC 5761, 4: the second octet of RTCP, 192 to 223, is a payload type that RTP must not use beside it.
pub fn is_rtcp(datagram: &[u8]) -> bool {
    datagram.len() >= 2 && datagram[0] >> 6 == 2 && (192..=223).contains(&datagram[1])
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, ParseError> {
    let pair = bytes.get(at..at + 2).ok_or(ParseError::Short)?;
    Ok(u16::from_be_bytes([pair[0], pair[1]]))
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, ParseError> {
    let four = bytes.get(at..at + 4).ok_or(ParseError::Short)?;
    Ok(u32::from_be_bytes([four[0], four[1], four[2], four[3]]))
}

impl<'a> Packet<'a> {
    pub fn parse(datagram: &'a [u8]) -> Result<Packet<'a>, ParseError> {
        if datagram.len() < FIXED_BYTES {
            return Err(ParseError::Short);
        }
        if datagram[0] >> 6 != 2 {
            return Err(ParseError::Version);
        }
        if is_rtcp(datagram) {
            return Err(ParseError::Rtcp);
        }
        let header = Header {
            marker: datagram[1] & 0x80 != 0,
            payload_type: datagram[1] & 0x7f,
            sequence: u16_at(datagram, 2)?,
            timestamp: u32_at(datagram, 4)?,
            ssrc: u32_at(datagram, 8)?,
        };
        let mut start = FIXED_BYTES + 4 * usize::from(datagram[0] & 0x0f);
        if datagram[0] & 0x10 != 0 {
            start += 4 + 4 * usize::from(u16_at(datagram, start + 2)?);
        }
        let body = datagram.get(start..).ok_or(ParseError::Short)?;
        Ok(Packet {
            header,
            payload: unpadded(datagram[0] & 0x20 != 0, body)?,
        })
    }
}

fn unpadded(padded: bool, body: &[u8]) -> Result<&[u8], ParseError> {
    if !padded {
        return Ok(body);
    }
    match body.last() {
        Some(&count) if count != 0 && usize::from(count) <= body.len() => Ok(&body[..body.len() - usize::from(count)]),
        _ => Err(ParseError::Padding),
    }
}

/// Appends a packet without CSRCs, extension or padding to `out`.
pub fn write(header: &Header, payload: &[u8], out: &mut Vec<u8>) {
    out.reserve(FIXED_BYTES + payload.len());
    out.push(0x80);
    out.push((u8::from(header.marker) << 7) | (header.payload_type & 0x7f));
    out.extend_from_slice(&header.sequence.to_be_bytes());
    out.extend_from_slice(&header.timestamp.to_be_bytes());
    out.extend_from_slice(&header.ssrc.to_be_bytes());
    out.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use proptest::prelude::*;

    const HEADER: Header = Header {
        marker: true,
        payload_type: 118,
        sequence: 0xfffe,
        timestamp: 0x1234_5678,
        ssrc: 0xdead_beef,
    };

    fn packet(first: u8, rest: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        write(&HEADER, rest, &mut bytes);
        bytes[0] = first;
        bytes
    }

    #[test]
    fn csrcs_extension_and_padding_are_cut_off() {
        let csrcs = [1u8; 8];
        let extension = [0xbe, 0xde, 0, 1, 9, 9, 9, 9];
        let all: Vec<u8> = csrcs.iter().chain(&extension).copied().chain([7, 8, 0, 0, 3]).collect();
        for (first, rest, payload) in [
            (0x80, vec![7, 8], vec![7, 8]),
            (0x82, [&csrcs[..], &[7, 8]].concat(), vec![7, 8]),
            (0x90, [&extension[..], &[7, 8]].concat(), vec![7, 8]),
            (0xa0, vec![7, 8, 0, 2], vec![7, 8]),
            (0xa0, vec![0, 2], vec![]),
            (0xb2, all, vec![7, 8]),
            (0x80, vec![], vec![]),
        ] {
            let bytes = packet(first, &rest);
            let parsed = Packet::parse(&bytes).unwrap();
            assert_eq!((parsed.header, parsed.payload), (HEADER, &payload[..]), "first octet {first:#x}");
        }
    }

    #[test]
    fn what_is_not_rtp_is_refused_with_the_reason() {
        for (bytes, why) in [
            (vec![], ParseError::Short),
            (vec![0x80; 11], ParseError::Short),
            (packet(0x40, &[1]), ParseError::Version),
            (packet(0x8f, &[0; 59]), ParseError::Short),
            (packet(0x90, &[0, 0, 0]), ParseError::Short),
            (packet(0x90, &[0, 0, 0xff, 0xff, 1]), ParseError::Short),
            (packet(0xa0, &[]), ParseError::Padding),
            (packet(0xa0, &[1, 0]), ParseError::Padding),
            (packet(0xa0, &[1, 3]), ParseError::Padding),
            (vec![0x80, 200, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0], ParseError::Rtcp),
        ] {
            assert_eq!(Packet::parse(&bytes), Err(why), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(packet) = Packet::parse(&bytes) {
                prop_assert!(packet.payload.len() + FIXED_BYTES <= bytes.len());
            }
        }

        #[test]
        fn what_was_written_is_read(marker: bool, payload_type in 0u8..64, sequence: u16, timestamp: u32, ssrc: u32, payload in proptest::collection::vec(any::<u8>(), 0..400)) {
            let header = Header { marker, payload_type, sequence, timestamp, ssrc };
            let mut bytes = Vec::new();
            write(&header, &payload, &mut bytes);
            let parsed = Packet::parse(&bytes).unwrap();
            prop_assert_eq!((parsed.header, parsed.payload), (header, &payload[..]));
        }
    }
}
