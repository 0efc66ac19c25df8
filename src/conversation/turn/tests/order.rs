//! Which calls run beside each other, and whose clock stands still.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use crate::conversation::event::Event;
use crate::conversation::outcome::StopReason;
use crate::conversation::tool::{CallFailure, ToolFailure};
use crate::conversation::turn::scripted::*;
use crate::llm::Block;

const SECOND: Duration = Duration::from_secs(1);

fn calls(names: &[&str]) -> Vec<Block> {
    let calls = names.iter().enumerate();
    calls
        .map(|(number, name)| call(&format!("{name}{number}"), name, json!({ "n": number })))
        .collect()
}

/// Reads take a second, so does a write, and `slow` takes three.
fn stage(names: &[&str]) -> Stage {
    Stage::new([says(calls(names)), says(vec![text("ok")])])
        .read_only_tool("read", Act::After(SECOND, "r"))
        .read_only_tool("slow", Act::After(3 * SECOND, "s"))
        .tool("write", Act::After(SECOND, "w"))
}

/// Runs it; how long that took, and the most calls that ran at once.
async fn timed(stage: &Stage) -> (Duration, usize) {
    let begun = Instant::now();
    let outcome = stage.run().await;
    assert_eq!(ended(&outcome), Ok(StopReason::EndTurn));
    (begun.elapsed(), stage.most_running())
}

#[tokio::test(start_paused = true)]
async fn neighbours_that_only_read_run_beside_each_other_at_most_four() {
    assert_eq!(timed(&stage(&["read"; 3])).await, (SECOND, 3));
    assert_eq!(timed(&stage(&["read"; 9])).await, (3 * SECOND, 4));
    let mut one_by_one = stage(&["read"; 3]);
    one_by_one.prompt.limits.parallel_tools = 1;
    assert_eq!(timed(&one_by_one).await, (3 * SECOND, 1));
    let mut boundless = stage(&["read"; 8]);
    boundless.prompt.limits.parallel_tools = 100;
    assert_eq!(timed(&boundless).await, (2 * SECOND, 4));
}

#[tokio::test(start_paused = true)]
async fn what_writes_runs_alone_after_all_before_it() {
    assert_eq!(timed(&stage(&["write"; 3])).await, (3 * SECOND, 1));
    let mixed = stage(&["slow", "read", "write", "read", "slow"]);
    assert_eq!(timed(&mixed).await, (7 * SECOND, 2));
    let started: Vec<_> = mixed.calls().into_iter().map(|call| call.id).collect();
    assert_eq!(started, ["slow0", "read1", "write2", "read3", "slow4"]);
}

#[tokio::test(start_paused = true)]
async fn results_are_told_as_they_come_and_go_back_in_order() {
    let stage = stage(&["slow", "read"]);
    stage.run().await;
    assert_eq!(
        stage.asked(2)[2],
        results(vec![result("slow0", "s"), result("read1", "r")])
    );
    let told: Vec<_> = stage
        .events()
        .into_iter()
        .filter_map(|(_, event)| match event {
            Event::ToolResult { id, .. } => Some(id),
            _ => None,
        })
        .collect();
    assert_eq!(told, ["read1", "slow0"]);
}

#[tokio::test(start_paused = true)]
async fn a_cancel_ends_all_that_run_and_starts_no_more() {
    let mut stage = stage(&["slow", "read", "slow", "slow", "slow", "write"]);
    stage.cancel_at_event = Some(Event::ToolResult {
        id: "read1".into(),
        is_error: false,
        failure: None,
        preview: "r".into(),
    });
    let outcome = stage.run().await;
    assert_eq!(ended(&outcome), Err("cancelled".into()));
    // `slow4` took the place of `read1` when that was done.
    assert_eq!((stage.calls().len(), stage.running()), (5, 0));
    let Block::ToolResult { content, .. } = &outcome.messages[1].content[5] else {
        panic!("{outcome:?}");
    };
    assert_eq!(*content, [text("not run: the prompt was cancelled")]);
    assert_eq!(outcome.messages[1].content.len(), 6);
    assert_eq!(stage.requests().len(), 1, "the model is not asked again");
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_gone_is_asked_for_nothing_more() {
    let names = ["gone", "gone", "gone", "gone", "gone", "gone"];
    let stage =
        Stage::new([says(calls(&names))]).read_only_tool("gone", Act::Fail(ToolFailure::HostGone));
    let outcome = stage.run().await;
    assert_eq!(ended(&outcome), Err("the host is gone".into()));
    assert!(stage.calls().len() <= 4, "{:?}", stage.calls());
    assert_eq!(outcome.messages[1].content.len(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_does_not_answer_keeps_no_neighbour() {
    let stage = Stage::new([says(calls(&["hang", "read"])), says(vec![text("ok")])])
        .read_only_tool("hang", Act::Hang)
        .read_only_tool("read", Act::After(SECOND, "r"));
    let begun = Instant::now();
    let outcome = stage.run().await;
    assert_eq!(ended(&outcome), Ok(StopReason::EndTurn));
    assert_eq!(begun.elapsed(), 122 * SECOND);
    let Some((_, Event::ToolResult { id, failure, .. })) = stage
        .events()
        .into_iter()
        .rfind(|(_, event)| matches!(event, Event::ToolResult { .. }))
    else {
        panic!("no result");
    };
    assert_eq!(
        (id.as_str(), failure),
        ("hang0", Some(CallFailure::TimedOut))
    );
}

#[tokio::test(start_paused = true)]
async fn the_time_a_person_takes_is_not_the_tools() {
    let stage = Stage::new([says(calls(&["write"])), says(vec![text("ok")])])
        .tool("write", Act::AskFor(500 * SECOND, "w"));
    let begun = Instant::now();
    let outcome = stage.run().await;
    assert_eq!(outcome.messages[1], results(vec![result("write0", "w")]));
    assert_eq!(begun.elapsed(), 500 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_person_who_does_not_answer_within_ten_minutes_has_not_allowed_it() {
    let stage = Stage::new([says(calls(&["write"])), says(vec![text("ok")])])
        .tool("write", Act::AskFor(5000 * SECOND, "w"));
    let begun = Instant::now();
    let outcome = stage.run().await;
    assert_eq!(
        outcome.messages[1],
        results(vec![error(
            "write0",
            "This call was not run: nobody allowed it in time."
        )])
    );
    assert_eq!(begun.elapsed(), 602 * SECOND);
    assert_eq!(stage.running(), 0);
}

#[tokio::test(start_paused = true)]
async fn one_rounds_results_share_a_mebibyte() {
    let stage = Stage::new([says(calls(&["read"; 8])), says(vec![text("ok")])])
        .read_only_tool("read", returns(&"x".repeat(200 * 1024)));
    let outcome = stage.run().await;
    let bytes: Vec<usize> = outcome.messages[1]
        .content
        .iter()
        .map(|block| match block {
            Block::ToolResult { content, .. } => match &content[..] {
                [Block::Text { text }] => text.len(),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        })
        .collect();
    for length in bytes {
        assert!((128 * 1024..129 * 1024).contains(&length), "{length}");
    }
}
