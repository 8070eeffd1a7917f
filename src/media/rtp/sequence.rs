//! Sequence numbers and timestamps that never wrap (RFC 3550, A.1).

/// Forward jumps below this are loss; above, a sender that began anew.
const MAX_DROPOUT: u16 = 3000;
/// Backward steps up to this are reordering.
const MAX_MISORDER: u16 = 100;

/// What a sequence number means after the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extended {
    /// Continues the known sequence, in or out of order.
    Continues(u64),
    /// Far off; believed when its successor follows.
    Doubtful,
    /// The second in a row of a new sequence, which begins here.
    Restarted(u64),
}

/// Extends 16 bits to 64. Starts high enough that reordering never goes below zero.
#[derive(Clone, Debug, Default)]
pub struct SequenceExtender {
    highest: Option<u64>,
    /// The sequence number that would confirm a restart.
    awaited: Option<u16>,
}

impl SequenceExtender {
    pub fn extend(&mut self, sequence: u16) -> Extended {
        let Some(highest) = self.highest else {
            return Extended::Continues(self.anchor(0, sequence));
        };
        let low = (highest & 0xffff) as u16;
        let ahead = sequence.wrapping_sub(low);
        let behind = low.wrapping_sub(sequence);
        if ahead < MAX_DROPOUT {
            let extended = highest + u64::from(ahead);
            self.highest = Some(extended);
            self.awaited = None;
            Extended::Continues(extended)
        } else if behind <= MAX_MISORDER {
            self.awaited = None;
            Extended::Continues(highest - u64::from(behind))
        } else if self.awaited == Some(sequence) {
            Extended::Restarted(self.anchor(highest, sequence))
        } else {
            self.awaited = Some(sequence.wrapping_add(1));
            Extended::Doubtful
        }
    }

    /// Two cycles above all before, so that neither `highest` nor what may be reordered below it meets the old sequence.
    fn anchor(&mut self, floor: u64, sequence: u16) -> u64 {
        let extended = (((floor >> 16) + 2) << 16) | u64::from(sequence);
        self.highest = Some(extended);
        self.awaited = None;
        extended
    }
}

/// Extends RTP timestamps relative to the last one, up to half the range either way.
#[derive(Clone, Debug, Default)]
pub struct TimestampExtender {
    last: Option<(u32, i64)>,
}

impl TimestampExtender {
    pub fn extend(&mut self, timestamp: u32) -> i64 {
        let extended = match self.last {
            None => 0,
            Some((low, full)) => full + i64::from(timestamp.wrapping_sub(low) as i32),
        };
        self.last = Some((timestamp, extended));
        extended
    }

    pub fn reset(&mut self) {
        self.last = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn continued(extender: &mut SequenceExtender, sequence: u16) -> u64 {
        match extender.extend(sequence) {
            Extended::Continues(n) => n,
            other => panic!("{sequence}: {other:?}"),
        }
    }

    #[test]
    fn a_wrap_goes_on_counting_and_a_late_packet_lies_below_it() {
        let mut extender = SequenceExtender::default();
        let first = continued(&mut extender, 65534);
        assert_eq!(continued(&mut extender, 65535), first + 1);
        assert_eq!(continued(&mut extender, 1), first + 3);
        assert_eq!(continued(&mut extender, 0), first + 2);
        assert_eq!(continued(&mut extender, 2), first + 4);
    }

    #[test]
    fn one_stray_is_doubted_and_two_in_a_row_begin_anew() {
        let mut extender = SequenceExtender::default();
        let first = continued(&mut extender, 10);
        assert_eq!(extender.extend(30000), Extended::Doubtful);
        assert_eq!(continued(&mut extender, 11), first + 1);
        assert_eq!(extender.extend(30001), Extended::Doubtful, "11 in between: not in a row");
        let Extended::Restarted(second) = extender.extend(30002) else {
            panic!("not believed")
        };
        assert!(second > first + 65536);
        assert_eq!(continued(&mut extender, 30003), second + 1);
    }

    proptest! {
        #[test]
        fn a_steady_sequence_counts_by_one_from_anywhere(start: u16, n in 1usize..70_000) {
            let mut extender = SequenceExtender::default();
            let first = continued(&mut extender, start);
            let mut sequence = start;
            for i in 1..n.min(3000) + n / 40 {
                sequence = sequence.wrapping_add(1);
                prop_assert_eq!(continued(&mut extender, sequence), first + i as u64);
            }
        }

        #[test]
        fn timestamps_keep_their_differences_over_the_wrap(start: u32, steps in proptest::collection::vec(-100_000i32..1_000_000, 0..50)) {
            let mut extender = TimestampExtender::default();
            let (mut low, mut full) = (start, 0i64);
            prop_assert_eq!(extender.extend(low), 0);
            for step in steps {
                low = low.wrapping_add(step as u32);
                full += i64::from(step);
                prop_assert_eq!(extender.extend(low), full);
            }
        }
    }
}
