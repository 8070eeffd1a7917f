//! A roll-up at rest: u16 schema version, then eight bytes each, big-endian: count, sum, min, max, last, and when
//! the last was. Binary, because there is one a second and series.

use aimg_domain::Timestamp;
use aimg_domain::metric::{Point, Rollup};
use aimg_store::StoreError;

const SCHEMA: u16 = 1;
const LENGTH: usize = 50;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
    last: f64,
    last_at: i64,
}

impl Row {
    pub fn of(point: &Point) -> Row {
        Row {
            count: 1,
            sum: point.value,
            min: point.value,
            max: point.value,
            last: point.value,
            last_at: point.at.0,
        }
    }

    /// `later` was written later; its points may still be older.
    pub fn merge(&mut self, later: &Row) {
        self.count = self.count.saturating_add(later.count);
        self.sum += later.sum;
        self.min = self.min.min(later.min);
        self.max = self.max.max(later.max);
        if later.last_at >= self.last_at {
            self.last = later.last;
            self.last_at = later.last_at;
        }
    }

    pub fn rollup(&self, at: Timestamp) -> Rollup {
        Rollup {
            at,
            count: self.count,
            sum: self.sum,
            min: self.min,
            max: self.max,
            last: self.last,
        }
    }

    pub fn encode(&self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        bytes[..2].copy_from_slice(&SCHEMA.to_be_bytes());
        let numbers = [
            self.count,
            self.sum.to_bits(),
            self.min.to_bits(),
            self.max.to_bits(),
            self.last.to_bits(),
            self.last_at.cast_unsigned(),
        ];
        for (place, number) in bytes[2..].chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_be_bytes());
        }
        bytes
    }

    pub fn decode(bytes: &[u8]) -> Result<Row, StoreError> {
        let unreadable = || StoreError::Corrupt("series.redb: a roll-up".into());
        let bytes: &[u8; LENGTH] = bytes.try_into().map_err(|_| unreadable())?;
        if bytes[..2] != SCHEMA.to_be_bytes() {
            return Err(unreadable());
        }
        let number = |i: usize| {
            let mut eight = [0; 8];
            eight.copy_from_slice(&bytes[2 + 8 * i..10 + 8 * i]);
            u64::from_be_bytes(eight)
        };
        let float = |i| f64::from_bits(number(i));
        Ok(Row {
            count: number(0),
            sum: float(1),
            min: float(2),
            max: float(3),
            last: float(4),
            last_at: number(5).cast_signed(),
        })
    }
}
