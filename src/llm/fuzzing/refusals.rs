//! An error's body, whatever it is.

use super::{SECRET, is_clean};
use crate::llm::{json, refusal, sanitize::Redactor};

/// The first two bytes of the input are the status, the rest the body.
pub fn refusal(input: &[u8]) {
    let [a, b, body @ ..] = input else {
        return;
    };
    let status = 400 + u16::from_be_bytes([*a, *b]) % 200;
    let redactor = Redactor::new([SECRET.into()]);
    let said = refusal::of_response(status, body, None, &redactor);
    assert_eq!(said.status, Some(status));
    assert!(
        !said.message.is_empty() && is_clean(&said.message),
        "{said:?}"
    );
    if let Ok(json) = json::parse(body)
        && let Some(error) = refusal::error_in(None, &json)
    {
        let said = refusal::in_stream(&error, &redactor);
        assert!(
            !said.message.is_empty() && is_clean(&said.message),
            "{said:?}"
        );
    }
}
