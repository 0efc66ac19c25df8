use std::time::Duration;

use serde_json::json;

use crate::conversation::outcome::{End, StopReason, Timing, UsageReport};
use crate::llm;

use super::*;

#[derive(Debug, thiserror::Error)]
#[error("lost")]
struct Lost;

impl llm::Carrier for Lost {
    fn is_transient(&self) -> bool {
        false
    }
}

fn text(text: &str) -> Block {
    Block::Text { text: text.into() }
}

fn user(said: &str) -> Message {
    Message {
        role: Role::User,
        content: vec![text(said)],
    }
}

fn assistant(content: Vec<Block>) -> Message {
    Message {
        role: Role::Assistant,
        content,
    }
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn outcome(messages: Vec<Message>, per_round: Vec<Option<Usage>>) -> Outcome<Lost> {
    Outcome {
        end: End::Finished {
            stop_reason: StopReason::EndTurn,
            raw_finish_reason: None,
        },
        messages,
        partial: String::new(),
        model: Some("m".into()),
        rounds: 1,
        usage: UsageReport { per_round },
        timing: Timing::default(),
        tool_calls: 0,
        warnings: Vec::new(),
    }
}

/// The user says something, the model says as much back.
fn exchange(history: &History, id: &str, said: &str, seconds: u64) -> Vec<String> {
    let outcome = outcome(vec![assistant(vec![text(said)])], vec![None]);
    history.record(id, vec![user(said)], at(seconds), &outcome, at(seconds + 1))
}

fn ids(history: &History) -> Vec<String> {
    history
        .list()
        .into_iter()
        .map(|summary| summary.id)
        .collect()
}

#[test]
fn a_conversation_is_kept_with_times_and_the_usage_of_each_round() {
    let history = History::default();
    let usage = |tokens| {
        Some(Usage {
            output_tokens: Some(tokens),
            ..Usage::default()
        })
    };
    let asks = assistant(vec![Block::ToolUse {
        id: "1".into(),
        name: "read".into(),
        input: json!({}),
    }]);
    let result = Message {
        role: Role::User,
        content: vec![Block::ToolResult {
            tool_use_id: "1".into(),
            content: vec![],
            is_error: false,
        }],
    };
    let answer = assistant(vec![text("done")]);
    let first = outcome(
        vec![asks.clone(), result.clone(), answer.clone()],
        vec![usage(1), usage(2)],
    );
    assert_eq!(
        history.record("c", vec![user("go")], at(10), &first, at(20)),
        Vec::<String>::new()
    );
    exchange(&history, "c", "more", 30);

    let entry = |message: &Message, seconds, usage| {
        Arc::new(Entry {
            message: message.clone(),
            timestamp: at(seconds),
            usage,
        })
    };
    let conversation = history.get("c").unwrap();
    assert_eq!(
        conversation,
        Conversation {
            id: "c".into(),
            model: Some("m".into()),
            created: at(10),
            updated: at(31),
            entries: vec![
                entry(&user("go"), 10, None),
                entry(&asks, 20, usage(1)),
                entry(&result, 20, None),
                entry(&answer, 20, usage(2)),
                entry(&user("more"), 30, None),
                entry(&assistant(vec![text("more")]), 31, None),
            ],
        }
    );
    assert_eq!(conversation.messages().count(), 6);
    assert_eq!(
        history.list(),
        [Summary {
            id: "c".into(),
            title: "go".into(),
            model: Some("m".into()),
            created: at(10),
            updated: at(31),
            messages: 6,
            tool_calls: 1,
        }]
    );
}

#[test]
fn the_list_begins_with_the_latest_and_titles_are_short_lines() {
    let history = History::default();
    exchange(
        &history,
        "a",
        &format!("first\nline {}", "x".repeat(100)),
        1,
    );
    exchange(&history, "b", "second", 1);
    exchange(&history, "c", "third", 1);
    exchange(&history, "a", "again", 1);
    let list = history.list();
    let titles: Vec<_> = list.iter().map(|summary| summary.title.as_str()).collect();
    assert_eq!(
        titles,
        [
            &format!("first line {}…", "x".repeat(68)),
            "third",
            "second"
        ]
    );
    assert!(history.delete("b") && !history.delete("b"));
    assert_eq!(ids(&history), ["a", "c"]);
    assert_eq!(history.get("b"), None);
}

#[test]
fn the_least_recently_used_conversation_makes_room() {
    let history = History::new(Bounds {
        conversations: 2,
        bytes: usize::MAX,
    });
    exchange(&history, "a", "x", 1);
    exchange(&history, "b", "x", 2);
    exchange(&history, "a", "x", 3);
    assert_eq!(exchange(&history, "c", "x", 4), ["b"]);
    assert_eq!(ids(&history), ["c", "a"]);
}

#[test]
fn all_conversations_together_stay_within_their_size() {
    let history = History::new(Bounds {
        conversations: 10,
        bytes: 10_000,
    });
    for id in ["a", "b", "c", "d"] {
        exchange(&history, id, &"x".repeat(1_000), 1);
    }
    assert_eq!(exchange(&history, "e", &"x".repeat(2_000), 2), ["a", "b"]);
    assert_eq!(
        exchange(&history, "e", &"x".repeat(4_000), 3),
        ["e"],
        "too large by itself, it takes no other along"
    );
    assert_eq!(exchange(&history, "f", "x", 4), Vec::<String>::new());
    assert_eq!(ids(&history), ["f", "d", "c"]);
    let state = history.lock();
    let kept: usize = state.conversations.values().map(|kept| kept.bytes).sum();
    assert_eq!(state.bytes, kept);
}
