use std::fs;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;

use crate::conversation::outcome::{StopReason, Timing, UsageReport};
use crate::llm::{self, Block, Usage};

use super::*;

#[derive(Debug, thiserror::Error)]
#[error("lost")]
struct Lost;

impl llm::Carrier for Lost {
    fn is_transient(&self) -> bool {
        false
    }
}

const ROOMY: Bounds = Bounds {
    conversations: 1_000,
    bytes: 1 << 30,
};

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

fn origin() -> Origin {
    Origin {
        config_id: "gpu".into(),
        model: "m".into(),
    }
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

fn asked(messages: Vec<Message>, seconds: u64) -> Asked {
    Asked {
        messages,
        at: at(seconds),
        continues: None,
    }
}

/// The user says something, the model says as much back.
async fn exchange(history: &History, id: &str, said: &str) -> Recorded {
    let outcome = outcome(vec![assistant(vec![text(said)])], vec![None]);
    history
        .record(id, asked(vec![user(said)], 1), &outcome, origin())
        .await
}

async fn exchanged(history: &History, id: &str, said: &str) {
    let recorded = exchange(history, id, said).await;
    assert!(recorded.problem.is_none(), "{recorded:?}");
}

async fn ids(history: &History) -> Vec<String> {
    let list = history.list().await.unwrap();
    list.into_iter().map(|summary| summary.id).collect()
}

async fn messages(history: &History, id: &str) -> Option<Vec<Message>> {
    let conversation = history.get(id).await.unwrap()?;
    Some(conversation.messages().cloned().collect())
}

fn project(data: &Path) -> Place {
    Place::Project {
        data_dir: data.to_owned(),
        project: "/some/project".into(),
    }
}

fn on_disk(data: &Path, bounds: Bounds) -> History {
    History::new(project(data), bounds)
}

fn in_memory(bounds: Bounds) -> History {
    History::new(Place::Memory, bounds)
}

fn file(data: &Path) -> std::path::PathBuf {
    project(data).file().unwrap().unwrap()
}

#[tokio::test]
async fn a_conversation_is_there_after_a_restart_with_times_usage_and_origin() {
    let data = tempfile::tempdir().unwrap();
    let usage = |tokens| {
        Some(Usage {
            output_tokens: Some(tokens),
            ..Usage::default()
        })
    };
    let asks = assistant(vec![Block::ToolUse {
        id: "1".into(),
        name: "read".into(),
        input: json!({"z": 0.1, "a": [1, null]}),
    }]);
    let result = Message {
        role: Role::User,
        content: vec![Block::ToolResult {
            tool_use_id: "1".into(),
            content: vec![],
            is_error: true,
        }],
    };
    let answer = assistant(vec![text("done")]);
    let first = outcome(
        vec![asks.clone(), result.clone(), answer.clone()],
        vec![usage(1), usage(2)],
    );
    let history = on_disk(data.path(), ROOMY);
    let recorded = history
        .record("c", asked(vec![user("go")], 10), &first, origin())
        .await;
    assert!(recorded.problem.is_none());
    let recorded_late = exchange(&history, "c", "more").await;
    drop(history);

    let conversation = on_disk(data.path(), ROOMY).get("c").await.unwrap().unwrap();
    let said: Vec<_> = conversation.messages().collect();
    let more = (user("more"), assistant(vec![text("more")]));
    assert_eq!(
        said,
        [&user("go"), &asks, &result, &answer, &more.0, &more.1]
    );
    let usages: Vec<_> = conversation
        .entries
        .iter()
        .map(|entry| entry.usage)
        .collect();
    assert_eq!(usages, [None, usage(1), None, usage(2), None, None]);
    let origins = conversation
        .entries
        .iter()
        .map(|entry| entry.origin.clone());
    let by = Some(origin());
    assert_eq!(
        origins.collect::<Vec<_>>(),
        [None, by.clone(), None, by.clone(), None, by.clone()]
    );
    assert_eq!(conversation.entries[0].timestamp, at(10));
    assert!(conversation.entries.iter().all(|entry| !entry.partial));
    let Summary {
        title,
        origin,
        created,
        messages,
        tool_calls,
        ..
    } = conversation.summary;
    assert_eq!((title.as_str(), origin, created), ("go", by, at(10)));
    assert_eq!((messages, tool_calls), (6, 1));
    assert_eq!(recorded_late.entries.len(), 2);
}

#[tokio::test]
async fn an_interrupted_answer_is_kept_and_marked() {
    let history = in_memory(ROOMY);
    for (end, partial, marked) in [
        (End::Cancelled, "half an ans", true),
        // Cancelled between two rounds: what is there is whole.
        (End::Cancelled, "", false),
    ] {
        let outcome = Outcome {
            end,
            partial: partial.into(),
            ..outcome(vec![assistant(vec![text("half an ans")])], vec![None])
        };
        let id = format!("c{marked}");
        history
            .record(&id, asked(vec![user("go")], 1), &outcome, origin())
            .await;
        let conversation = history.get(&id).await.unwrap().unwrap();
        let partial: Vec<_> = conversation
            .entries
            .iter()
            .map(|entry| entry.partial)
            .collect();
        assert_eq!(partial, [false, marked]);
    }
}

/// Half an answer to "go", kept in place 1.
async fn half_answered(history: &History, half: Vec<Block>) -> Result<usize, NotContinuable> {
    let says_something = matches!(half.last(), Some(Block::Text { .. }));
    let outcome = Outcome {
        end: End::Cancelled,
        partial: if says_something { "half" } else { "" }.into(),
        ..outcome(vec![assistant(half)], vec![None])
    };
    history
        .record("c", asked(vec![user("go")], 1), &outcome, origin())
        .await;
    history.get("c").await.unwrap().unwrap().unfinished()
}

#[tokio::test]
async fn the_whole_answer_takes_the_place_of_its_half() {
    let data = tempfile::tempdir().unwrap();
    let history = on_disk(data.path(), ROOMY);
    let place = half_answered(&history, vec![text("half")]).await.unwrap();
    let before = history.list().await.unwrap().remove(0);
    assert_eq!((place, before.messages), (1, 2));
    let whole = outcome(vec![assistant(vec![text("half and half")])], vec![None]);
    let continues = || Asked {
        continues: Some(place),
        ..asked(Vec::new(), 2)
    };
    history.record("c", continues(), &whole, origin()).await;
    drop(history);

    let history = on_disk(data.path(), ROOMY);
    let conversation = history.get("c").await.unwrap().unwrap();
    let said: Vec<_> = conversation.messages().cloned().collect();
    assert_eq!(said, [user("go"), assistant(vec![text("half and half")])]);
    assert!(!conversation.entries[1].partial);
    assert_eq!(conversation.unfinished(), Err(NotContinuable::Finished));
    let after = conversation.summary;
    assert_eq!(after.messages, 2);
    assert_eq!(after.bytes, before.bytes + " and half".len());
    // Where there is no half any more, nothing is overwritten.
    history.record("c", continues(), &whole, origin()).await;
    assert_eq!(messages(&history, "c").await.unwrap().len(), 3);
}

#[tokio::test]
async fn only_text_that_no_tool_ran_before_can_be_gone_on_with() {
    let history = in_memory(ROOMY);
    let thought = Block::Thinking {
        thinking: "hm".into(),
        signature: None,
    };
    let refused = half_answered(&history, vec![thought]).await;
    assert_eq!(refused, Err(NotContinuable::NothingSaid));
    let result = Message {
        role: Role::User,
        content: vec![Block::ToolResult {
            tool_use_id: "1".into(),
            content: vec![text("a")],
            is_error: false,
        }],
    };
    let outcome = Outcome {
        end: End::Cancelled,
        partial: "half".into(),
        ..outcome(vec![result, assistant(vec![text("half")])], vec![None])
    };
    history
        .record("d", asked(vec![user("go")], 1), &outcome, origin())
        .await;
    let conversation = history.get("d").await.unwrap().unwrap();
    assert_eq!(conversation.unfinished(), Err(NotContinuable::ToolsRan));
}

#[tokio::test]
async fn the_list_begins_with_the_latest_and_titles_are_short_lines() {
    let history = in_memory(ROOMY);
    exchanged(&history, "a", &format!("first\nline {}", "x".repeat(100))).await;
    exchanged(&history, "b", "second").await;
    exchanged(&history, "c", "third").await;
    exchanged(&history, "a", "again").await;
    let list = history.list().await.unwrap();
    let titles: Vec<_> = list.iter().map(|summary| summary.title.as_str()).collect();
    assert_eq!(
        titles,
        [
            &format!("first line {}…", "x".repeat(68)),
            "third",
            "second"
        ]
    );
    assert!(history.delete("b").await.unwrap() && !history.delete("b").await.unwrap());
    assert_eq!(ids(&history).await, ["a", "c"]);
    assert_eq!(messages(&history, "b").await, None);
    assert_eq!(history.delete_all().await.unwrap(), 2);
    assert!(ids(&history).await.is_empty());
}

#[tokio::test]
async fn a_part_of_a_conversation_can_be_read() {
    let history = in_memory(ROOMY);
    for said in ["one", "two", "three"] {
        exchanged(&history, "c", said).await;
    }
    let part = history.get_part("c", 3, 2).await.unwrap().unwrap();
    assert_eq!(
        part.messages().collect::<Vec<_>>(),
        [&assistant(vec![text("two")]), &user("three")]
    );
    assert_eq!(part.summary.messages, 6);
}

#[tokio::test]
async fn the_least_recently_changed_conversation_makes_room() {
    let history = in_memory(Bounds {
        conversations: 2,
        bytes: usize::MAX,
    });
    for id in ["a", "b", "a", "c"] {
        exchanged(&history, id, "x").await;
    }
    assert_eq!(ids(&history).await, ["c", "a"]);
}

#[tokio::test]
async fn all_conversations_together_stay_within_their_size() {
    let history = in_memory(Bounds {
        conversations: 10,
        bytes: 10_000,
    });
    for id in ["a", "b", "c", "d"] {
        exchanged(&history, id, &"x".repeat(1_000)).await;
    }
    exchanged(&history, "e", &"x".repeat(2_000)).await;
    assert_eq!(ids(&history).await, ["e", "d", "c"]);
    // Too large by itself, it takes no other along.
    exchanged(&history, "e", &"x".repeat(4_000)).await;
    assert_eq!(ids(&history).await, ["d", "c"]);
}

#[tokio::test]
async fn two_daemons_on_one_project_lose_nothing() {
    let data = tempfile::tempdir().unwrap();
    let (one, other) = (on_disk(data.path(), ROOMY), on_disk(data.path(), ROOMY));
    let work = async |history: &History, name: &str| {
        for number in 0..40 {
            exchanged(history, &format!("{name}{}", number % 4), "x").await;
            exchanged(history, "both", "x").await;
        }
    };
    tokio::join!(work(&one, "a"), work(&other, "b"));
    assert_eq!(ids(&one).await.len(), 9);
    assert_eq!(ids(&one).await, ids(&other).await);
    assert_eq!(messages(&one, "both").await.unwrap().len(), 160);
    assert_eq!(messages(&other, "a3").await.unwrap().len(), 20);
}

#[tokio::test]
async fn what_cannot_be_written_is_kept_and_written_later() {
    let data = tempfile::tempdir().unwrap();
    // A file where the folder should be.
    let in_the_way = data.path().join("history");
    fs::write(&in_the_way, "").unwrap();
    let history = on_disk(data.path(), ROOMY);
    for said in ["one", "two"] {
        let recorded = exchange(&history, "c", said).await;
        assert!(matches!(recorded.problem, Some(HistoryError::Io(_))));
    }
    let both = messages(&history, "c").await.unwrap();
    assert_eq!(both.len(), 4);
    assert_eq!(history.list().await.unwrap()[0].messages, 4);

    fs::remove_file(&in_the_way).unwrap();
    exchanged(&history, "c", "three").await;
    drop(history);
    let saved = messages(&on_disk(data.path(), ROOMY), "c").await.unwrap();
    assert_eq!((&saved[..4], saved.len()), (&both[..], 6));
}

#[tokio::test]
async fn a_damaged_file_is_set_aside_and_told_of() {
    let data = tempfile::tempdir().unwrap();
    let damaged = "this has never been a database ".repeat(200);
    fs::write(file(data.path()), &damaged).unwrap();
    let history = on_disk(data.path(), ROOMY);
    assert!(ids(&history).await.is_empty());
    let recorded = exchange(&history, "c", "x").await;
    let Some(HistoryError::Corrupt { set_aside }) = recorded.problem else {
        panic!("{recorded:?}");
    };
    let aside = data.path().join("history").join(set_aside);
    assert_eq!(fs::read_to_string(aside).unwrap(), damaged);
    exchanged(&history, "c", "y").await;
    assert_eq!(messages(&history, "c").await.unwrap().len(), 4);
}

#[tokio::test]
async fn a_newer_versions_file_is_left_as_it_is() {
    let data = tempfile::tempdir().unwrap();
    let file = file(data.path());
    let newer = rusqlite::Connection::open(&file).unwrap();
    newer.pragma_update(None, "user_version", 99).unwrap();
    drop(newer);
    let before = fs::read(&file).unwrap();
    let history = on_disk(data.path(), ROOMY);
    let recorded = exchange(&history, "c", "x").await;
    assert!(matches!(recorded.problem, Some(HistoryError::TooNew)));
    assert_eq!(messages(&history, "c").await.unwrap().len(), 2);
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[tokio::test]
async fn what_was_deleted_is_in_no_file() {
    let data = tempfile::tempdir().unwrap();
    let history = on_disk(data.path(), ROOMY);
    let secret = "the user's own words";
    let is_there = || {
        fs::read_dir(data.path().join("history"))
            .unwrap()
            .any(|file| {
                let bytes = fs::read(file.unwrap().path()).unwrap();
                bytes
                    .windows(secret.len())
                    .any(|window| window == secret.as_bytes())
            })
    };
    exchanged(&history, "c", secret).await;
    assert!(is_there());
    history.delete("c").await.unwrap();
    assert!(!is_there());
}

#[cfg(unix)]
#[tokio::test]
async fn the_files_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let data = tempfile::tempdir().unwrap();
    let path = file(data.path());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let history = on_disk(data.path(), ROOMY);
    exchanged(&history, "c", "x").await;
    let folder = data.path().join("history");
    let files = fs::read_dir(&folder)
        .unwrap()
        .map(|file| file.unwrap().path());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let modes: Vec<_> = files.map(|file| mode(&file)).collect();
    assert_eq!(modes, [0o600; 3], "the file, its log and its index");
    assert_eq!(mode(&folder), 0o700);
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(3, 20, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
            prop::collection::vec((any::<String>(), inner), 0..5)
                .prop_map(|fields| serde_json::Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn any_block() -> impl Strategy<Value = Block> {
    let part = prop_oneof![
        any::<String>().prop_map(|text| Block::Text { text }),
        (any::<String>(), any::<String>()).prop_map(|(media_type, data)| Block::Image {
            source: llm::ImageSource::Base64 { media_type, data }
        }),
    ];
    prop_oneof![
        part.clone(),
        (any::<String>(), any::<Option<String>>()).prop_map(|(thinking, signature)| {
            Block::Thinking {
                thinking,
                signature,
            }
        }),
        (any::<String>(), any::<String>(), any_json())
            .prop_map(|(id, name, input)| Block::ToolUse { id, name, input }),
        (
            any::<String>(),
            prop::collection::vec(part, 0..3),
            any::<bool>()
        )
            .prop_map(|(tool_use_id, content, is_error)| Block::ToolResult {
                tool_use_id,
                content,
                is_error
            }),
    ]
}

proptest! {
    /// A server's prompt cache finds the same bytes after a restart.
    #[test]
    fn whatever_was_said_is_read_again_byte_for_byte(
        content in prop::collection::vec(any_block(), 1..4)
    ) {
        let said = assistant(content);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let read = runtime.block_on(async {
            let history = in_memory(ROOMY);
            let outcome = outcome(vec![said.clone()], vec![None]);
            history.record("c", asked(vec![user("x")], 1), &outcome, origin()).await;
            messages(&history, "c").await.unwrap().pop().unwrap()
        });
        prop_assert_eq!(&read, &said);
        // Equal numbers could still be written in different ways.
        prop_assert_eq!(format!("{read:?}"), format!("{said:?}"));
    }
}
