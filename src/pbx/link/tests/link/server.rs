//! Scripted servers: just enough AMI and ARI to play one scene.

use aimg_pbx::ami::{Decoder, Frame, Message};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::tungstenite::Message as Frames;

#[derive(Clone)]
pub struct AmiScript {
    pub banner: &'static str,
    pub password_accepted: bool,
    pub may_list: bool,
    /// What `manager show user` says.
    pub reads: &'static str,
    /// Events sent after the login.
    pub flood: usize,
}

impl Default for AmiScript {
    fn default() -> Self {
        AmiScript {
            banner: "Asterisk Call Manager/11.0.0",
            password_accepted: true,
            may_list: true,
            reads: "system,call,dtmf,agent,reporting,cdr,dialplan",
            flood: 0,
        }
    }
}

pub struct FakeAmi {
    pub port: u16,
    generation: watch::Sender<u32>,
}

impl FakeAmi {
    pub async fn start(script: AmiScript) -> FakeAmi {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let generation = watch::Sender::new(0);
        let drops = generation.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mut drops = drops.subscribe();
                let script = script.clone();
                tokio::spawn(async move {
                    tokio::select! {
                        _ = play(stream, &script) => {}
                        _ = drops.changed() => {}
                    }
                });
            }
        });
        FakeAmi { port, generation }
    }

    pub fn drop_connections(&self) {
        self.generation.send_modify(|generation| *generation += 1);
    }
}

async fn play(mut stream: TcpStream, script: &AmiScript) -> std::io::Result<()> {
    stream.write_all(format!("{}\r\n", script.banner).as_bytes()).await?;
    let mut decoder = Decoder::without_banner();
    let mut piece = [0; 4096];
    loop {
        let count = stream.read(&mut piece).await?;
        if count == 0 {
            return Ok(());
        }
        decoder.receive(&piece[..count]);
        while let Some(Frame::Message(action)) = decoder.next_frame() {
            let text = answer(&action, script).replace('\n', "\r\n");
            stream.write_all(text.as_bytes()).await?;
            if action.get("Action") == Some("Login") {
                let event = b"Event: Newchannel\r\nUniqueid: f.1\r\nChannel: Local/x\r\n\r\n";
                for _ in 0..script.flood / 100 {
                    stream.write_all(&event.repeat(100)).await?;
                }
            }
        }
    }
}

fn answer(action: &Message, script: &AmiScript) -> String {
    let id = action.action_id().unwrap_or_default();
    let ok = |rest: &str| format!("Response: Success\nActionID: {id}\n{rest}\n");
    let refused = |text: &str| format!("Response: Error\nActionID: {id}\nMessage: {text}\n\n");
    match action.get("Action").unwrap_or_default() {
        "Challenge" => ok("Challenge: 722450007\n"),
        "Login" if !script.password_accepted => refused("Authentication failed"),
        "Login" if action.get("Key") != Some("5d661bfa4f7d6f2d3952b44e1bfe3c72") => refused("Authentication failed"),
        "Login" => ok("Message: Authentication accepted\n") + "Event: FullyBooted\nPrivilege: system,all\nUptime: 56\n\n",
        "Ping" => ok("Ping: Pong\nTimestamp: 1795383618.351154\n"),
        "CoreSettings" => ok("AsteriskVersion: 22.0-fake\nSystemName: fake\n"),
        "CoreShowChannels" if !script.may_list => refused("Permission denied"),
        "CoreShowChannels" => {
            ok("EventList: start\n")
                + "Event: Newchannel\nUniqueid: fake-1.7\nLinkedid: fake-1.7\nChannel: PJSIP/7\n\n"
                + &format!("Event: CoreShowChannel\nActionID: {id}\nUniqueid: fake-1.0\nLinkedid: fake-1.0\nDuration: 00:00:09\n\n")
                + &format!("Event: CoreShowChannelsComplete\nActionID: {id}\nEventList: Complete\nListItems: 1\n\n")
        }
        "ListCommands" => {
            let listing = if script.may_list { "CoreShowChannels: x\nCoreStatus: x\n" } else { "" };
            ok(&format!(
                "{listing}Hangup: x\nRedirect: x\nBlindTransfer: x\nPlayDTMF: x\nSetvar: x\nOriginate: x\n"
            ))
        }
        "Command" => ok(&format!(
            "Message: Command output follows\nOutput:   read perm: {}\nOutput:  write perm: all\n",
            script.reads
        )),
        "Hangup" => refused("No such channel"),
        other => refused(&format!("Invalid/unknown command: {other}")),
    }
}

