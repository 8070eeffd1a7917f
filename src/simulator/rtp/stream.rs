//! One stream: which samples are next, their packet, and what the line does to it. No clock: the sender says which frame it is.

use super::StreamInfo;
use super::codec::{Coder, Format};
use crate::audio::voice::{FRAME, Feed};
use crate::clock::SimTime;
use crate::config::Impairment;
use crate::rng::Rng;
use std::net::SocketAddr;

pub(crate) struct Stream {
    feeds: Vec<(Feed, u64)>,
    coder: Coder,
    format: Format,
    rng: Rng,
    sequence: u16,
    timestamp: u32,
    /// The next packet follows silence.
    resumes: bool,
    /// Kept back to leave after its successor.
    held_back: Option<Vec<u8>>,
    pub(crate) info: StreamInfo,
}

/// A packet and how many ticks it is late.
pub(crate) struct Outgoing {
    pub(crate) packet: Vec<u8>,
    pub(crate) late_ms: u32,
}

impl Stream {
    pub(crate) fn new(channel: String, local: SocketAddr, remote: SocketAddr, format: Format, seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let ssrc = (rng.next() >> 32) as u32;
        let info = StreamInfo {
            channel,
            local,
            remote,
            payload_type: format.payload_type(),
            ssrc,
            packets_sent: 0,
            packets_dropped: 0,
            packets_received: 0,
            packets_playable: 0,
        };
        let (sequence, timestamp) = ((rng.next() >> 48) as u16, (rng.next() >> 32) as u32);
        Self {
            feeds: Vec::new(),
            coder: Coder::new(format),
            format,
            rng,
            sequence,
            timestamp,
            resumes: true,
            held_back: None,
            info,
        }
    }

    /// Feeds that go on keep their place, so that a change elsewhere makes no click.
    pub(crate) fn feed(&mut self, feeds: Vec<Feed>, at: SimTime) {
        let old = std::mem::take(&mut self.feeds);
        self.feeds = feeds
            .into_iter()
            .map(|feed| {
                let place = old
                    .iter()
                    .find(|(known, _)| *known == feed)
                    .map_or_else(|| feed.voice.position(at), |(_, place)| *place);
                (feed, place)
            })
            .collect();
    }

    /// The next 20 ms.
    pub(crate) fn next_packets(&mut self, impairment: Impairment, out: &mut Vec<Outgoing>) {
        let step = self.format.step();
        self.timestamp = self.timestamp.wrapping_add(step);
        if self.feeds.is_empty() {
            self.resumes = true;
            return;
        }
        let packet = self.packet();
        self.resumes = false;
        self.sequence = self.sequence.wrapping_add(1);
        if self.rng.chance(impairment.loss) {
            self.info.packets_dropped += 1;
            return;
        }
        let late_ms = u32::try_from(self.rng.below(u64::from(impairment.jitter_ms_max) + 1)).unwrap_or(0);
        if self.held_back.is_none() && self.rng.chance(impairment.reorder) {
            self.held_back = Some(packet);
            return;
        }
        out.push(Outgoing { packet, late_ms });
        if let Some(packet) = self.held_back.take() {
            out.push(Outgoing { packet, late_ms });
        }
    }

    fn packet(&mut self) -> Vec<u8> {
        let mut frame = [0i16; FRAME];
        for (feed, place) in &mut self.feeds {
            if let Some(from) = place.checked_sub(feed.delay) {
                feed.voice.mix_into(from, &mut frame);
            }
            *place += FRAME as u64;
        }
        let mut packet = Vec::with_capacity(12 + 640);
        packet.push(0x80);
        packet.push(self.info.payload_type | if self.resumes { 0x80 } else { 0 });
        packet.extend(self.sequence.to_be_bytes());
        packet.extend(self.timestamp.to_be_bytes());
        packet.extend(self.info.ssrc.to_be_bytes());
        self.coder.encode(&frame, &mut packet);
        packet
    }

    pub(crate) fn received(&mut self, packet: &[u8]) {
        self.info.packets_received += 1;
        let kind = packet.get(1).map(|byte| byte & 0x7f);
        if packet.len() >= 12 && matches!(kind, Some(0 | 3 | 8..=11)) {
            self.info.packets_playable += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::audio::voice::Voice;

    fn stream() -> Stream {
        let address = SocketAddr::from(([127, 0, 0, 1], 4000));
        Stream::new("em".to_owned(), address, address, Format::Ulaw, 9)
    }

    fn header(packet: &[u8]) -> (bool, u16, u32) {
        (
            packet[1] & 0x80 != 0,
            u16::from_be_bytes([packet[2], packet[3]]),
            u32::from_be_bytes(packet[4..8].try_into().unwrap()),
        )
    }

    #[test]
    fn silence_is_a_timestamp_jump_with_marker_and_no_sequence_gap() {
        let mut stream = stream();
        let feed = Feed {
            voice: Voice::pair(1, 1, SimTime(0))[0],
            delay: 0,
        };
        let mut out = Vec::new();
        stream.feed(vec![feed], SimTime(0));
        stream.next_packets(Impairment::default(), &mut out);
        stream.feed(Vec::new(), SimTime(20_000));
        for _ in 0..5 {
            stream.next_packets(Impairment::default(), &mut out);
        }
        stream.feed(vec![feed], SimTime(120_000));
        stream.next_packets(Impairment::default(), &mut out);
        stream.next_packets(Impairment::default(), &mut out);
        let headers: Vec<_> = out.iter().map(|outgoing| header(&outgoing.packet)).collect();
        assert_eq!(headers.len(), 3);
        assert_eq!(headers.iter().map(|(marker, ..)| *marker).collect::<Vec<_>>(), [true, true, false]);
        assert_eq!(headers[1].1, headers[0].1.wrapping_add(1));
        assert_eq!(headers[1].2, headers[0].2.wrapping_add(6 * 160));
        assert_eq!(headers[2].2, headers[1].2.wrapping_add(160));
    }

    #[test]
    fn loss_leaves_gaps_and_reordering_swaps_neighbours_without_losing_one() {
        let mut stream = stream();
        stream.feed(
            vec![Feed {
                voice: Voice::pair(1, 1, SimTime(0))[0],
                delay: 0,
            }],
            SimTime(0),
        );
        let mut out = Vec::new();
        for _ in 0..500 {
            stream.next_packets(
                Impairment {
                    loss: 0.2,
                    reorder: 0.1,
                    ..Impairment::default()
                },
                &mut out,
            );
        }
        let sequences: Vec<u16> = out.iter().map(|outgoing| header(&outgoing.packet).1).collect();
        assert!((60..140).contains(&stream.info.packets_dropped));
        assert!(sequences.windows(2).any(|pair| pair[1] == pair[0].wrapping_sub(1)));
        assert!(out.len() as u64 + stream.info.packets_dropped >= 499);
    }
}
