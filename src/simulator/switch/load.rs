//! The office at work: which call comes next, drawn from the seed.

use super::Switch;
use crate::config::{CallMix, SimConfig};
use crate::rng::Rng;
use crate::script::{CallScript, Ending, Party, Route, Side};
use std::time::Duration;

const FIRST_NAMES: [&str; 12] = ["Anna", "Ben", "Clara", "Dirk", "Eva", "Finn", "Gerd", "Hanna", "Igor", "Julia", "Kurt", "Lena"];
const LAST_NAMES: [&str; 12] = [
    "Albers", "Busch", "Conrad", "Dietz", "Ernst", "Frank", "Graf", "Hahn", "Jansen", "Krause", "Lorenz", "Moser",
];

impl Switch {
    pub(super) fn populate(&mut self) {
        let script = next(&self.config, &mut self.plan);
        let placed = script.is_some_and(|script| self.place(script, true).is_ok());
        if !placed {
            self.after(Duration::from_secs(1), super::Timer::Populate);
        }
    }
}

/// The next call of an office; `None` when nobody could call anybody.
pub(crate) fn next(config: &SimConfig, rng: &mut Rng) -> Option<CallScript> {
    let (ring, talk) = (rng.span(config.ring_mean), rng.span(config.talk_mean));
    let extension = rng.pick(&config.numbering.extensions)?.number.clone();
    let others: Vec<&String> = config
        .numbering
        .extensions
        .iter()
        .map(|other| &other.number)
        .filter(|number| **number != extension)
        .collect();
    let other = rng.pick(&others).map_or_else(|| extension.clone(), |other| (*other).clone());
    let outside = outside_party(config, rng);
    let hung_up_by = if rng.chance(0.4) { Side::Callee } else { Side::Caller };
    let answered = Ending::Answered { talk: Some(talk), hung_up_by };
    let (route, ending) = draw(config.mix, rng, &extension, &other, &outside, answered)?;
    let caller = match &route {
        Route::Outbound { .. } | Route::Internal { .. } => Party::new(&extension, ""),
        _ => outside,
    };
    let mut script = CallScript::new(caller, route).ringing(ring).ending(ending);
    if matches!(script.route, Route::Ivr) {
        script = script.pressing(&rng.below(10).to_string());
    }
    script.cause_told = Some(rng.chance(0.7));
    script.rtcp_loss = if rng.chance(0.12) { rng.unit() * 0.08 } else { rng.unit() * 0.002 };
    script.rtcp_jitter_ms = if rng.chance(0.12) { 10.0 + rng.unit() * 40.0 } else { 0.2 + rng.unit() * 4.0 };
    if rng.chance(config.impairment.one_way) {
        script.silent = Some(if rng.chance(0.5) { Side::Caller } else { Side::Callee });
    }
    Some(script)
}

fn draw(mix: CallMix, rng: &mut Rng, extension: &str, other: &str, outside: &Party, answered: Ending) -> Option<(Route, Ending)> {
    let inbound = Route::Inbound {
        extension: extension.to_owned(),
    };
    let outbound = Route::Outbound {
        number: outside.number.clone(),
    };
    let internal = Route::Internal { extension: other.to_owned() };
    let stasis = Route::Stasis {
        app: None,
        args: vec!["inbound".to_owned(), outside.number.clone()],
    };
    let choices = [
        (mix.inbound, inbound.clone(), answered),
        (mix.outbound, outbound.clone(), answered),
        (if other == extension { 0 } else { mix.internal }, internal, answered),
        (mix.echo, Route::Echo, answered),
        (mix.ivr, Route::Ivr, answered),
        (mix.stasis, stasis, answered),
        (mix.busy, inbound.clone(), Ending::Busy),
        (mix.no_answer, inbound.clone(), Ending::NoAnswer),
        (mix.failed, outbound, Ending::Failed),
        (mix.cancelled, inbound, Ending::Cancelled),
    ];
    let total: u64 = choices.iter().map(|(weight, _, _)| u64::from(*weight)).sum();
    let mut at = rng.below(total);
    choices.into_iter().find_map(|(weight, route, ending)| {
        let here = at < u64::from(weight);
        at = at.saturating_sub(u64::from(weight));
        here.then_some((route, ending))
    })
}

fn outside_party(config: &SimConfig, rng: &mut Rng) -> Party {
    let area = rng.pick(&config.numbering.area_codes).cloned().unwrap_or_default();
    let number = format!("{area}{}", 2_000_000 + rng.below(7_999_999));
    let name = if rng.chance(0.6) {
        let (first, last) = (rng.pick(&FIRST_NAMES).unwrap_or(&""), rng.pick(&LAST_NAMES).unwrap_or(&""));
        format!("{first} {last}")
    } else {
        String::new()
    };
    Party { number, name }
}
