//! Where a call comes from and goes to, by the PBX's trunks and extensions.

use crate::calls::channel::endpoint_of;
use aimg_domain::Direction;
use aimg_domain::call::{Leg, LegRole};
use aimg_domain::pattern::matches;
use aimg_domain::pbx::Pbx;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Trunk,
    Extension,
    Other,
}

/// `settled`: it was answered or has ended, so a call without callee is with the PBX itself.
pub(super) fn direction(pbx: &Pbx, legs: &[Leg], settled: bool) -> Direction {
    let side = |leg: &Leg| side_of(pbx, &leg.channel);
    let caller = legs.iter().find(|leg| leg.role == LegRole::Caller).map(side);
    let callees: Vec<Side> = legs.iter().filter(|leg| leg.role == LegRole::Callee).map(side).collect();
    match caller {
        Some(Side::Trunk) => Direction::Inbound,
        Some(Side::Extension) if callees.contains(&Side::Trunk) => Direction::Outbound,
        Some(Side::Extension) if callees.contains(&Side::Extension) || callees.is_empty() && settled => Direction::Internal,
        _ => Direction::Unknown,
    }
}

fn side_of(pbx: &Pbx, channel: &str) -> Side {
    let any = |patterns: &[String]| {
        patterns
            .iter()
            .any(|pattern| matches(pattern, channel) || matches(pattern, endpoint_of(channel)))
    };
    if any(&pbx.trunks) {
        Side::Trunk
    } else if any(&pbx.extensions) {
        Side::Extension
    } else {
        Side::Other
    }
}
