//! The manager's sockets: one task reads and one writes for each session.

use super::action::ActionReader;
use super::login::Verdict;
use crate::gate::{Gate, Gated, Run};
use crate::handle::Shared;
use crate::outbox::Outbox;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// From "Authentication failed" to the end of the line.
const REFUSAL_PAUSE: Duration = Duration::from_secs(1);
/// More sessions than this are not served.
const SESSIONS_MAX: u64 = 512;

pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let (mut serial, open) = (0, Arc::new(AtomicU64::new(0)));
    loop {
        shared.gate.until(Run::Running).await;
        if shared.gate.run() == Run::Dead {
            return;
        }
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shared.gate.until(Run::Frozen) => continue,
        };
        let Ok((stream, _)) = accepted else { continue };
        if open.load(Ordering::Relaxed) >= SESSIONS_MAX {
            continue;
        }
        serial += 1;
        let (shared, open, session) = (Arc::clone(&shared), Arc::clone(&open), serial);
        open.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(async move {
            let gate = Arc::clone(&shared.gate);
            tokio::select! {
                () = attend(stream, session, &shared) => {}
                () = dead(&gate) => {}
            }
            shared.with(|switch| switch.manager_left(session));
            open.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

pub(crate) async fn dead(gate: &Gate) {
    gate.until(Run::Dead).await;
}

async fn attend(stream: TcpStream, session: u64, shared: &Arc<Shared>) {
    let (Ok(local), Ok(remote)) = (stream.local_addr(), stream.peer_addr()) else {
        return;
    };
    // Small writes, one event each, as Asterisk's own.
    let _ = stream.set_nodelay(true);
    let (reading, writing) = tokio::io::split(Gated::new(stream, Arc::clone(&shared.gate)));
    let outbox = Outbox::new(shared.config.outbox_bytes);
    shared.with(|switch| switch.manager_came(session, Arc::clone(&outbox), local, remote));
    let writer = write_all(writing, &outbox);
    let reader = read_all(reading, session, shared, &outbox);
    let reader = async {
        tokio::select! {
            () = reader => {}
            () = outbox.until_cut() => {}
        }
    };
    // The reader ends by finishing the outbox; then the writer says what is left and closes.
    tokio::join!(reader, writer);
}

async fn write_all(mut writing: WriteHalf<Gated<TcpStream>>, outbox: &Outbox) {
    while let Some(batch) = outbox.next().await {
        let bytes = batch.concat();
        let written = tokio::select! {
            written = writing.write_all(&bytes) => written.is_ok(),
            () = outbox.until_cut() => false,
        };
        if !written {
            outbox.cut();
            return;
        }
    }
    let _ = writing.shutdown().await;
}

async fn read_all(mut reading: ReadHalf<Gated<TcpStream>>, session: u64, shared: &Arc<Shared>, outbox: &Outbox) {
    let mut reader = ActionReader::default();
    let mut buffer = vec![0u8; 4096];
    let login_by = tokio::time::Instant::now() + shared.config.auth_timeout;
    loop {
        let logged_in = shared.with(|switch| switch.logged_in(session));
        let read = tokio::select! {
            read = reading.read(&mut buffer) => read.unwrap_or(0),
            () = tokio::time::sleep_until(login_by), if !logged_in => 0,
        };
        if read == 0 {
            return outbox.finish();
        }
        for request in reader.feed(&buffer[..read]) {
            match shared.with(|switch| switch.ami(session, &request)) {
                Verdict::Goes => {}
                Verdict::Left => return outbox.finish(),
                Verdict::Refused => {
                    tokio::time::sleep(REFUSAL_PAUSE).await;
                    return outbox.finish();
                }
            }
        }
    }
}
