//! The AMI part: connect, sign in, take the snapshot, hand over facts, and again.

use super::{BootSource, Gone, Link, LinkEvent, LinkUp, Part, what_to_do};
use crate::ami::{self, AmiConnection, AmiEnd, AmiEvent, AmiHandle};
use crate::backoff::Waits;
use crate::error::PbxError;
use aimg_domain::Timestamp;
use aimg_domain::pbx::PbxState;
use aimg_pbx::ami::{Action, Broken, Response, fact};
use aimg_pbx::ari::{Application, AsteriskInfo, Request};
use aimg_pbx::fact::{Snapshot, Told};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

/// How long `FullyBooted` may take where the account reads class `system`; else `CoreStatus` is asked.
const BOOTED_WITHIN: Duration = Duration::from_secs(1);
const LEAVE_WITHIN: Duration = Duration::from_millis(200);
/// Facts held while the snapshot is taken; beyond it the attempt is given up.
const HELD_MAX: usize = 65_536;

/// Why one attempt ended.
enum Ended {
    Gone,
    Stopping,
    Connection(AmiEnd),
    Preparing(PbxError),
}

impl From<Gone> for Ended {
    fn from(_: Gone) -> Ended {
        Ended::Gone
    }
}

pub(super) async fn follow(link: Arc<Link>) {
    let mut waits = link.waits(0);
    loop {
        let attempt = waits.attempt() + 1;
        let ended = match attach(&link, attempt, &mut waits).await {
            Ok(ended) | Err(ended) => ended,
        };
        link.shared.set_ami(None);
        let error = match ended {
            Ended::Gone | Ended::Stopping => {
                link.set_circuit(Part::Ami, PbxState::Detached, Some("stopped".into()));
                return;
            }
            Ended::Connection(end) => error_of(end),
            Ended::Preparing(error) => error,
        };
        if tell(&link, error).await.is_err() {
            return;
        }
        link.pause(&mut waits).await;
    }
}

fn error_of(end: AmiEnd) -> PbxError {
    match end {
        AmiEnd::Broken(Broken::NotAsterisk { .. } | Broken::NoBanner(_)) => PbxError::Invalid(end.to_string()),
        AmiEnd::Broken(broken) => broken.into(),
        AmiEnd::NotConnected(error) => error,
        other => PbxError::Unreachable(other.to_string()),
    }
}

async fn tell(link: &Link, error: PbxError) -> Result<(), Gone> {
    let reason = match &error {
        PbxError::Unreachable(text) => text.clone(),
        error => error.to_string(),
    };
    link.log_down(Part::Ami, &reason);
    let event = match what_to_do(&error, false) {
        Some(what_to_do) => LinkEvent::Refused {
            since: link.set_circuit(Part::Ami, PbxState::Refused, Some(format!("{reason}: {what_to_do}"))),
            reason,
            what_to_do: what_to_do.into(),
        },
        None => LinkEvent::Down {
            since: link.set_circuit(Part::Ami, PbxState::Blind, Some(reason.clone())),
            reason,
        },
    };
    link.emit(event).await
}

/// One connection from beginning to end.
async fn attach(link: &Link, attempt: u32, waits: &mut Waits) -> Result<Ended, Ended> {
    link.emit(LinkEvent::Connecting { attempt }).await?;
    let (mut connection, up, held) = tokio::select! {
        signed_in = sign_in(link) => signed_in?,
        () = link.stopped() => return Ok(Ended::Stopping),
    };
    link.shared.set_ami(Some(connection.handle.clone()));
    link.set_circuit(Part::Ami, PbxState::Attached, None);
    waits.attached();
    tracing::info!(pbx = %link.config.pbx, version = up.asterisk_version, channels = up.snapshot.channels.len(), "PBX attached");
    link.emit(LinkEvent::Up(Box::new(up))).await?;
    if !held.is_empty() {
        link.emit(LinkEvent::Facts(held)).await?;
    }
    loop {
        tokio::select! {
            event = connection.events.recv() => match event {
                Some(AmiEvent::Facts(facts)) => link.emit(LinkEvent::Facts(facts)).await?,
                Some(AmiEvent::FullyBooted { .. }) => {}
                None => return Ok(Ended::Connection(connection.end().await)),
            },
            () = link.stopped() => {
                // Good manners: whether it is answered makes no difference.
                let _ = connection.handle.action(Action::logoff(), LEAVE_WITHIN).await;
                return Ok(Ended::Stopping);
            }
        }
    }
}

async fn sign_in(link: &Link) -> Result<(AmiConnection, LinkUp, Vec<Told>), Ended> {
    let mut connection = ami::connect(&link.config.ami, &link.config.deadlines, link.shared.clock.clone())
        .await
        .map_err(Ended::Connection)?;
    link.shared.nudge();
    match prepare(link, &mut connection).await {
        Ok((up, held)) => Ok((connection, up, held)),
        // The end of the connection explains more than the answer that did not come.
        Err(Ended::Preparing(PbxError::Unreachable(_))) if connection.handle.is_over() => Err(Ended::Connection(connection.end().await)),
        Err(ended) => Err(ended),
    }
}

