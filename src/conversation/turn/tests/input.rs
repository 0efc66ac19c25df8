//! What a call is made with: mended where only one thing can be meant, checked, and never run if
//! the answer was cut.

use serde_json::{Value, json};

use crate::conversation::event::Event;
use crate::conversation::outcome::StopReason;
use crate::conversation::tool::CallFailure;
use crate::conversation::turn::scripted::*;
use crate::llm::{self, Block, ChatEvent, Completion};

fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {"path": {"type": "string"}, "lines": {"type": "array", "items": {"type": "integer"}}},
        "required": ["path"],
        "additionalProperties": false,
    })
}

/// Plays the answers to a host with the tool `read`, which wants a path.
fn stage(answers: impl IntoIterator<Item = Vec<Step>>) -> Stage {
    let mut stage = Stage::new(answers).tool("read", returns("x"));
    stage.prompt.tools[0].tool.input_schema = schema();
    stage
}

fn failures(stage: &Stage) -> Vec<Option<CallFailure>> {
    let events = stage.events().into_iter();
    events
        .filter_map(|(_, event)| match event {
            Event::ToolResult { failure, .. } => Some(failure),
            _ => None,
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn an_input_that_does_not_fit_is_told_to_the_model_and_nothing_runs() {
    let bad = json!({"lines": [1, "two"], "more": true});
    let stage = stage([
        says(vec![call("a", "read", bad.clone())]),
        says(vec![call(
            "b",
            "read",
            json!({"path": "x", "lines": [1, 2]}),
        )]),
        says(vec![text("ok")]),
    ]);
    let outcome = stage.run().await;
    assert_eq!(ended(&outcome), Ok(StopReason::EndTurn));
    assert_eq!(
        stage.asked(2)[1..],
        [
            assistant(vec![call("a", "read", bad)]),
            results(vec![error(
                "a",
                "This call was not run: its arguments are wrong: /lines/1: value is not of type \
                 \"integer\"; Additional properties are not allowed ('more' was unexpected); \
                 \"path\" is a required property. Make it again with one JSON object that fits the \
                 tool's input schema."
            )])
        ]
    );
    assert_eq!(stage.calls().len(), 1);
    assert_eq!(failures(&stage), [Some(CallFailure::InvalidInput), None]);
}

#[tokio::test(start_paused = true)]
async fn no_arguments_are_an_empty_object_which_has_to_fit_too() {
    let stage = stage([
        says(vec![call("a", "read", json!({}))]),
        says(vec![text("ok")]),
    ]);
    stage.run().await;
    assert_eq!(stage.calls(), []);
    assert_eq!(failures(&stage), [Some(CallFailure::InvalidInput)]);
}

#[tokio::test(start_paused = true)]
async fn arguments_that_can_mean_one_object_only_are_mended_and_run() {
    let stage = stage([
        says_invalid("a", "read", r#""{\"path\": \"x\"}""#),
        says(vec![text("ok")]),
    ]);
    let outcome = stage.run().await;
    let input = json!({"path": "x"});
    assert_eq!(stage.calls()[0].input, input);
    assert_eq!(
        outcome.messages[0],
        assistant(vec![call("a", "read", input.clone())])
    );
    assert_eq!(
        outcome.warnings,
        [
            "the arguments of a call of `read` were mended: they were a JSON string that holds an object"
        ]
    );
    assert!(stage.events().contains(&(
        1,
        Event::ToolCallReady {
            id: "a".into(),
            name: "read".into(),
            input
        }
    )));
}

#[tokio::test(start_paused = true)]
async fn what_was_mended_has_to_fit_too() {
    let stage = stage([
        says_invalid("a", "read", r#""{\"path\": 3}""#),
        says(vec![text("ok")]),
    ]);
    stage.run().await;
    assert_eq!(stage.calls(), []);
    assert_eq!(failures(&stage), [Some(CallFailure::InvalidInput)]);
}

#[tokio::test(start_paused = true)]
async fn no_call_of_an_answer_that_was_cut_runs_however_whole_it_looks() {
    let cut = |mut steps: Vec<Step>| {
        if let Some(Step::Tell(ChatEvent::Finished(completion))) = steps.last_mut() {
            completion.stop_reason = llm::StopReason::MaxTokens;
        }
        steps
    };
    let whole = call("a", "read", json!({"path": "x"}));
    for answer in [
        cut(says(vec![whole])),
        cut(says_invalid("a", "read", r#""{\"path\": \"x\"}""#)),
    ] {
        let stage = stage([answer, says(vec![text("ok")])]);
        let outcome = stage.run().await;
        assert_eq!(ended(&outcome), Ok(StopReason::EndTurn));
        assert_eq!(stage.calls(), []);
        assert_eq!(failures(&stage), [Some(CallFailure::InvalidInput)]);
        assert_eq!(
            outcome.messages[0],
            assistant(vec![call("a", "read", json!({}))]),
            "half an input is not sent back"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_schema_that_is_none_fails_the_prompt_and_names_the_tool() {
    let run = async |bad: Value| {
        let mut stage = stage([]).tool("bad", Act::Hang);
        stage.prompt.tools[1].tool.input_schema = bad;
        let outcome = stage.run().await;
        assert_eq!((stage.events(), stage.requests()), (vec![], vec![]));
        ended(&outcome).unwrap_err()
    };
    let said = run(json!({"type": "objekt"})).await;
    assert!(
        said.starts_with("tools[1]: inputSchema is no valid JSON Schema: ")
            && said.contains("objekt"),
        "{said}"
    );
    assert_eq!(
        run(json!({"properties": {"a": {"$ref": "http://127.0.0.1/x"}}})).await,
        "tools[1]: a $ref of inputSchema leads elsewhere than to a part of it (#/…)"
    );
    assert_eq!(
        run(json!({"$ref": "#"})).await,
        "tools[1]: the $refs of inputSchema go round in circles, or lead to too much"
    );
    assert_eq!(
        run(json!({"description": "x".repeat(300_000)})).await,
        "tools[1]: inputSchema is longer than 256 KiB"
    );
}

#[tokio::test(start_paused = true)]
async fn a_third_round_of_inputs_that_do_not_fit_is_the_last() {
    let bad = |id: &str, n: u32| says(vec![call(id, "read", json!({ "n": n }))]);
    let stage = stage([bad("a", 1), bad("b", 2), bad("c", 3)]);
    let outcome = stage.run().await;
    assert_eq!(
        ended(&outcome),
        Err("no tool call was fit to run, 3 rounds in a row".into())
    );
    assert_eq!(stage.calls(), []);
    assert_eq!(outcome.messages.len(), 6, "every call has its answer");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_fits_beside_one_that_does_not_counts_as_learning() {
    let both = |n: u32| {
        says(vec![
            call(&format!("a{n}"), "read", json!({ "n": n })),
            call(&format!("b{n}"), "read", json!({"path": n.to_string()})),
        ])
    };
    let stage = stage((0..6).map(both).chain([says(vec![text("ok")])]));
    let outcome = stage.run().await;
    assert_eq!(ended(&outcome), Ok(StopReason::EndTurn));
    assert_eq!(stage.calls().len(), 6);
}

#[tokio::test(start_paused = true)]
async fn an_invalid_call_beside_a_valid_one_is_answered_in_its_place() {
    let mut both = says_invalid("a", "read", "{");
    if let Some(Step::Tell(ChatEvent::Finished(Completion { content, .. }))) = both.last_mut() {
        content.push(call("b", "read", json!({"path": "x"})));
    }
    let stage = stage([both, says(vec![text("ok")])]);
    let outcome = stage.run().await;
    let answered: Vec<_> = outcome.messages[1]
        .content
        .iter()
        .map(|block| match block {
            Block::ToolResult {
                tool_use_id,
                is_error,
                ..
            } => (tool_use_id.as_str(), *is_error),
            other => panic!("{other:?}"),
        })
        .collect();
    let mut sorted = answered.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, [("a", true), ("b", false)]);
}
