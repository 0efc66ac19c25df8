//! Ten thousand turns of models and hosts that do anything.

use std::collections::HashSet;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::conversation::tool::ToolFailure;
use crate::conversation::turn::scripted::*;
use crate::llm::{self, Block, ChatEvent, Completion, InvalidCall, Message, Role};

/// How an answer ends.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Finish {
    Whole,
    /// By the limit of tokens.
    Cut,
    /// By a content filter.
    Filtered,
    /// By a failure, after all of it was told.
    Lost,
    /// By nothing.
    Silent,
}

/// What a call is made with.
#[derive(Debug, Clone)]
enum Made {
    With(Value),
    Raw(&'static str),
}

#[derive(Debug, Clone)]
struct Round {
    calls: Vec<(&'static str, &'static str, Made)>,
    finish: Finish,
}

#[derive(Debug, Clone)]
struct Play {
    rounds: Vec<Round>,
    acts: [Act; 3],
    max_rounds: u32,
    max_tool_calls: u32,
    parallel_tools: usize,
}

/// The first two only read.
const TOOLS: [&str; 3] = ["read", "list", "write"];

fn schema() -> Value {
    json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]})
}

fn fits(input: &Value) -> bool {
    input.get("n").is_some_and(Value::is_i64)
}

fn made() -> impl Strategy<Value = Made> {
    prop_oneof![
        9 => (0..9).prop_map(|n| Made::With(json!({ "n": n }))),
        1 => Just(Made::With(json!({}))),
        1 => Just(Made::With(json!({"n": "1"}))),
        1 => Just(Made::With(json!([1]))),
        1 => prop::sample::select(vec!["{", "\"{\\\"n\\\": 7}\"", "null", "{\"n\": 1", "[]"]).prop_map(Made::Raw),
    ]
}

fn rounds() -> impl Strategy<Value = Vec<Round>> {
    let id = prop::sample::select(vec!["a", "b", "call_0", ""]);
    let name = prop::sample::select(vec![
        "read", "read", "read", "list", "write", "write", "rm -rf", "Read",
    ]);
    let finish = prop_oneof![
        12 => Just(Finish::Whole),
        1 => Just(Finish::Cut),
        1 => Just(Finish::Filtered),
        1 => Just(Finish::Lost),
        1 => Just(Finish::Silent),
    ];
    let round = (prop::collection::vec((id, name, made()), 0..6), finish)
        .prop_map(|(calls, finish)| Round { calls, finish });
    prop::collection::vec(round, 1..6)
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        7 => Just(returns("x")),
        2 => (0..3u64).prop_map(|seconds| Act::After(Duration::from_secs(seconds), "y")),
        1 => Just(Act::AskFor(Duration::from_secs(300), "z")),
        1 => Just(Act::Hang),
        1 => Just(Act::CancelPrompt),
        2 => prop::sample::select(vec![
            ToolFailure::NotFound,
            ToolFailure::Failed("no".into()),
            ToolFailure::Denied,
            ToolFailure::TimedOut,
            ToolFailure::Cancelled,
            ToolFailure::HostGone,
        ])
        .prop_map(Act::Fail),
    ]
}

fn play() -> impl Strategy<Value = Play> {
    let acts = [act(), act(), act()];
    (rounds(), acts, 1..9u32, 0..25u32, 1..6usize).prop_map(
        |(rounds, acts, max_rounds, max_tool_calls, parallel_tools)| Play {
            rounds,
            acts,
            max_rounds,
            max_tool_calls,
            parallel_tools,
        },
    )
}