/// Takes the snapshot while what arrives meanwhile is held, in order.
async fn prepare(link: &Link, connection: &mut AmiConnection) -> Result<(LinkUp, Vec<Told>), Ended> {
    let (booted, boot) = watch::channel(None);
    let handle = connection.handle.clone();
    let ami_version = connection.ami_version.clone();
    let mut held = Vec::new();
    let taken = tokio::select! {
        up = snapshot(link, &handle, boot, ami_version) => Some(up.map_err(Ended::Preparing)?),
        fault = hold(&mut connection.events, &booted, &mut held) => match fault {
            Held::Over => None,
            Held::TooMany => return Err(Ended::Connection(AmiEnd::Overrun)),
        },
    };
    match taken {
        Some(up) => Ok((up, held)),
        None => Err(Ended::Connection(connection.end().await)),
    }
}

enum Held {
    Over,
    TooMany,
}

async fn hold(events: &mut mpsc::Receiver<AmiEvent>, booted: &watch::Sender<Option<Option<u64>>>, held: &mut Vec<Told>) -> Held {
    while let Some(event) = events.recv().await {
        match event {
            AmiEvent::FullyBooted { uptime_s } => drop(booted.send_replace(Some(uptime_s))),
            AmiEvent::Facts(mut facts) => held.append(&mut facts),
        }
        if held.len() > HELD_MAX {
            return Held::TooMany;
        }
    }
    Held::Over
}

async fn snapshot(link: &Link, handle: &AmiHandle, boot: watch::Receiver<Option<Option<u64>>>, ami_version: String) -> Result<LinkUp, PbxError> {
    let answer = link.config.deadlines.answer;
    let uptime_s = await_boot(link, handle, boot).await?;
    let settings = handle.action(Action::core_settings(), answer).await?;
    let (booted_at, boot_source) = boot_time(link, handle, uptime_s).await?;
    await_subscription(link).await;
    let list = handle.action(Action::core_show_channels(), answer).await?;
    let in_stasis = match &link.shared.ari {
        Some(ari) => ari
            .ask::<Application>(&Request::application(&link.config.pbx.stasis_app()), answer)
            .await
            .ok()
            .map(|application| application.channel_ids),
        None => None,
    };
    let setting = |name| settings.message.get(name).filter(|value| !value.is_empty()).map(str::to_owned);
    Ok(LinkUp {
        ami_version,
        asterisk_version: setting("AsteriskVersion"),
        system_name: setting("SystemName"),
        booted_at,
        boot_source,
        snapshot: Snapshot {
            channels: list.events.iter().filter_map(fact::channel_snapshot).collect(),
            in_stasis,
        },
    })
}

/// Waits until the PBX is fully booted; answers its uptime where it told it.
async fn await_boot(link: &Link, handle: &AmiHandle, mut boot: watch::Receiver<Option<Option<u64>>>) -> Result<Option<u64>, PbxError> {
    let booted = async {
        loop {
            if let Ok(Ok(uptime_s)) = timeout(BOOTED_WITHIN, boot.wait_for(Option::is_some)).await {
                return Ok(uptime_s.flatten());
            }
            let status = handle.action(Action::core_status(), link.config.deadlines.answer).await?;
            if local_boot_time(&status).is_some() {
                return Ok(None);
            }
        }
    };
    match timeout(link.config.deadlines.boot, booted).await {
        Ok(result) => result,
        Err(_) => Err(PbxError::Timeout {
            what: "the PBX to be fully booted".into(),
        }),
    }
}

async fn boot_time(link: &Link, handle: &AmiHandle, uptime_s: Option<u64>) -> Result<(Option<Timestamp>, BootSource), PbxError> {
    let answer = link.config.deadlines.answer;
    if let Some(ari) = &link.shared.ari
        && let Ok(info) = ari.ask::<AsteriskInfo>(&Request::asterisk_info(), answer).await
        && let Some(startup) = info.status.startup_time
    {
        return Ok((Some(startup), BootSource::Ari));
    }
    if let Some(uptime_s) = uptime_s {
        // The PBX's clock, not ours: its events carry that one.
        let pong = handle.action(Action::ping(), answer).await?;
        let now = fact::timestamp(&pong.message).unwrap_or_else(|| link.now());
        let uptime_ms = i64::try_from(uptime_s.saturating_mul(1000)).unwrap_or(i64::MAX);
        return Ok((Some(Timestamp(now.0.saturating_sub(uptime_ms))), BootSource::Uptime));
    }
    let status = handle.action(Action::core_status(), answer).await?;
    Ok(match local_boot_time(&status) {
        Some(time) => (Some(time), BootSource::LocalTime),
        None => (None, BootSource::Unknown),
    })
}

/// Before it is fully booted Asterisk answers 1970, or nothing.
fn local_boot_time(status: &Response) -> Option<Timestamp> {
    let date = status.message.get("CoreStartupDate")?;
    let time = status.message.get("CoreStartupTime")?;
    let read: Timestamp = format!("{date}T{time}Z").parse().ok()?;
    (read.0 > 7 * 24 * 3_600_000).then_some(read)
}

/// The list of channels in our application is worth more once we hear of its changes; a PBX whose ARI is down
/// is attached all the same.
async fn await_subscription(link: &Link) {
    if link.shared.ari.is_some() {
        let mut state = link.shared.state.subscribe();
        let open = state.wait_for(|state| matches!(state.stable.state, PbxState::Attached | PbxState::Refused | PbxState::Detached));
        let _ = timeout(link.config.deadlines.subscribe, open).await;
    }
}
