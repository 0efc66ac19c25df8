//! What comes back for a prompt without tools.

use std::time::Duration;

use serde_json::json;

use crate::conversation::event::{Event, Phase};
use crate::conversation::outcome::{StopReason, Timing};
use crate::conversation::turn::scripted::*;
use crate::llm::{self, Block, ChatEvent, ChatRequest, Completion, Message, Role, ToolChoice};

#[tokio::test(start_paused = true)]
async fn streamed_text_arrives_piece_by_piece_and_as_a_whole() {
    let stage = Stage::new([vec![
        Step::Tell(ChatEvent::Status {
            phase: llm::Phase::Prefill,
            progress: Some(0.5),
        }),
        Step::Wait(Duration::from_secs(2)),
        Step::Tell(ChatEvent::Reasoning("hm".into())),
        Step::Tell(ChatEvent::Text("Hel".into())),
        Step::Wait(Duration::from_secs(4)),
        Step::Tell(ChatEvent::Text("lo".into())),
        Step::Tell(ChatEvent::Warning("odd".into())),
        Step::Tell(ChatEvent::Usage(usage(10, 20))),
        Step::Tell(ChatEvent::Finished(Completion {
            usage: Some(usage(10, 20)),
            model: Some("m-v2".into()),
            ..completion(vec![text("Hello")])
        })),
    ]]);
    let outcome = stage.run().await;

    assert_eq!(
        stage.events(),
        [
            (1, Event::Started),
            (
                1,
                Event::Status {
                    phase: Phase::Connecting,
                    progress: None
                }
            ),
            (
                1,
                Event::Status {
                    phase: Phase::Prefill,
                    progress: Some(0.5)
                }
            ),
            (1, Event::ReasoningDelta { text: "hm".into() }),
            (1, Event::TextDelta { text: "Hel".into() }),
            (1, Event::TextDelta { text: "lo".into() }),
            (
                1,
                Event::Warning {
                    message: "odd".into()
                }
            ),
            (1, Event::Usage(usage(10, 20))),
        ]
    );
    assert_eq!(ended(&outcome), Ok(StopReason::EndTurn));
    assert_eq!(outcome.messages, [assistant(vec![text("Hello")])]);
    assert_eq!(
        (outcome.text().as_str(), outcome.partial.as_str()),
        ("Hello", "")
    );
    assert_eq!(outcome.model.as_deref(), Some("m-v2"));
    assert_eq!((outcome.rounds, outcome.tool_calls), (1, 0));
    assert_eq!(outcome.warnings, ["odd"]);
    assert_eq!(
        outcome.timing,
        Timing {
            connect: Some(Duration::from_millis(7)),
            first_token: Some(Duration::from_secs(2)),
            total: Duration::from_secs(6),
            tokens_per_second: Some(5.0),
        }
    );
}

#[tokio::test(start_paused = true)]
async fn the_request_says_all_that_was_asked() {
    let mut stage = Stage::new([says(vec![text("ok")])]).tool("fs.read", Act::Hang);
    stage.prompt.system = Some("Be brief.".into());
    stage.prompt.messages = vec![
        user("one"),
        assistant(vec![call("a", "fs.read", json!({"path": "x"}))]),
        results(vec![result("a", "1"), text("two")]),
        Message {
            role: Role::System,
            content: vec![text("Be kind.")],
        },
        user("three"),
    ];
    stage.prompt.sampling.temperature = Some(0.5);
    stage.prompt.extra.insert("top_k".into(), json!(3));
    stage.prompt.tool_choice = Some(ToolChoice::None);
    stage.run().await;

    assert_eq!(
        stage.requests(),
        [ChatRequest {
            model: "m".into(),
            system: Some("Be brief.\n\nBe kind.".into()),
            messages: vec![
                user("one"),
                assistant(vec![call("a", "fs.read", json!({"path": "x"}))]),
                results(vec![result("a", "1"), text("two"), text("three")]),
            ],
            tools: vec![llm::Tool {
                name: "fs.read".into(),
                description: None,
                input_schema: json!({"type": "object", "properties": {}}),
            }],
            tool_choice: Some(ToolChoice::None),
            sampling: llm::Sampling {
                temperature: Some(0.5),
                ..Default::default()
            },
            extra: [("top_k".to_owned(), json!(3))].into_iter().collect(),
            continues: false,
            affinity: Some("c1".into()),
        }]
    );
}

