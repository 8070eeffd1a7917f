//! One event websocket: connect, say what is in the application, hand over its events, and again.

use super::{AriApp, Gone, Link, LinkEvent, Part, what_to_do};
use crate::backoff::Waits;
use crate::error::PbxError;
use crate::socket::{AriSocket, SocketEnd};
use aimg_domain::pbx::PbxState;
use aimg_pbx::ari::event::What;
use aimg_pbx::ari::{Application, Request};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// Between two looks whether the application is known.
const REGISTERED: Duration = Duration::from_millis(50);

/// Why one websocket ended.
enum Ended {
    Gone,
    Replaced,
    Overrun,
    Failed(PbxError),
    Socket(SocketEnd),
}

pub(super) async fn listen(link: Arc<Link>, app: AriApp) {
    let mut waits = link.waits(1 + app as u64);
    loop {
        let told = match hear(&link, app, &mut waits).await {
            Ended::Gone => {
                link.set_circuit(Part::Websocket(app), PbxState::Detached, Some("stopped".into()));
                return;
            }
            Ended::Replaced => match replaced(&link, app).await {
                Ok(()) => continue,
                Err(Gone) => return,
            },
            Ended::Overrun => down(&link, app, PbxError::Unreachable("overrun: the events came faster than they were taken".into())).await,
            Ended::Failed(error) => down(&link, app, error).await,
            Ended::Socket(end) => down(&link, app, PbxError::Unreachable(end.to_string())).await,
        };
        if told.is_err() {
            return;
        }
        link.pause(&mut waits).await;
    }
}

/// Says it once, then waits: connecting again would take the application from the new owner.
async fn replaced(link: &Link, app: AriApp) -> Result<(), Gone> {
    let reason = "another connection took this application: it has another owner now";
    link.set_circuit(Part::Websocket(app), PbxState::Detached, Some(reason.into()));
    tracing::warn!(pbx = %link.config.pbx, ?app, reason);
    let mut reclaimed = link.shared.reclaim.subscribe();
    link.emit(LinkEvent::Replaced { app }).await?;
    tokio::select! {
        _ = reclaimed.changed() => {}
        () = link.stopped() => {}
    }
    Ok(())
}

async fn down(link: &Link, app: AriApp, error: PbxError) -> Result<(), Gone> {
    let part = Part::Websocket(app);
    let (state, reason) = match what_to_do(&error, true) {
        Some(what_to_do) => (PbxState::Refused, format!("ARI: {error}: {what_to_do}")),
        None => (PbxState::Blind, format!("ARI: {error}")),
    };
    link.log_down(part, &reason);
    let since = link.set_circuit(part, state, Some(reason.clone()));
    link.emit(LinkEvent::AriDown { app, reason, since }).await
}

async fn hear(link: &Link, app: AriApp, waits: &mut Waits) -> Ended {
    let opened = tokio::select! {
        opened = open(link, app) => opened,
        () = link.stopped() => return Ended::Gone,
    };
    let (mut socket, application) = match opened {
        Ok(opened) => opened,
        Err(ended) => return ended,
    };
    link.set_circuit(Part::Websocket(app), PbxState::Attached, None);
    waits.attached();
    link.shared.nudge();
    let mut told = emit(link, LinkEvent::AriUp { app, application }).await;
    while told.is_ok() {
        told = tokio::select! {
            event = socket.next() => match event {
                Ok(event) if event.what == What::ApplicationReplaced => return Ended::Replaced,
                Ok(event) => emit(link, LinkEvent::Ari { app, event: Box::new(event) }).await,
                Err(end) => return Ended::Socket(end),
            },
            () = link.stopped() => {
                socket.close().await;
                return Ended::Gone;
            }
        };
    }
    told.err().unwrap_or(Ended::Gone)
}

async fn open(link: &Link, app: AriApp) -> Result<(AriSocket, Application), Ended> {
    let (Some(access), Some(client)) = (&link.config.ari, &link.shared.ari) else {
        return Err(Ended::Gone);
    };
    let name = link.app_name(app);
    let deadlines = &link.config.deadlines;
    let socket = AriSocket::connect(access, &name, deadlines).await.map_err(Ended::Failed)?;
    // Asked after the subscription: what changes from here on is in the events. Asterisk answers the handshake a moment
    // before it knows the application. A second connection now would be taken for another owner, so this one waits.
    let until = Instant::now() + deadlines.subscribe;
    loop {
        match client.ask(&Request::application(&name), deadlines.answer).await {
            Ok(application) => return Ok((socket, application)),
            Err(PbxError::NotFound(_)) if Instant::now() < until => sleep(REGISTERED).await,
            Err(error) => return Err(Ended::Failed(error)),
        }
    }
}

/// Within `overrun`; the consumer that takes nothing for so long costs the websocket, not our memory.
async fn emit(link: &Link, event: LinkEvent) -> Result<(), Ended> {
    match timeout(link.config.deadlines.overrun, link.emit(event)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(Gone)) => Err(Ended::Gone),
        Err(_) => Err(Ended::Overrun),
    }
}
