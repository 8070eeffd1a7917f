//! From an action that somebody asks for to the steps that do it.

use super::{MuteAudioDirection, PbxStep, RecorderStep, Standing};
use crate::calls::channel::ChannelKind;
use aimg_domain::Fault;
use aimg_domain::call::{ActionName, Leg, LegRole};
use aimg_wire::request::{CallAction, MuteDirection};

const DIGITS_MAX: usize = 64;

impl Standing<'_> {
    /// The steps, in order; or why there are none.
    pub fn plan(&self, action: &CallAction) -> Result<Vec<PbxStep>, Fault> {
        let name = ActionName::ALL.into_iter().find(|name| name.as_str() == action.name());
        let name = name.ok_or_else(|| Fault::not_found(format!("action {}", action.name())))?;
        self.check(name, action)?;
        match action {
            CallAction::Answer => self.answer(),
            CallAction::Hangup => Ok(self.hang_up()),
            CallAction::Mute { leg, direction } => self.mute(leg.as_deref(), *direction, true),
            CallAction::Unmute { leg, direction } => self.mute(leg.as_deref(), *direction, false),
            CallAction::Dtmf { leg, digits } => self.dtmf(leg.as_deref(), digits),
            CallAction::StartRecording => Ok(vec![PbxStep::Recorder(RecorderStep::Start)]),
            CallAction::StopRecording => Ok(vec![PbxStep::Recorder(RecorderStep::Stop)]),
            CallAction::PauseRecording => Ok(vec![PbxStep::Recorder(RecorderStep::Pause)]),
            CallAction::ResumeRecording => Ok(vec![PbxStep::Recorder(RecorderStep::Resume)]),
            CallAction::Other { .. } => Err(Fault::not_possible(super::LATER)),
        }
    }

    fn check(&self, name: ActionName, action: &CallAction) -> Result<(), Fault> {
        if self.session.is_ended() {
            return Err(Fault::CallEnded { at: self.session.ended_at });
        }
        if let CallAction::Dtmf { digits, .. } = action {
            check_digits(digits)?;
        }
        if let Some((since, reason)) = self.down().filter(|_| super::needs_pbx(name)) {
            return Err(Fault::PbxDown { since, reason });
        }
        match self.refused_here(name) {
            Some(why) => Err(Fault::not_possible(why)),
            None => Ok(()),
        }
    }

    fn answer(&self) -> Result<Vec<PbxStep>, Fault> {
        let channel = self
            .live()
            .filter(|channel| channel.in_stasis && !channel.up)
            .min_by_key(|channel| channel.kind == ChannelKind::Local);
        let channel = channel.ok_or_else(|| Fault::not_possible("no unanswered channel of it is in our Stasis application"))?;
        Ok(vec![PbxStep::AriAnswer {
            uniqueid: channel.uniqueid.clone(),
        }])
    }

    /// Every party, the caller first: a dialplan that goes on after its Dial shall not keep the call. Local halves only where there is nobody else.
    fn hang_up(&self) -> Vec<PbxStep> {
        let mut parties: Vec<_> = self.live().filter(|channel| channel.kind == ChannelKind::Party).collect();
        if parties.is_empty() {
            parties = self.live().collect();
        }
        parties.sort_by_key(|channel| self.role(&channel.uniqueid) != Some(LegRole::Caller));
        let step = |channel: &&crate::calls::resume::ResumeChannel| PbxStep::HangupChannel {
            channel: channel.name.clone(),
            uniqueid: channel.uniqueid.clone(),
        };
        parties.iter().map(step).collect()
    }

    fn role(&self, uniqueid: &str) -> Option<LegRole> {
        self.session.legs.iter().find(|leg| leg.uniqueid == uniqueid).map(|leg| leg.role)
    }

    fn mute(&self, leg: Option<&str>, direction: MuteDirection, on: bool) -> Result<Vec<PbxStep>, Fault> {
        // Unnamed: the caller who can still be muted, or whoever is muted.
        let leg = self.leg(leg, |leg| leg.muted != on, LegRole::Caller)?;
        let direction = match direction {
            MuteDirection::In => MuteAudioDirection::In,
            MuteDirection::Out => MuteAudioDirection::Out,
            MuteDirection::Both => MuteAudioDirection::Both,
        };
        let uniqueid = leg.uniqueid.clone();
        Ok(vec![if self.in_stasis(&uniqueid) {
            PbxStep::AriMute { uniqueid, direction, on }
        } else {
            PbxStep::MuteAudio {
                channel: leg.channel.clone(),
                uniqueid,
                direction,
                on,
            }
        }])
    }

    fn dtmf(&self, leg: Option<&str>, digits: &str) -> Result<Vec<PbxStep>, Fault> {
        // Unnamed: to whom was called, who is more likely to listen for digits.
        let leg = self.leg(leg, |_| true, LegRole::Callee)?;
        if self.in_stasis(&leg.uniqueid) {
            return Ok(vec![PbxStep::AriDtmf {
                uniqueid: leg.uniqueid.clone(),
                digits: digits.to_owned(),
            }]);
        }
        let step = |digit: char| PbxStep::PlayDtmf {
            channel: leg.channel.clone(),
            digit: digit.to_ascii_uppercase(),
        };
        Ok(digits.chars().map(step).collect())
    }

    /// The leg named, or of those that fit the first with the preferred role.
    fn leg(&self, named: Option<&str>, fits: impl Fn(&Leg) -> bool, preferred: LegRole) -> Result<&Leg, Fault> {
        if let Some(id) = named {
            let leg = self
                .session
                .legs
                .iter()
                .find(|leg| leg.id == id)
                .ok_or_else(|| Fault::not_found(format!("leg {id}")))?;
            if leg.ended_at.is_some() {
                return Err(Fault::not_possible("that leg has hung up"));
            }
            return Ok(leg);
        }
        let fitting = self.answered_legs().filter(|leg| fits(leg)).min_by_key(|leg| leg.role != preferred);
        fitting.ok_or_else(|| Fault::not_possible("no leg is answered"))
    }
}

fn check_digits(digits: &str) -> Result<(), Fault> {
    let known = |c: char| matches!(c, '0'..='9' | '*' | '#' | 'A'..='D' | 'a'..='d');
    if (1..=DIGITS_MAX).contains(&digits.len()) && digits.chars().all(known) {
        return Ok(());
    }
    Err(Fault::invalid("digits", "1 to 64 of 0-9, *, #, A-D"))
}
