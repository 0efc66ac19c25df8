//! Prompts that are stopped, or lose the other side.

use serde_json::json;

use crate::conversation::event::Event;
use crate::conversation::tool::ToolFailure;
use crate::conversation::turn::scripted::*;
use crate::llm::ChatEvent;

#[tokio::test(start_paused = true)]
async fn a_prompt_cancelled_while_the_model_speaks_keeps_what_was_said() {
    let stage = Stage::new([vec![
        Step::Tell(ChatEvent::Text("so far".into())),
        Step::Tell(ChatEvent::ToolCallStarted {
            id: "a".into(),
            name: "read".into(),
        }),
        Step::CancelPrompt,
    ]])
    .tool("read", returns("never"));
    let outcome = stage.run().await;
    assert_eq!(ended(&outcome), Err("cancelled".into()));
    assert_eq!(outcome.messages, [assistant(vec![text("so far")])]);
    assert_eq!(outcome.partial, "so far");
    assert_eq!((stage.open_answers(), stage.calls()), (0, vec![]));
}

#[tokio::test(start_paused = true)]
async fn a_prompt_cancelled_before_it_starts_asks_nothing() {
    let stage = Stage::new([]);
    stage.cancel.cancel();
    let outcome = stage.run().await;
    assert_eq!(ended(&outcome), Err("cancelled".into()));
    assert_eq!((outcome.messages, stage.requests()), (vec![], vec![]));
}

#[tokio::test(start_paused = true)]
async fn a_cancel_drops_the_answer_at_once_even_while_the_host_is_slow() {
    let mut stage = Stage::new([vec![
        Step::Tell(ChatEvent::Text("one".into())),
        Step::Tell(ChatEvent::Text("two".into())),
        Step::Tell(ChatEvent::Text("three".into())),
    ]]);
    let two = Event::TextDelta { text: "two".into() };
    stage.cancel_at_event = Some(two.clone());
    let outcome = stage.run().await;
    assert_eq!(ended(&outcome), Err("cancelled".into()));
    assert_eq!(stage.open_after_cancel(), Some(0));
    assert_eq!(
        stage.events().last(),
        Some(&(1, two)),
        "the event in flight is not lost"
    );
    assert_eq!(outcome.partial, "onetwo");
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_prompt_cancels_its_tool() {
    let asks = vec![
        call("a", "read", json!({"n": 1})),
        call("b", "wait", json!({})),
        call("c", "read", json!({"n": 2})),
    ];
    let stage = Stage::new([says(asks.clone())])
        .tool("read", returns("x"))
        .tool("wait", Act::CancelPrompt);
    let outcome = stage.run().await;
    assert_eq!(ended(&outcome), Err("cancelled".into()));
    assert_eq!((stage.calls().len(), stage.running()), (2, 0));
    assert_eq!(
        outcome.messages,
        [
            assistant(asks),
            results(vec![
                result("a", "x"),
                error(
                    "b",
                    "The prompt was cancelled while this call ran. It may have taken effect."
                ),
                error("c", "not run: the prompt was cancelled"),
            ]),
        ]
    );
    assert_eq!(outcome.partial, "", "no answer was cut short");
    assert_eq!(
        stage.events().last(),
        Some(&(
            1,
            Event::ToolResult {
                id: "a".into(),
                is_error: false,
                failure: None,
                preview: "x".into()
            }
        ))
    );
}

#[tokio::test(start_paused = true)]
async fn a_prompt_cancelled_between_two_calls_does_not_start_the_second() {
    let asks = vec![call("a", "read", json!({})), call("b", "list", json!({}))];
    let mut stage = Stage::new([says(asks.clone())])
        .tool("read", returns("x"))
        .tool("list", returns("never"));
    stage.cancel_at_event = Some(Event::ToolResult {
        id: "a".into(),
        is_error: false,
        failure: None,
        preview: "x".into(),
    });
    let outcome = stage.run().await;
    assert_eq!(ended(&outcome), Err("cancelled".into()));
    assert_eq!(stage.calls().len(), 1);
    assert_eq!(
        outcome.messages,
        [
            assistant(asks),
            results(vec![
                result("a", "x"),
                error("b", "not run: the prompt was cancelled")
            ])
        ]
    );
}

#[test]
fn a_prompt_can_run_on_any_thread() {
    fn run<'a>(server: &'a crate::llm::Server<Lost>, stage: &'a Stage) -> impl Send + 'a {
        crate::conversation::run(
            server,
            Box::new(stage.prompt.clone()),
            stage,
            stage,
            &stage.cancel,
        )
    }
    let _compiles = run;
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_gone_ends_the_prompt() {
    let asks = vec![call("a", "read", json!({})), call("b", "list", json!({}))];
    let stage = Stage::new([says(asks.clone())])
        .tool("read", Act::Fail(ToolFailure::HostGone))
        .tool("list", returns("never"));
    let outcome = stage.run().await;
    assert_eq!(ended(&outcome), Err("the host is gone".into()));
    assert_eq!(
        outcome.messages,
        [
            assistant(asks),
            results(vec![
                error(
                    "a",
                    "The connection was lost while this call ran. It may have taken effect."
                ),
                error("b", "not run: the connection to the user was lost"),
            ]),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_server_lost_in_a_later_round_keeps_the_rounds_before() {
    let stage = Stage::new([says(vec![call("a", "read", json!({}))])])
        .then_refuses()
        .tool("read", returns("x"));
    let outcome = stage.run().await;
    assert_eq!(
        outcome.messages,
        [
            assistant(vec![call("a", "read", json!({}))]),
            results(vec![result("a", "x")])
        ]
    );
    assert_eq!((outcome.rounds, outcome.usage.per_round.len()), (2, 2));
    assert!(!outcome.may_retry(), "the tool would run twice");
}
