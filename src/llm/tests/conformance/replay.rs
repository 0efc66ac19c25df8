//! A case played to the end, its bytes cut in one way or another.

use tokio::task::yield_now;

use super::{Ending, case::Case, told::Told};
use crate::llm::{
    ChatRequest, Options, Tool,
    tests::peer::{Connection, Peer, drain, never_again, prompt, server},
};

/// Where the bytes of an answer are cut.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cutting {
    Whole,
    Bytes,
    /// By this seed.
    Random(u64),
}

/// An answer from here on, in bytes, is cut at random into larger pieces.
const LARGE: usize = 256 * 1024;

/// Asks a server that answers as the case has it.
pub(super) async fn replay(case: &Case, cutting: Cutting) -> Told {
    let mut options = Options {
        api_key: Some("sk-canary-123".into()),
        api_type: case.api_type,
        ..never_again()
    };
    if let Some(first_token) = case.first_token {
        options.clocks.first_token = first_token;
    }
    let (server, peer) = server(options);
    let chat = async {
        match server.chat(request()).await {
            Err(error) => Told::new(case, Vec::new(), Some(error), String::new()),
            Ok(mut stream) => {
                let (events, error) = drain(&mut stream).await;
                Told::new(case, events, error, stream.partial_text().to_owned())
            }
        }
    };
    tokio::select! {
        told = chat => told,
        () = serve(peer, case, cutting) => panic!("nobody asks any more"),
    }
}

/// With tools, one of which has to travel under another name.
fn request() -> ChatRequest {
    let tool = |name: &str| Tool {
        name: name.to_owned(),
        description: None,
        input_schema: serde_json::json!({"type": "object", "properties": {}}),
    };
    ChatRequest {
        tools: vec![tool("get_weather"), tool("fs.read")],
        ..prompt()
    }
}

async fn serve(mut peer: Peer, case: &Case, cutting: Cutting) {
    let mut asked = 0;
    loop {
        let mut connection = peer.accept().await;
        while let Some(request) = connection.try_request().await {
            let line = request.lines().next().unwrap_or_default();
            let is_prompt = ["/chat/completions", "/api/chat"]
                .iter()
                .any(|path| line.contains(path));
            if !is_prompt {
                connection.json(404, "{}").await;
                continue;
            }
            let last = case.answers.len() - 1;
            let answer = &case.answers[asked.min(last)];
            asked += 1;
            write(&mut connection, &answer.bytes(), cutting).await;
            match answer.ending() {
                Ending::Whole => {}
                Ending::Closed | Ending::Cut => break,
                Ending::Held => std::future::pending().await,
            }
        }
    }
}

async fn write(connection: &mut Connection, bytes: &[u8], cutting: Cutting) {
    let mut rest = bytes;
    let mut random = match cutting {
        Cutting::Whole | Cutting::Bytes => None,
        Cutting::Random(seed) => Some(Random::new(seed)),
    };
    while !rest.is_empty() {
        let size = match (cutting, &mut random) {
            (Cutting::Whole, _) => rest.len(),
            (_, Some(random)) => {
                // Small pieces are where things go wrong; with them alone it would take too long.
                let limits = match bytes.len() {
                    ..LARGE => [4, 16, 64, 1024],
                    LARGE.. => [4, 64 * 1024, 128 * 1024, 256 * 1024],
                };
                let limit = limits[random.below(4)];
                1 + random.below(limit)
            }
            (_, None) => 1,
        };
        let (piece, later) = rest.split_at(size.min(rest.len()));
        if !connection.try_write(piece).await {
            return;
        }
        yield_now().await;
        rest = later;
    }
}

/// A few numbers that follow from a seed (xorshift).
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// A number below the limit, which is not 0.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        for shift in [13_i32, -7, 17] {
            self.0 ^= match shift {
                left if left > 0 => self.0 << left,
                right => self.0 >> -right,
            };
        }
        (self.0 % limit as u64) as usize
    }
}
