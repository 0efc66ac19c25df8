//! A server whose every byte is written by the test.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
    sync::mpsc,
    time::Instant,
};

use crate::llm::{
    ApiChoice, Block, BoxFuture, ByteStream, Carrier, ChatEvent, ChatRequest, ChatStream, Clocks,
    Completion, Dial, Dialect, Discovery, Error, Message, Opener, Options, Retries, Role, Server,
    ServerInfo, ServerKind,
};

/// The carrier's error.
#[derive(Debug, thiserror::Error)]
#[error("channel refused")]
pub(super) struct Refused;

impl Carrier for Refused {
    fn is_transient(&self) -> bool {
        true
    }
}

/// Hands the far end of every opened stream to the test.
struct Script {
    opened: mpsc::Sender<DuplexStream>,
}

impl Opener<Refused> for Script {
    fn open(&self, _to: &Dial) -> BoxFuture<'_, Result<Box<dyn ByteStream>, Refused>> {
        Box::pin(async {
            let (near, far) = duplex(1024 * 1024);
            self.opened.send(far).await.map_err(|_| Refused)?;
            Ok(Box::new(near) as Box<dyn ByteStream>)
        })
    }
}

/// The test's side of a server.
pub(super) struct Peer {
    opened: mpsc::Receiver<DuplexStream>,
}

/// One connection, seen from the server.
pub(super) struct Connection(pub(super) DuplexStream);

pub(super) fn server(options: Options) -> (Server<Refused>, Peer) {
    server_at("http://localhost:8080", options)
}

pub(super) fn server_at(endpoint: &str, options: Options) -> (Server<Refused>, Peer) {
    let (sender, opened) = mpsc::channel(16);
    let endpoint = endpoint.parse().unwrap();
    let server = Server::new(endpoint, Arc::new(Script { opened: sender }), options);
    (server, Peer { opened })
}

pub(super) fn clocks(connect: u64, first_token: u64, idle: u64, total: Option<u64>) -> Options {
    Options {
        clocks: Clocks {
            connect: Duration::from_secs(connect),
            first_token: Duration::from_secs(first_token),
            idle: Some(Duration::from_secs(idle)),
            total: total.map(Duration::from_secs),
            ..Clocks::default()
        },
        ..Options::default()
    }
}

impl Peer {
    /// The next connection.
    pub(super) async fn accept(&mut self) -> Connection {
        Connection(self.opened.recv().await.unwrap())
    }

    /// Whether no connection waits to be accepted.
    pub(super) fn is_idle(&self) -> bool {
        self.opened.is_empty()
    }

    /// Accepts connections until the test ends, and takes each request as the script has it; those
    /// after its end are never answered.
    pub(super) fn play(mut self, script: impl IntoIterator<Item = Act>) -> Asked {
        let script: Arc<Mutex<VecDeque<_>>> = Arc::new(Mutex::new(script.into_iter().collect()));
        let asked = Asked::default();
        let log = asked.clone();
        tokio::spawn(async move {
            while let Some(stream) = self.opened.recv().await {
                let (script, log) = (Arc::clone(&script), log.clone());
                tokio::spawn(async move {
                    let mut connection = Connection(stream);
                    while let Some(request) = connection.try_request().await {
                        log.0.lock().unwrap().push((Instant::now(), request));
                        let act = script.lock().unwrap().pop_front();
                        match act {
                            Some(Act::Say(bytes)) => {
                                let _ = connection.0.write_all(bytes.as_bytes()).await;
                            }
                            Some(Act::Break(bytes)) => {
                                let _ = connection.0.write_all(bytes.as_bytes()).await;
                                return;
                            }
                            None => connection.closed().await,
                        }
                    }
                });
            }
        });
        asked
    }

    /// Accepts connections until the test ends, and answers each request by its first line.
    pub(super) async fn serve(self, answer: impl Fn(&str) -> Vec<u8> + Clone + Send + 'static) {
        let by_line = move |request: &str| answer(request.lines().next().unwrap_or_default());
        self.serve_whole(by_line).await;
    }

    /// Accepts connections until the test ends, and answers each request by all of it.
    pub(super) async fn serve_whole(
        mut self,
        answer: impl Fn(&str) -> Vec<u8> + Clone + Send + 'static,
    ) {
        while let Some(stream) = self.opened.recv().await {
            let mut connection = Connection(stream);
            let answer = answer.clone();
            tokio::spawn(async move {
                while let Some(request) = connection.try_request().await {
                    let _ = connection.0.write_all(&answer(&request)).await;
                }
            });
        }
    }
}

/// What a scripted server does with a request.
#[derive(Debug, Clone)]
pub(super) enum Act {
    /// Says this, and keeps the connection.
    Say(String),
    /// Says this, and closes the connection.
    Break(String),
}

/// The requests that a server got, and when.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked(Arc<Mutex<Vec<(Instant, String)>>>);

impl Asked {
    pub(super) fn requests(&self) -> Vec<String> {
        let asked = self.0.lock().unwrap();
        asked.iter().map(|(_, request)| request.clone()).collect()
    }

    /// How long after the request before it each request came.
    pub(super) fn gaps(&self) -> Vec<Duration> {
        let asked = self.0.lock().unwrap();
        let pairs = asked.windows(2);
        pairs.map(|pair| pair[1].0 - pair[0].0).collect()
    }
}

