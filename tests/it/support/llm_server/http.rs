//! Just enough HTTP/1.1 to serve one request after another, by hand, because hyper would not let
//! us misbehave.

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt};

/// A request as it came over the wire.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// The JSON body; null if there was none.
    pub(crate) body: Value,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(present, _)| present == name)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn messages(&self) -> &[Value] {
        self.body
            .get("messages")
            .and_then(Value::as_array)
            .map_or(&[], Vec::as_slice)
    }

    /// The text of the last message with this role.
    pub(crate) fn last(&self, role: &str) -> Option<&str> {
        self.messages()
            .iter()
            .rev()
            .find(|message| message.get("role").and_then(Value::as_str) == Some(role))?
            .get("content")?
            .as_str()
    }

    /// Whether the conversation goes on from a tool's result.
    pub(crate) fn has_tool_result(&self) -> bool {
        self.messages()
            .last()
            .and_then(|message| message.get("role"))
            .and_then(Value::as_str)
            == Some("tool")
    }
}

/// Reads the next request; `None` at the end of the connection or of good manners.
pub(super) async fn read_request(
    from: &mut (impl AsyncRead + Unpin),
    buffer: &mut Vec<u8>,
) -> Option<Request> {
    let head_length = loop {
        if let Some(position) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break position + 4;
        }
        read_more(from, buffer).await?;
    };
    let head = String::from_utf8(buffer.get(..head_length)?.to_vec()).ok()?;
    let mut lines = head.lines();
    let mut request_line = lines.next()?.split(' ');
    let method = request_line.next()?.to_owned();
    let path = request_line.next()?.to_owned();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_lowercase(), value.trim().to_owned()))
        .collect();
    let body_length = headers
        .iter()
        .find(|(name, _)| name == "content-length")
        .map_or(Some(0), |(_, value)| value.parse::<usize>().ok())?;
    while buffer.len() < head_length + body_length {
        read_more(from, buffer).await?;
    }
    let body = buffer.get(head_length..head_length + body_length)?;
    let body = serde_json::from_slice(body).unwrap_or(Value::Null);
    buffer.drain(..head_length + body_length);
    Some(Request {
        method,
        path,
        headers,
        body,
    })
}

/// Reads until so many bytes are there; `None` at the end of the connection.
pub(super) async fn read_bytes(
    from: &mut (impl AsyncRead + Unpin),
    buffer: &mut Vec<u8>,
    count: usize,
) -> Option<()> {
    while buffer.len() < count {
        read_more(from, buffer).await?;
    }
    Some(())
}

/// Ends when the other side has closed the connection. Bytes that come first are kept.
pub(super) async fn gone(from: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>) {
    while read_more(from, buffer).await.is_some() {}
}

async fn read_more(from: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>) -> Option<()> {
    match from.read_buf(buffer).await {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(()),
    }
}
