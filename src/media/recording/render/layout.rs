//! How long the WAV is, and how it begins. Known before a sample is read, so that HTTP ranges work.

use super::RenderError;
use aimg_domain::recording::Recording;

/// Data up to this fits RIFF's 32 bits; above, it is RF64 (EBU Tech 3306).
const RIFF_DATA_MAX: u64 = u32::MAX as u64 - 36;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WavLayout {
    channels: u16,
    rate: u32,
    samples: u64,
}

impl WavLayout {
    /// As long as the end of the last segment.
    pub fn of(recording: &Recording) -> Result<WavLayout, RenderError> {
        if !(1..=2).contains(&recording.channels) {
            return Err(RenderError::Channels(recording.channels));
        }
        let samples = recording
            .segments
            .iter()
            .map(|segment| segment.from_media_time.saturating_add(segment.samples))
            .max()
            .unwrap_or(0);
        // A length no recording has; keeps all sums below within 64 bits.
        Ok(WavLayout {
            channels: recording.channels,
            rate: recording.sample_rate,
            samples: samples.min(1 << 48),
        })
    }

    pub fn channels(&self) -> u16 {
        self.channels
    }

    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// Of one channel.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    pub fn frame_bytes(&self) -> u64 {
        u64::from(self.channels) * 2
    }

    pub fn duration_ms(&self) -> u64 {
        self.samples * 1000 / u64::from(self.rate.max(1))
    }

    fn data_bytes(&self) -> u64 {
        self.samples * self.frame_bytes()
    }

    pub fn is_rf64(&self) -> bool {
        self.data_bytes() > RIFF_DATA_MAX
    }

    /// Bytes of the file.
    #[allow(clippy::len_without_is_empty, reason = "a WAV always has its header")]
    pub fn len(&self) -> u64 {
        self.header().len() as u64 + self.data_bytes()
    }

    pub fn header(&self) -> Vec<u8> {
        let data = self.data_bytes();
        let long = self.is_rf64();
        let narrow = |wide: u64| u32::try_from(wide).unwrap_or(u32::MAX).to_le_bytes();
        let mut out = Vec::with_capacity(80);
        out.extend_from_slice(if long { b"RF64" } else { b"RIFF" });
        out.extend_from_slice(&if long { [0xff; 4] } else { narrow(data + 36) });
        out.extend_from_slice(b"WAVE");
        if long {
            out.extend_from_slice(b"ds64");
            out.extend_from_slice(&28u32.to_le_bytes());
            out.extend_from_slice(&(data + 72).to_le_bytes());
            out.extend_from_slice(&data.to_le_bytes());
            out.extend_from_slice(&self.samples.to_le_bytes());
            out.extend_from_slice(&0u32.to_le_bytes());
        }
        out.extend_from_slice(b"fmt ");
        out.extend_from_slice(&16u32.to_le_bytes());
        out.extend_from_slice(&1u16.to_le_bytes());
        out.extend_from_slice(&self.channels.to_le_bytes());
        out.extend_from_slice(&self.rate.to_le_bytes());
        out.extend_from_slice(&narrow(u64::from(self.rate) * self.frame_bytes()));
        out.extend_from_slice(&(self.channels * 2).to_le_bytes());
        out.extend_from_slice(&16u16.to_le_bytes());
        out.extend_from_slice(b"data");
        out.extend_from_slice(&if long { [0xff; 4] } else { narrow(data) });
        out
    }
}
