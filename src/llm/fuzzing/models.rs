//! Discovery of a server whose routes answer whatever they like.

use std::sync::Arc;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
    runtime,
};

use super::{SECRET, is_clean};
use crate::llm::{BoxFuture, ByteStream, Carrier, Dial, Discovery, Opener, Options, Server};

/// What stands between the answers of an input.
const BETWEEN: &[u8] = b"\n--\n";

/// The longest text that is told of a model; its id, which is opaque, apart.
const LONGEST: usize = 4096;

/// The input is answers, with `--` on a line between them: of each the first line is its route
/// and its status (`/v1/models 200`), the rest its body. All other routes are 404.
pub fn models(input: &[u8]) {
    let Ok(runtime) = runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
    else {
        return;
    };
    let routes = Arc::new(Routes::read(input));
    let Ok(endpoint) = "http://localhost:8080".parse() else {
        return;
    };
    let options = Options {
        api_key: Some(SECRET.into()),
        ..Options::default()
    };
    let server = Server::new(endpoint, Arc::new(Scripted(routes)), options);
    let discovery = runtime.block_on(async { server.discover().await });
    match discovery {
        Ok(discovery) => check(&discovery),
        Err(error) => assert!(is_clean(&error.to_string()), "{error}"),
    }
}

fn check(discovery: &Discovery) {
    let version = discovery.server.version.as_deref();
    assert!(version.is_none_or(|version| version.len() <= LONGEST));
    assert!(discovery.models.len() <= 10_000);
    for model in &discovery.models {
        assert!(!model.id.is_empty() && !model.name.is_empty(), "{model:?}");
        let parameters = &model.parameters;
        let texts = [
            Some(&model.name),
            model.description.as_ref(),
            parameters.quantization.as_ref(),
            parameters.family.as_ref(),
            parameters.format.as_ref(),
        ];
        for text in texts.into_iter().flatten() {
            assert!(!text.chars().any(char::is_control), "{model:?}");
            assert!(text.len() <= LONGEST, "{model:?}");
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("refused")]
struct Refused;

impl Carrier for Refused {
    fn is_transient(&self) -> bool {
        false
    }
}

struct Route {
    path: Vec<u8>,
    status: u16,
    body: Vec<u8>,
}

struct Routes(Vec<Route>);

impl Routes {
    fn read(mut input: &[u8]) -> Self {
        let mut routes = Vec::new();
        while !input.is_empty() && routes.len() < 16 {
            let end = memchr::memmem::find(input, BETWEEN);
            let (answer, rest) = input.split_at(end.unwrap_or(input.len()));
            input = rest.get(BETWEEN.len()..).unwrap_or_default();
            routes.extend(Route::read(answer));
        }
        Self(routes)
    }

    fn answer(&self, request: &[u8]) -> Vec<u8> {
        let path = request.split(|byte| *byte == b' ').nth(1);
        let route = self.0.iter().find(|route| Some(&*route.path) == path);
        let (status, body) = route.map_or((404, &[][..]), |route| (route.status, &route.body));
        let length = body.len();
        let mut answer = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        )
        .into_bytes();
        answer.extend_from_slice(body);
        answer
    }
}

impl Route {
    fn read(answer: &[u8]) -> Option<Self> {
        let (head, body) = answer.split_at(memchr::memchr(b'\n', answer)?);
        let head = str::from_utf8(head).ok()?;
        let (path, status) = head.split_once(' ')?;
        Some(Self {
            path: path.into(),
            status: status.trim().parse().ok()?,
            body: body.get(1..)?.to_vec(),
        })
        .filter(|route| (200..600).contains(&route.status))
    }
}

struct Scripted(Arc<Routes>);

impl Opener<Refused> for Scripted {
    fn open(&self, _to: &Dial) -> BoxFuture<'_, Result<Box<dyn ByteStream>, Refused>> {
        let (near, far) = duplex(64 * 1024);
        tokio::spawn(serve(far, Arc::clone(&self.0)));
        Box::pin(async { Ok(Box::new(near) as Box<dyn ByteStream>) })
    }
}

/// Answers requests until the client has gone. Heads and small bodies come in one piece.
async fn serve(mut connection: DuplexStream, routes: Arc<Routes>) {
    let mut request = vec![0; 64 * 1024];
    loop {
        let Ok(length @ 1..) = connection.read(&mut request).await else {
            return;
        };
        let answer = routes.answer(request.get(..length).unwrap_or_default());
        if connection.write_all(&answer).await.is_err() {
            return;
        }
    }
}
