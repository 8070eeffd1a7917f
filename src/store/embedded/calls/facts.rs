//! What an index row says of a session, so that a page reads only the rows it shows.

use super::tables::{Tables, active_pbx_key, number_key, start_key};
use crate::failure::Failure;
use aimg_domain::call::{CallSession, CallState, Direction, Outcome};
use aimg_domain::{CallId, PbxId, TenantId, Timestamp};
use aimg_store::query::numbers;
use aimg_store::sessions::SessionQuery;
use uuid::Uuid;

const SCHEMA: u16 = 1;
const LENGTH: usize = 21;
const NONE: u8 = u8::MAX;

/// u16 schema version, state, direction, outcome, pbx.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    state: CallState,
    direction: Direction,
    outcome: Option<Outcome>,
    pbx: PbxId,
}

// The places in these lists are stored: append, never reorder.
const STATES: [CallState; 4] = [CallState::Detected, CallState::Ringing, CallState::Up, CallState::Ended];
const DIRECTIONS: [Direction; 4] = [Direction::Inbound, Direction::Outbound, Direction::Internal, Direction::Unknown];
const OUTCOMES: [Outcome; 9] = [
    Outcome::Answered,
    Outcome::NoAnswer,
    Outcome::Busy,
    Outcome::Canceled,
    Outcome::Rejected,
    Outcome::Abandoned,
    Outcome::Voicemail,
    Outcome::Failed,
    Outcome::Merged,
];

fn place<T: PartialEq>(list: &[T], value: &T) -> u8 {
    list.iter().position(|each| each == value).and_then(|at| u8::try_from(at).ok()).unwrap_or(NONE)
}

impl Facts {
    pub fn of(session: &CallSession) -> Facts {
        Facts {
            state: session.state,
            direction: session.direction,
            outcome: session.outcome,
            pbx: session.pbx_id,
        }
    }

    pub fn encode(self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        bytes[..2].copy_from_slice(&SCHEMA.to_be_bytes());
        bytes[2] = place(&STATES, &self.state);
        bytes[3] = place(&DIRECTIONS, &self.direction);
        bytes[4] = self.outcome.map_or(NONE, |outcome| place(&OUTCOMES, &outcome));
        bytes[5..].copy_from_slice(self.pbx.0.as_bytes());
        bytes
    }

    pub fn decode(bytes: &[u8]) -> Option<Facts> {
        let (schema, rest) = bytes.split_first_chunk()?;
        let (codes, pbx) = rest.split_first_chunk::<3>()?;
        if u16::from_be_bytes(*schema) != SCHEMA {
            return None;
        }
        let outcome = match codes[2] {
            NONE => None,
            code => Some(*OUTCOMES.get(usize::from(code))?),
        };
        Some(Facts {
            state: *STATES.get(usize::from(codes[0]))?,
            direction: *DIRECTIONS.get(usize::from(codes[1]))?,
            outcome,
            pbx: PbxId(Uuid::from_slice(pbx).ok()?),
        })
    }

    /// Whether all holds that an index row can tell; number and time are told by its key.
    pub fn match_query(self, query: &SessionQuery) -> bool {
        query.active.is_none_or(|active| active == (self.state != CallState::Ended))
            && (query.states.is_empty() || query.states.contains(&self.state))
            && (query.outcomes.is_empty() || self.outcome.is_some_and(|outcome| query.outcomes.contains(&outcome)))
            && (query.directions.is_empty() || query.directions.contains(&self.direction))
            && query.pbx.is_none_or(|pbx| pbx == self.pbx)
    }
}

/// Everything by which a session is found.
#[derive(PartialEq, Eq)]
pub struct Indexed {
    tenant: TenantId,
    call: CallId,
    started_at: Timestamp,
    facts: Facts,
    numbers: Vec<String>,
}

impl Indexed {
    pub fn of(session: &CallSession) -> Indexed {
        Indexed {
            tenant: session.tenant_id,
            call: session.id,
            started_at: session.started_at,
            facts: Facts::of(session),
            numbers: numbers(session).into_iter().map(str::to_owned).collect(),
        }
    }

    fn is_active(&self) -> bool {
        self.facts.state != CallState::Ended
    }

    pub fn insert(&self, tables: &mut Tables<'_>) -> Result<(), Failure> {
        let facts = self.facts.encode();
        let start = start_key(self.tenant, self.started_at, self.call);
        tables.by_start.insert(start.as_bytes(), facts.as_slice())?;
        for number in &self.numbers {
            let key = number_key(self.tenant, number, self.started_at, self.call);
            tables.by_number.insert(key.as_bytes(), facts.as_slice())?;
        }
        if self.is_active() {
            tables.active.insert(start.as_bytes(), facts.as_slice())?;
            let key = active_pbx_key(self.facts.pbx, self.tenant, self.call);
            tables.active_by_pbx.insert(key.as_bytes(), [].as_slice())?;
        }
        Ok(())
    }

    pub fn remove(&self, tables: &mut Tables<'_>) -> Result<(), Failure> {
        let start = start_key(self.tenant, self.started_at, self.call);
        tables.by_start.remove(start.as_bytes())?;
        for number in &self.numbers {
            tables
                .by_number
                .remove(number_key(self.tenant, number, self.started_at, self.call).as_bytes())?;
        }
        if self.is_active() {
            tables.active.remove(start.as_bytes())?;
            tables.active_by_pbx.remove(active_pbx_key(self.facts.pbx, self.tenant, self.call).as_bytes())?;
        }
        Ok(())
    }
}
