//! WS /qgpt/stream: questions and streamed answers. One socket may ask in several conversations.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use axum::{
    extract::{
        Extension, State,
        ws::{Message, WebSocket, WebSocketUpgrade},
    },
    response::Response,
};
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};

use super::{App, connections::OverSocket, stream};
use crate::service::answer::{Asker, Frame, Input, Peer, Progress, Question};

/// Largest message from a client, in bytes: a question with its texts, as JSON.
const INCOMING: usize = 16 << 20;
/// Frames that are queued for a client; a full queue pauses its answers.
const WAITING: usize = 32;
/// Deadline for the last frames when the service stops.
const FAREWELL: Duration = Duration::from_millis(1000);

impl App {
    /// Who is at the other end of a connection.
    pub(super) fn peer(&self, over_socket: OverSocket) -> Peer {
        match (over_socket.0, self.token) {
            (true, _) => Peer::Own,
            (false, true) => Peer::Token,
            (false, false) => Peer::Open,
        }
    }
}

pub(super) async fn upgrade(
    State(app): State<App>,
    Extension(over_socket): Extension<OverSocket>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let peer = app.peer(over_socket);
    let upgrade = upgrade
        .read_buffer_size(stream::READ_BUFFER)
        .max_message_size(INCOMING)
        .max_frame_size(INCOMING);
    upgrade.on_upgrade(move |socket| serve(app, peer, socket))
}

async fn serve(app: App, peer: Peer, mut socket: WebSocket) {
    static SOCKETS: AtomicU64 = AtomicU64::new(0);
    let (out, mut frames) = mpsc::channel(WAITING);
    let mut stopped = app.stopped.clone();
    let session = Session {
        app,
        peer,
        id: SOCKETS.fetch_add(1, Ordering::Relaxed),
        out,
        has_asked: false,
    };
    let mut session = session;
    loop {
        tokio::select! {
            Some(frame) = frames.recv() => {
                if !stream::send(&mut socket, Message::text(frame)).await {
                    return;
                }
            }
            said = socket.recv() => match said {
                Some(Ok(Message::Text(text))) => session.hear(text.as_bytes()).await,
                // A binary message is the same JSON.
                Some(Ok(Message::Binary(bytes))) => session.hear(&bytes).await,
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => {}
            },
            () = stream::until(&mut stopped) => break,
        }
    }
    // All answers end now; their last frames are still sent.
    drop(session);
    let farewell = async {
        while let Some(frame) = frames.recv().await {
            if !stream::send(&mut socket, Message::text(frame)).await {
                return;
            }
        }
    };
    let _ = timeout(FAREWELL, farewell).await;
    stream::close_stopping(socket).await;
}

/// One client.
struct Session {
    app: App,
    peer: Peer,
    id: u64,
    out: mpsc::Sender<String>,
    has_asked: bool,
}

impl Session {
    async fn hear(&mut self, text: &[u8]) {
        // An unreadable frame names no conversation.
        let Some(frame) = Frame::read(text) else {
            return;
        };
        let asker = Asker {
            conversation: frame.conversation.clone().unwrap_or_default(),
            request: frame.request.clone(),
            ours: frame.ours,
        };
        match frame.input {
            Input::Ask(question) => self.ask(asker, *question),
            Input::Stop => self.stop(asker, frame.conversation),
            Input::Reset => self.app.answers.stop_all_of(self.id),
            Input::Search => self.later(asker.nothing_relevant()),
            Input::Invalid(sentence) => self.later(asker.invalid(sentence)),
        }
    }

    /// Sends a frame without waiting for the client, because this loop must continue reading.
    fn later(&self, frame: String) {
        let out = self.out.clone();
        tokio::spawn(async move { out.send(frame).await });
    }

    fn ask(&mut self, mut asker: Asker, question: Question) {
        self.has_asked = true;
        if question.own.as_ref().is_some_and(|own| own.dry_run) {
            return self.dry_run(asker, question);
        }
        let wanted = (!asker.conversation.is_empty()).then_some(asker.conversation.as_str());
        match self.app.answers.reserve(wanted, self.id) {
            Err(refusal) => self.later(asker.refused(&refusal)),
            Ok((run, progress)) => {
                asker.conversation = run.conversation.clone();
                tokio::spawn(forward(asker, progress, self.out.clone()));
                self.app.answers.ask(run, question, self.peer);
            }
        }
    }

    fn dry_run(&self, asker: Asker, question: Question) {
        let (app, peer, out) = (self.app.clone(), self.peer, self.out.clone());
        let conversation = (!asker.conversation.is_empty()).then(|| asker.conversation.clone());
        tokio::spawn(async move {
            let conclusion = app.answers.dry_run(conversation, question, peer).await;
            out.send(asker.concluded(&conclusion)).await
        });
    }

    fn stop(&self, asker: Asker, conversation: Option<String>) {
        let answers = &self.app.answers;
        let Some(conversation) = conversation else {
            return answers.stop_all_of(self.id);
        };
        let own = answers.is_of(&conversation, self.id);
        match answers.stop(&conversation) {
            // Its last frame is the response.
            Some(_) if own => {}
            Some(mut progress) => {
                let out = self.out.clone();
                tokio::spawn(async move {
                    let _ = progress.wait_for(|progress| progress.ended.is_some()).await;
                    out.send(asker.stopped(true)).await
                });
            }
            // Published clients would take an unexpected frame for the end of their next answer.
            None if self.has_asked && !asker.ours => {}
            None => self.later(asker.stopped(false)),
        }
    }
}

/// Streams the answer. If the client is slow, frames have more words; if it has disconnected, the answer continues.
async fn forward(asker: Asker, mut progress: watch::Receiver<Progress>, out: mpsc::Sender<String>) {
    let mut at = 0;
    let mut told = None;
    loop {
        let (frame, ended) = {
            let now = progress.borrow_and_update();
            let status = (now.status, now.question.is_some(), now.message.is_some());
            let is_news = asker.ours && now.question.is_some() && told != Some(status);
            let frame = (now.text.len() > at || is_news).then(|| asker.progress(&now, at));
            at = now.text.len();
            told = Some(status);
            (frame, now.ended.clone())
        };
        if let Some(frame) = frame
            && out.send(frame).await.is_err()
        {
            return;
        }
        if let Some(ended) = ended {
            let _ = out.send(asker.concluded(&ended)).await;
            return;
        }
        if progress.changed().await.is_err() {
            return;
        }
    }
}
