//! What servers really send is in `tests/data/conformance`; here is what none should.

use serde_json::{Value, json};

use super::*;

/// Chunks that are plausible each, and need not be together.
fn chunks() -> Vec<Value> {
    let delta = |delta: Value| json!({"choices": [{"index": 0, "delta": delta}]});
    let call = |element: Value| json!({"choices": [{"delta": {"tool_calls": [element]}}]});
    let end = |reason: &str| json!({"choices": [{"delta": {}, "finish_reason": reason}]});
    vec![
        delta(json!({"role": "assistant", "content": ""})),
        delta(json!({"content": "é"})),
        delta(json!({"content": "<think>"})),
        delta(json!({"content": "</think>"})),
        delta(json!({"reasoning": "x"})),
        delta(json!({"tool_calls": [null, 7, {}, {"function": []}]})),
        call(json!({"id": "a", "function": {"name": "f", "arguments": "{"}})),
        call(json!({"index": 0, "function": {"arguments": "}"}})),
        call(json!({"index": 1, "function": {"name": "f", "arguments": {}}})),
        call(json!({"index": 1, "id": "b", "function": {"name": "fs"}})),
        end("stop"),
        end("length"),
        json!({"error": {}}),
        json!({"usage": {"prompt_tokens": 1}}),
        json!({"choices": [{"message": {"content": "all of it"}, "finish_reason": "stop"}]}),
    ]
}

proptest::proptest! {
    #[test]
    fn whatever_comes_after_one_another_ends_once_and_runs_what_was_told(
        picks in proptest::collection::vec(0..15usize, 0..30),
    ) {
        let chunks = chunks();
        let (names, redactor) = (Names::default(), Redactor::default());
        let mut answer = Answer::new(Dialect::OpenAi, names, redactor, "made000".into());
        let mut events = Vec::new();
        let outcome = picks
            .iter()
            .try_for_each(|pick| {
                let data = chunks[*pick].to_string();
                answer.take(&Frame::Event { event: None, data }, &mut events)
            })
            .and_then(|()| answer.complete(Timing::default(), &mut events));
        let ends = events.iter().filter(|event| matches!(event, ChatEvent::Finished(_)));
        assert_eq!(ends.count(), usize::from(outcome.is_ok()));
        let told: String = events
            .iter()
            .filter_map(|event| match event {
                ChatEvent::Text(text) => Some(text.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(answer.text(), told);
        let Some(ChatEvent::Finished(completion)) = events.last() else {
            return Ok(());
        };
        for block in &completion.content {
            if let Block::ToolUse { id: run, .. } = block {
                let started = events.iter().filter(
                    |event| matches!(event, ChatEvent::ToolCallStarted { id, .. } if id == run),
                );
                assert_eq!(started.count(), 1);
            }
        }
    }
}