impl Connection {
    /// Reads one whole request; `None` when the client has closed.
    pub(super) async fn try_request(&mut self) -> Option<String> {
        let mut bytes = Vec::new();
        loop {
            if whole_request(&bytes).is_some() {
                return Some(String::from_utf8(bytes).unwrap());
            }
            let mut piece = vec![0; 64 * 1024];
            match self.0.read(&mut piece).await.unwrap() {
                0 => return None,
                read => bytes.extend_from_slice(&piece[..read]),
            }
        }
    }

    pub(super) async fn request(&mut self) -> String {
        self.try_request().await.unwrap()
    }

    pub(super) async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Whether the client still took this.
    pub(super) async fn try_write(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.0.write_all(bytes.as_ref()).await.is_ok()
    }

    /// A head that says an event stream follows, in chunks.
    pub(super) async fn stream_head(&mut self) {
        self.write(STREAM_HEAD).await;
    }

    /// One HTTP chunk.
    pub(super) async fn chunk(&mut self, data: &str) {
        self.write(format!("{:x}\r\n{data}\r\n", data.len())).await;
    }

    /// The text, the finish, and the end of the body.
    pub(super) async fn answer(&mut self, text: &str) {
        self.write(answer(text)).await;
    }

    pub(super) async fn json(&mut self, status: u16, body: &str) {
        self.write(json(status, body)).await;
    }

    /// Waits until the client has closed, and wants nothing more to have been sent.
    pub(super) async fn closed(&mut self) {
        let mut rest = Vec::new();
        match self.0.read_to_end(&mut rest).await {
            Ok(_) => assert_eq!(rest, b""),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::BrokenPipe),
        }
    }
}

const STREAM_HEAD: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

/// The beginning of an event stream of one chunk.
pub(super) fn begun(data: &str) -> String {
    format!("{STREAM_HEAD}{:x}\r\n{data}\r\n", data.len())
}

/// A whole event stream that says this.
pub(super) fn answer(text: &str) -> String {
    begun(&(delta(text) + &finish("stop") + DONE)) + "0\r\n\r\n"
}

pub(super) const DONE: &str = "data: [DONE]\n\n";

pub(super) fn delta(text: &str) -> String {
    format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n")
}

pub(super) fn finish(reason: &str) -> String {
    format!(
        "data: {{\"choices\":[{{\"index\":0,\"delta\":{{}},\"finish_reason\":\"{reason}\"}}]}}\n\n"
    )
}

pub(super) fn json(status: u16, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

pub(super) fn prompt() -> ChatRequest {
    ChatRequest {
        model: "m".into(),
        messages: vec![Message {
            role: Role::User,
            content: vec![Block::Text { text: "hi".into() }],
        }],
        ..ChatRequest::default()
    }
}

/// The length of the request that these bytes begin with, if all of it is there.
pub(super) fn whole_request(bytes: &[u8]) -> Option<usize> {
    let head = bytes.windows(4).position(|end| end == b"\r\n\r\n")?;
    let text = std::str::from_utf8(&bytes[..head]).unwrap();
    let length = header(text, "content-length").map_or(0, |length| length.parse().unwrap());
    let whole = head + 4 + length;
    (bytes.len() >= whole).then_some(whole)
}

/// A header of a request.
pub(super) fn header<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    request
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// A server of this kind, of whose models nothing is known.
pub(super) fn found_to_be(kind: ServerKind) -> Discovery {
    Discovery {
        server: ServerInfo {
            kind,
            version: None,
        },
        api: ApiChoice {
            dialect: Dialect::OpenAi,
            reason: String::new(),
        },
        models: Vec::new(),
        warnings: Vec::new(),
    }
}

/// What comes of a question, whether it fails at once or only later.
pub(super) async fn outcome(
    server: &Server<Refused>,
) -> (Vec<ChatEvent>, Result<Completion, Error<Refused>>) {
    outcome_of(server, prompt()).await
}

pub(super) async fn outcome_of(
    server: &Server<Refused>,
    request: ChatRequest,
) -> (Vec<ChatEvent>, Result<Completion, Error<Refused>>) {
    let mut stream = match server.chat(request).await {
        Ok(stream) => stream,
        Err(error) => return (Vec::new(), Err(error)),
    };
    match drain(&mut stream).await {
        (events, Some(error)) => (events, Err(error)),
        (mut events, None) => match events.pop() {
            Some(ChatEvent::Finished(completion)) => (events, Ok(completion)),
            other => panic!("{other:?}"),
        },
    }
}

/// Sends nothing again.
pub(super) fn never_again() -> Options {
    Options {
        retries: Retries {
            max: 0,
            ..Retries::default()
        },
        ..Options::default()
    }
}

/// Everything a stream tells until it ends, but that it still waits.
pub(super) async fn drain(
    stream: &mut ChatStream<Refused>,
) -> (Vec<ChatEvent>, Option<Error<Refused>>) {
    let mut events = Vec::new();
    loop {
        match stream.next().await {
            None => return (events, None),
            Some(Ok(ChatEvent::Waiting { .. })) => {}
            Some(Ok(event)) => events.push(event),
            Some(Err(error)) => {
                assert!(stream.next().await.is_none(), "nothing follows an error");
                return (events, Some(error));
            }
        }
    }
}