#[tokio::test(start_paused = true)]
async fn a_failure_in_mid_stream_keeps_what_arrived_and_runs_no_call() {
    let stage = Stage::new([vec![
        Step::Tell(ChatEvent::Reasoning("hm".into())),
        Step::Tell(ChatEvent::Text("par".into())),
        Step::Tell(ChatEvent::ToolCallStarted {
            id: "a".into(),
            name: "read".into(),
        }),
        Step::Tell(ChatEvent::ToolCallDelta {
            id: "a".into(),
            fragment: "{}".into(),
        }),
        Step::Count(usage(3, 4)),
        Step::Fail,
    ]])
    .tool("read", returns("never"));
    let outcome = stage.run().await;

    assert_eq!(ended(&outcome), Err(llm::Error::Open(Lost).to_string()));
    let thinking = Block::Thinking {
        thinking: "hm".into(),
        signature: None,
    };
    assert_eq!(outcome.messages, [assistant(vec![thinking, text("par")])]);
    assert_eq!(outcome.partial, "par");
    assert_eq!(outcome.usage.per_round, [Some(usage(3, 4))]);
    assert_eq!(stage.calls(), []);
    assert!(!outcome.may_retry(), "something was said already");
}

#[tokio::test(start_paused = true)]
async fn what_was_counted_of_an_answer_begun_anew_is_forgotten() {
    let waiting = ChatEvent::Status {
        phase: llm::Phase::Prefill,
        progress: None,
    };
    let mut steps = vec![
        Step::Count(usage(9, 9)),
        Step::Tell(waiting),
        Step::AskAgain("once more"),
    ];
    steps.extend(says(vec![text("hello")]));
    let stage = Stage::new([steps]);
    let outcome = stage.run().await;
    assert_eq!(ended(&outcome), Ok(StopReason::EndTurn));
    assert_eq!(outcome.usage.per_round, [None]);
    assert_eq!(outcome.warnings, ["once more"]);
    assert_eq!(stage.requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_just_stops_has_failed() {
    let stage = Stage::new([vec![Step::Tell(ChatEvent::Text("par".into()))]]);
    let outcome = stage.run().await;
    assert_eq!(
        ended(&outcome),
        Err("the answer stopped without a finish reason".into())
    );
    assert_eq!(outcome.partial, "par");
}

#[tokio::test(start_paused = true)]
async fn a_refused_connection_leaves_nothing_and_may_be_tried_again() {
    let stage = Stage::new([]).then_refuses();
    let outcome = stage.run().await;
    assert_eq!(outcome.messages, []);
    assert!(outcome.may_retry());
}

#[tokio::test(start_paused = true)]
async fn an_invalid_prompt_fails_before_anything_is_told_or_asked() {
    let run = async |change: fn(&mut Stage)| {
        let mut stage = Stage::new([]).tool("read", Act::Hang);
        change(&mut stage);
        let outcome = stage.run().await;
        assert_eq!((stage.events(), stage.requests()), (vec![], vec![]));
        ended(&outcome).unwrap_err()
    };
    assert_eq!(
        run(|stage| stage.prompt.messages.clear()).await,
        "messages is empty"
    );
    assert_eq!(
        run(|stage| stage.prompt.messages.push(assistant(vec![]))).await,
        "messages[1]: there is no content"
    );
    assert_eq!(
        run(|stage| stage.prompt.tools.push(stage.prompt.tools[0].clone())).await,
        "tools[1]: another tool has the same name"
    );
    assert_eq!(
        run(|stage| stage.prompt.tools[0].tool.input_schema = json!(true)).await,
        "tools[0]: inputSchema is not a JSON object"
    );
    assert_eq!(
        run(|stage| stage.prompt.tool_choice = Some(ToolChoice::Named("fs.read".into()))).await,
        "toolChoice: no tool named `fs.read` is declared"
    );
    assert_eq!(
        run(|stage| {
            stage.prompt.tools.clear();
            stage.prompt.tool_choice = Some(ToolChoice::Required);
        })
        .await,
        "toolChoice: a tool is required, and none is declared"
    );
}

#[tokio::test(start_paused = true)]
async fn usage_is_kept_by_round_and_summed_where_it_is_known() {
    let with_usage = |content, usage| {
        vec![Step::Tell(ChatEvent::Finished(Completion {
            usage,
            ..completion(content)
        }))]
    };
    let read = |id: &str, path: &str| vec![call(id, "read", json!({"path": path}))];
    let cached = llm::Usage {
        cache_read_tokens: Some(5),
        ..usage(100, 7)
    };
    let stage = Stage::new([
        with_usage(read("a", "1"), Some(usage(10, 3))),
        with_usage(read("b", "2"), None),
        with_usage(vec![text("done")], Some(cached)),
    ])
    .tool("read", returns("x"));
    let outcome = stage.run().await;

    assert_eq!(
        outcome.usage.per_round,
        [Some(usage(10, 3)), None, Some(cached)]
    );
    assert_eq!(
        outcome.usage.total(),
        llm::Usage {
            cache_read_tokens: Some(5),
            ..usage(110, 10)
        }
    );
    let told: Vec<_> = stage
        .events()
        .into_iter()
        .filter(|(_, event)| matches!(event, Event::Usage(_)))
        .collect();
    assert_eq!(
        told,
        [(1, Event::Usage(usage(10, 3))), (3, Event::Usage(cached))]
    );
    assert_eq!(outcome.timing.tokens_per_second, None);
}

#[tokio::test(start_paused = true)]
async fn an_empty_answer_adds_no_message_and_is_a_warning() {
    let stage = Stage::new([says(vec![text("")])]);
    let outcome = stage.run().await;
    assert_eq!(ended(&outcome), Ok(StopReason::EndTurn));
    assert_eq!((&outcome.messages[..], outcome.answer()), (&[][..], None));
    assert_eq!(outcome.warnings, ["the model answered with nothing"]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_continues_a_prefix_joins_it_for_the_model_only() {
    let asks = call("a", "read", json!({}));
    let mut stage = Stage::new([
        says(vec![text("is:"), asks.clone()]),
        says(vec![text("ok")]),
    ])
    .tool("read", returns("x"));
    stage.prompt.messages.push(assistant(vec![text("It ")]));
    let outcome = stage.run().await;
    assert_eq!(
        stage.asked(2),
        [
            user("hi"),
            assistant(vec![text("It "), text("is:"), asks.clone()]),
            results(vec![result("a", "x")]),
        ]
    );
    assert_eq!(outcome.messages[0], assistant(vec![text("is:"), asks]));
}

#[tokio::test(start_paused = true)]
async fn absurd_counts_of_a_server_overflow_nothing() {
    let absurd = |content: Vec<llm::Block>| {
        let mut steps = says(content.clone());
        steps.pop();
        steps.push(Step::Tell(ChatEvent::Finished(llm::Completion {
            usage: Some(usage(u64::MAX, u64::MAX)),
            ..completion(content)
        })));
        steps
    };
    let stage = Stage::new([
        absurd(vec![text("a"), call("a", "read", json!({}))]),
        absurd(vec![text("b")]),
    ])
    .tool("read", returns("x"));
    let outcome = stage.run().await;
    assert_eq!(ended(&outcome), Ok(StopReason::EndTurn));
    assert_eq!(outcome.usage.total(), usage(u64::MAX, u64::MAX));
}
