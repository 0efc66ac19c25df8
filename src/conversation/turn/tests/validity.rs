//! Whatever a model and its tools do, what comes of a prompt is a valid conversation.

use proptest::prelude::*;
use serde_json::json;

use crate::conversation::message::{Normal, normalise};
use crate::conversation::tool::ToolFailure;
use crate::conversation::turn::scripted::*;
use crate::llm::{Block, ChatEvent, Completion, InvalidCall, Message, Role};

/// One block or broken call of a scripted answer.
#[derive(Debug, Clone)]
enum Piece {
    Text(String),
    Call { id: u8, tool: usize, argument: u8 },
    Broken { id: u8, tool: usize },
}

/// One scripted answer and how it ends.
#[derive(Debug, Clone)]
struct Script {
    pieces: Vec<Piece>,
    ending: Ending,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Ending {
    Finish,
    Fail,
    Cancel,
    Nothing,
}

const TOOLS: [&str; 6] = ["ok", "fs.fail", "deny", "hang", "cancel", "gone"];

fn piece() -> impl Strategy<Value = Piece> {
    prop_oneof![
        2 => "[a-c]{0,3}".prop_map(Piece::Text),
        // One tool more than there are: an unknown one. The last two end the prompt, so are rare.
        5 => (0u8..4, prop_oneof![8 => 0usize..4, 1 => 4usize..7], 0u8..3)
            .prop_map(|(id, tool, argument)| Piece::Call { id, tool, argument }),
        1 => (0u8..4, 0usize..7).prop_map(|(id, tool)| Piece::Broken { id, tool }),
    ]
}

fn script() -> impl Strategy<Value = Script> {
    let ending = prop_oneof![
        12 => Just(Ending::Finish),
        1 => Just(Ending::Fail),
        1 => Just(Ending::Cancel),
        1 => Just(Ending::Nothing),
    ];
    (prop::collection::vec(piece(), 0..5), ending)
        .prop_map(|(pieces, ending)| Script { pieces, ending })
}

fn name(tool: usize) -> String {
    TOOLS
        .get(tool)
        .map_or_else(|| "un known".to_owned(), |name| name.replace('.', "_"))
}

fn steps(Script { pieces, ending }: Script) -> Vec<Step> {
    let mut content = Vec::new();
    let mut invalid_calls = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Text(said) => content.push(text(&said)),
            Piece::Call { id, tool, argument } => {
                content.push(call(
                    &format!("call_{id}"),
                    &name(tool),
                    json!({ "n": argument }),
                ));
            }
            Piece::Broken { id, tool } => invalid_calls.push(InvalidCall {
                id: format!("broken_{id}"),
                name: name(tool),
                raw: "{".into(),
                problem: "EOF".into(),
            }),
        }
    }
    let mut steps = says(content);
    if let Some(Step::Tell(ChatEvent::Finished(Completion {
        invalid_calls: slot,
        ..
    }))) = steps.last_mut()
    {
        *slot = invalid_calls;
    }
    match ending {
        Ending::Finish => return steps,
        Ending::Fail => steps.push(Step::Fail),
        Ending::Cancel => steps.push(Step::CancelPrompt),
        Ending::Nothing => {}
    }
    // The finish did not make it.
    steps.retain(|step| !matches!(step, Step::Tell(ChatEvent::Finished(_))));
    steps
}

/// Every call of every assistant message is answered once, in order, by the message after it, and
/// nothing else is.
fn assert_answered(messages: &[Message]) {
    let mut open: Vec<&str> = Vec::new();
    for message in messages {
        let answered: Vec<&str> = message
            .content
            .iter()
            .filter_map(|block| match block {
                Block::ToolResult { tool_use_id, .. } => Some(tool_use_id.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(answered, open, "in {messages:#?}");
        open = message
            .content
            .iter()
            .filter_map(|block| match block {
                Block::ToolUse { id, .. } => Some(id.as_str()),
                _ => None,
            })
            .collect();
        assert!(open.is_empty() || message.role == Role::Assistant);
    }
    assert_eq!(open, Vec::<&str>::new(), "in {messages:#?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_call_is_answered_exactly_once_and_in_order(
        scripts in prop::collection::vec(script(), 1..8),
        max_rounds in 1u32..8,
        max_tool_calls in 0u32..12,
    ) {
        let mut stage = Stage::new(scripts.into_iter().map(steps))
            .then_refuses()
            .tool(TOOLS[0], returns("x"))
            .tool(TOOLS[1], Act::Fail(ToolFailure::Failed("bad".into())))
            .tool(TOOLS[2], Act::Fail(ToolFailure::Denied))
            .tool(TOOLS[3], Act::Hang)
            .tool(TOOLS[4], Act::CancelPrompt)
            .tool(TOOLS[5], Act::Fail(ToolFailure::HostGone));
        stage.prompt.limits.max_rounds = max_rounds;
        stage.prompt.limits.max_tool_calls = max_tool_calls;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let outcome = runtime.block_on(stage.run());

        assert_answered(&outcome.messages);
        for request in stage.requests() {
            assert_answered(&request.messages);
        }

        // Each call reached its tool at most once.
        let mut ids: Vec<_> = stage.calls().into_iter().map(|call| call.id).collect();
        let count = ids.len();
        ids.sort();
        ids.dedup();
        prop_assert_eq!(ids.len(), count);
        prop_assert_eq!((stage.running(), stage.open_answers()), (0, 0));
        prop_assert!(outcome.rounds <= max_rounds && outcome.tool_calls <= max_tool_calls);

        // The next prompt finds nothing to refuse, even if the host sends all of it as new.
        let mut messages = stage.prompt.messages.clone();
        messages.extend(outcome.messages);
        messages.push(user("next"));
        let normal = normalise(None, messages.clone(), 0);
        prop_assert!(normal.is_ok(), "{:?} in {:#?}", normal, messages);
        let Normal { messages, .. } = normal.unwrap();
        assert_answered(&messages);
        for pair in messages.windows(2) {
            prop_assert_ne!(pair[0].role, pair[1].role);
        }
    }
}