impl Round {
    fn steps(&self) -> Vec<Step> {
        let mut completion = Completion {
            stop_reason: match self.finish {
                Finish::Cut => llm::StopReason::MaxTokens,
                Finish::Filtered => llm::StopReason::Refusal,
                _ => llm::StopReason::ToolUse,
            },
            ..completion(vec![text("so")])
        };
        let mut steps = Vec::new();
        for (id, name, made) in &self.calls {
            let (id, name) = ((*id).to_owned(), (*name).to_owned());
            steps.push(Step::Tell(ChatEvent::ToolCallStarted {
                id: id.clone(),
                name: name.clone(),
            }));
            match made {
                Made::With(input) => completion.content.push(call(&id, &name, input.clone())),
                Made::Raw(raw) => completion.invalid_calls.push(InvalidCall {
                    id,
                    name,
                    raw: (*raw).to_owned(),
                    problem: "broken".to_owned(),
                }),
            }
        }
        match self.finish {
            Finish::Lost => steps.push(Step::Fail),
            Finish::Silent => {}
            Finish::Whole | Finish::Cut | Finish::Filtered => {
                steps.push(Step::Tell(ChatEvent::Finished(completion)));
            }
        }
        steps
    }
}

/// Every call of the messages is answered exactly once, in order, right after it.
fn assert_answered(messages: &[Message]) -> Result<(), TestCaseError> {
    let mut ids = HashSet::new();
    for (place, message) in messages.iter().enumerate() {
        let asked: Vec<_> = message
            .content
            .iter()
            .filter_map(|block| match block {
                Block::ToolUse { id, .. } => Some(id),
                _ => None,
            })
            .collect();
        for id in &asked {
            prop_assert!(ids.insert((*id).clone()), "{id} names two calls");
        }
        let next = messages
            .get(place + 1)
            .map_or(&[][..], |next| &next.content);
        let answered: Vec<_> = next
            .iter()
            .filter_map(|block| match block {
                Block::ToolResult { tool_use_id, .. } => Some(tool_use_id),
                _ => None,
            })
            .collect();
        if message.role == Role::Assistant {
            prop_assert_eq!(asked, answered);
        }
    }
    Ok(())
}

#[test]
fn ten_thousand_turns_break_no_rule() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let mut runner = TestRunner::new(Config {
        cases: 10_000,
        failure_persistence: None,
        ..Config::default()
    });
    let ran = std::cell::Cell::new(0);
    let played = runner.run(&play(), |play| {
        let mut stage = Stage::new(play.rounds.iter().map(Round::steps)).then_refuses();
        for (name, act) in TOOLS.into_iter().zip(&play.acts) {
            stage = match name {
                "write" => stage.tool(name, act.clone()),
                _ => stage.read_only_tool(name, act.clone()),
            };
        }
        for tool in &mut stage.prompt.tools {
            tool.tool.input_schema = schema();
        }
        stage.prompt.limits.max_rounds = play.max_rounds;
        stage.prompt.limits.max_tool_calls = play.max_tool_calls;
        stage.prompt.limits.parallel_tools = play.parallel_tools;
        let outcome = runtime.block_on(stage.run());

        let calls = stage.calls();
        ran.set(ran.get() + calls.len());
        let ids: HashSet<_> = calls.iter().map(|call| &call.id).collect();
        prop_assert_eq!(ids.len(), calls.len(), "a call ran twice");
        prop_assert!(calls.len() <= play.max_tool_calls as usize);
        prop_assert!(stage.most_running() <= play.parallel_tools.min(4));
        prop_assert_eq!(stage.running(), 0, "a tool outlived its prompt");
        for (call, round) in calls.iter().zip(stage.rounds_of_calls()) {
            prop_assert!(
                TOOLS.contains(&&*call.name),
                "{} is not declared",
                call.name
            );
            prop_assert!(fits(&call.input), "{} does not fit", call.input);
            prop_assert_eq!(play.rounds[round - 1].finish, Finish::Whole);
            let made = outcome.messages.iter().any(|message| {
                message
                    .content
                    .contains(&self::call(&call.id, &call.name, call.input.clone()))
            });
            prop_assert!(made, "{call:?} was never made");
        }
        assert_answered(&outcome.messages)?;
        for round in 1..=stage.requests().len() {
            assert_answered(&stage.asked(round))?;
        }
        Ok(())
    });
    if let Err(failure) = played {
        panic!("{failure}");
    }
    assert!(ran.get() > 5000, "only {} calls ran", ran.get());
}
