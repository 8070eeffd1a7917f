//! Reads a WAV file: RIFF, PCM, 16 bit.

#[derive(Debug)]
pub struct Wav {
    /// In Hz.
    pub rate: u32,
    pub channels: Vec<Vec<i16>>,
}

impl Wav {
    pub fn read(bytes: &[u8]) -> Result<Wav, String> {
        if bytes.get(..4) != Some(b"RIFF") || bytes.get(8..12) != Some(b"WAVE") {
            return Err("not a RIFF WAVE file".into());
        }
        if u32_at(bytes, 4)? as usize != bytes.len() - 8 {
            return Err(format!("the RIFF size {} is not that of {} bytes", u32_at(bytes, 4)?, bytes.len()));
        }
        let format = chunk(bytes, b"fmt ")?;
        let (coding, channels, bits) = (u16_at(format, 0)?, u16_at(format, 2)?, u16_at(format, 14)?);
        if coding != 1 || bits != 16 || channels == 0 {
            return Err(format!("not 16 bit PCM: coding {coding}, {bits} bits, {channels} channels"));
        }
        let samples: Vec<i16> = chunk(bytes, b"data")?
            .chunks_exact(2)
            .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
            .collect();
        let count = usize::from(channels);
        Ok(Wav {
            rate: u32_at(format, 4)?,
            channels: (0..count).map(|n| samples.iter().skip(n).step_by(count).copied().collect()).collect(),
        })
    }

    /// In milliseconds.
    pub fn duration_ms(&self) -> u64 {
        self.channels[0].len() as u64 * 1000 / u64::from(self.rate)
    }
}

fn chunk<'a>(bytes: &'a [u8], name: &[u8; 4]) -> Result<&'a [u8], String> {
    let mut at = 12;
    while at + 8 <= bytes.len() {
        let size = u32_at(bytes, at + 4)? as usize;
        if &bytes[at..at + 4] == name {
            return bytes.get(at + 8..at + 8 + size).ok_or_else(|| "a chunk is cut short".to_owned());
        }
        at += 8 + size + size % 2;
    }
    Err(format!("no chunk {}", String::from_utf8_lossy(name)))
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, String> {
    let two = bytes.get(at..at + 2).ok_or("cut short")?;
    Ok(u16::from_le_bytes([two[0], two[1]]))
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, String> {
    let four = bytes.get(at..at + 4).ok_or("cut short")?;
    Ok(u32::from_le_bytes([four[0], four[1], four[2], four[3]]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stereo_file_is_read_channel_by_channel() {
        let mut bytes = b"RIFF\0\0\0\0WAVEfmt ".to_vec();
        bytes.extend(16u32.to_le_bytes());
        for (value, size) in [(1u32, 2), (2, 2), (8000, 4), (32000, 4), (4, 2), (16, 2)] {
            bytes.extend(&value.to_le_bytes()[..size]);
        }
        bytes.extend(b"data");
        bytes.extend(8u32.to_le_bytes());
        for sample in [1i16, -1, 2, -2] {
            bytes.extend(sample.to_le_bytes());
        }
        let size = (bytes.len() - 8) as u32;
        bytes[4..8].copy_from_slice(&size.to_le_bytes());
        let wav = Wav::read(&bytes).unwrap();
        assert_eq!((wav.rate, wav.channels), (8000, vec![vec![1, 2], vec![-1, -2]]));
        assert!(Wav::read(&bytes[..bytes.len() - 1]).is_err());
    }
}
