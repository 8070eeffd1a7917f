//! Which SSRC is believed: the first, until another has sent several packets and the first none.

const CONFIRMATIONS: u32 = 5;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    Known,
    /// The sender has changed with this packet.
    New,
    Stranger,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Sender {
    pinned: Option<u32>,
    candidate: Option<(u32, u32)>,
    changes: u64,
    /// The next one is right.
    open: bool,
}

impl Sender {
    pub(super) fn judge(&mut self, ssrc: u32) -> Trust {
        match self.pinned {
            None => {
                self.pinned = Some(ssrc);
                return Trust::Known;
            }
            Some(pinned) if pinned == ssrc => {
                self.candidate = None;
                return Trust::Known;
            }
            Some(_) => {}
        }
        let count = match self.candidate {
            Some((candidate, count)) if candidate == ssrc => count + 1,
            _ => 1,
        };
        if self.open || count >= CONFIRMATIONS {
            self.pinned = Some(ssrc);
            self.candidate = None;
            self.open = false;
            self.changes += 1;
            return Trust::New;
        }
        self.candidate = Some((ssrc, count));
        Trust::Stranger
    }

    pub(super) fn forget(&mut self) {
        self.open = true;
    }

    pub(super) fn ssrc(&self) -> Option<u32> {
        self.pinned
    }

    pub(super) fn changes(&self) -> u64 {
        self.changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_in_a_row_change_the_sender_and_one_of_the_old_starts_the_count_again() {
        let mut sender = Sender::default();
        assert_eq!(sender.judge(1), Trust::Known);
        for _ in 0..4 {
            assert_eq!(sender.judge(2), Trust::Stranger);
        }
        assert_eq!(sender.judge(1), Trust::Known);
        for _ in 0..4 {
            assert_eq!(sender.judge(2), Trust::Stranger);
        }
        assert_eq!(sender.judge(3), Trust::Stranger, "another one in between");
        for _ in 0..4 {
            assert_eq!(sender.judge(2), Trust::Stranger);
        }
        assert_eq!(sender.judge(2), Trust::New);
        assert_eq!((sender.ssrc(), sender.changes()), (Some(2), 1));
    }

    #[test]
    fn an_expected_change_is_believed_at_once() {
        let mut sender = Sender::default();
        sender.judge(1);
        sender.forget();
        assert_eq!(sender.judge(1), Trust::Known);
        assert_eq!(sender.judge(2), Trust::New);
        assert_eq!(sender.judge(1), Trust::Stranger);
    }
}