#[derive(Clone)]
pub struct AriScript {
    pub enabled: bool,
    pub password_accepted: bool,
    pub writable: bool,
    /// Whether its websockets read, and so answer pings.
    pub reads: bool,
}

impl Default for AriScript {
    fn default() -> Self {
        AriScript {
            enabled: true,
            password_accepted: true,
            writable: true,
            reads: true,
        }
    }
}

pub struct FakeAri {
    pub port: u16,
    sockets: mpsc::Receiver<FakeSocket>,
}

/// A websocket that was opened; dropping it closes it.
pub struct FakeSocket {
    pub app: String,
    texts: mpsc::UnboundedSender<String>,
}

impl FakeSocket {
    pub fn send(&self, text: &str) {
        self.texts.send(text.to_owned()).unwrap();
    }
}

impl FakeAri {
    pub async fn start(script: AriScript) -> FakeAri {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (opened, sockets) = mpsc::channel(16);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, script.clone(), opened.clone()));
            }
        });
        FakeAri { port, sockets }
    }

    pub async fn accepted(&mut self) -> FakeSocket {
        self.sockets.recv().await.unwrap()
    }
}

async fn serve(mut stream: TcpStream, script: AriScript, opened: mpsc::Sender<FakeSocket>) {
    let mut head = vec![0; 4096];
    // Left in the socket: a websocket's handshake reads it again.
    let head = loop {
        let count = stream.peek(&mut head).await.unwrap_or(0);
        let text = String::from_utf8_lossy(&head[..count]).into_owned();
        if count == 0 || text.contains("\r\n\r\n") {
            break text;
        }
        tokio::task::yield_now().await;
    };
    // `ari:aripass`
    let signed = script.password_accepted && head.to_lowercase().contains("authorization: basic yxjpomfyaxbhc3m=");
    let target = head.split(' ').nth(1).unwrap_or_default();
    match target.strip_prefix("/ari/events?app=") {
        Some(query) if signed => listen(stream, query.split('&').next().unwrap_or_default().to_owned(), script, opened).await,
        _ => {
            let (status, body) = respond(&head, target, &script, signed);
            let _ = stream.read(&mut vec![0; 65536]).await;
            if target.contains("never") {
                let _ = stream.read(&mut [0; 1]).await;
            }
            let text = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
            let _ = stream.write_all(text.as_bytes()).await;
        }
    }
}

fn respond(head: &str, target: &str, script: &AriScript, signed: bool) -> (u16, String) {
    let path = target.split('?').next().unwrap_or_default();
    let refusal = |status: u16| (status, format!("{{\"message\":\"no {status}\"}}"));
    if !script.enabled {
        return (404, "<html>Not Found</html>".into());
    }
    if !signed {
        return refusal(401);
    }
    if !script.writable && !head.starts_with("GET") {
        return refusal(403);
    }
    match path.strip_prefix("/ari/").unwrap_or_default() {
        "asterisk/info" => (
            200,
            r#"{"system":{"version":"22.0-fake"},"status":{"startup_time":"2026-11-22T21:14:02.636+0000"}}"#.into(),
        ),
        path if path.starts_with("applications/") => (200, r#"{"name":"x","channel_ids":["in-app"],"bridge_ids":[]}"#.into()),
        path if path.starts_with("bridges/") => (200, r#"{"id":"b"}"#.into()),
        path => match path.strip_prefix("channels/").and_then(|id| id.parse().ok()) {
            Some(200) => (200, r#"{"id":"200"}"#.into()),
            Some(status) => refusal(status),
            None => refusal(404),
        },
    }
}

async fn listen(stream: TcpStream, app: String, script: AriScript, opened: mpsc::Sender<FakeSocket>) {
    let Ok(mut websocket) = tokio_tungstenite::accept_async(stream).await else {
        return;
    };
    let (texts, mut to_send) = mpsc::unbounded_channel();
    let Ok(()) = opened.send(FakeSocket { app, texts }).await else { return };
    loop {
        tokio::select! {
            text = to_send.recv() => match text {
                Some(text) => drop(websocket.send(Frames::Text(text.into())).await),
                None => return,
            },
            frame = websocket.next(), if script.reads => if !matches!(frame, Some(Ok(_))) { return },
        }
    }
}
