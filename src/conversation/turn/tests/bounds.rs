//! Models that do not stop by themselves.

use std::time::Duration;

use serde_json::json;

use crate::conversation::outcome::StopReason;
use crate::conversation::tool::{ToolFailure, ToolOutput};
use crate::conversation::turn::scripted::*;

fn reads(id: &str, n: u32) -> crate::llm::Block {
    call(id, "read", json!({ "n": n }))
}

#[tokio::test(start_paused = true)]
async fn the_last_round_runs_no_tool_since_nobody_would_learn_its_result() {
    let mut stage = Stage::new([says(vec![reads("a", 1)]), says(vec![reads("b", 2)])])
        .tool("read", returns("x"));
    stage.prompt.limits.max_rounds = 2;
    let outcome = stage.run().await;
    assert_eq!(ended(&outcome), Ok(StopReason::Limit));
    assert_eq!(
        outcome.messages,
        [
            assistant(vec![reads("a", 1)]),
            results(vec![result("a", "x")]),
            assistant(vec![reads("b", 2)]),
            results(vec![error(
                "b",
                "not run: the prompt reached its limit of 2 rounds"
            )]),
        ]
    );
    assert_eq!(
        (outcome.rounds, outcome.tool_calls, stage.calls().len()),
        (2, 1, 1)
    );
    assert_eq!(
        outcome.warnings,
        ["not run: the prompt reached its limit of 2 rounds"]
    );
}

#[tokio::test(start_paused = true)]
async fn calls_beyond_the_limit_are_answered_but_not_run() {
    let stage = Stage::new([says((0..5).map(|n| reads(&format!("c{n}"), n)).collect())])
        .tool("read", returns("x"));
    let mut stage = stage;
    stage.prompt.limits.max_tool_calls = 3;
    let outcome = stage.run().await;
    assert_eq!(ended(&outcome), Ok(StopReason::Limit));
    let too_many = "not run: the prompt reached its limit of 3 tool calls";
    assert_eq!(
        outcome.messages[1],
        results(vec![
            result("c0", "x"),
            result("c1", "x"),
            result("c2", "x"),
            error("c3", too_many),
            error("c4", too_many),
        ])
    );
    assert_eq!((outcome.tool_calls, stage.calls().len()), (3, 3));
    assert_eq!(outcome.warnings, [too_many]);
}

#[tokio::test(start_paused = true)]
async fn a_call_made_three_times_in_a_row_is_corrected_and_the_fourth_ends_the_prompt() {
    let same = |id: &str| says(vec![reads(id, 1)]);
    let stage = Stage::new([
        same("a"),
        same("b"),
        same("c"),
        says(vec![reads("d", 1), reads("e", 2)]),
    ])
    .tool("read", returns("x"));
    let outcome = stage.run().await;
    assert_eq!(
        ended(&outcome),
        Err("the model made the same call of `read` four times in a row".into())
    );
    assert_eq!(stage.calls().len(), 2);
    assert_eq!(
        stage.asked(4).last(),
        Some(&results(vec![error(
            "c",
            "This call was not run: it is the third equal call of `read` in a row, and the result would be the \
             same. Use the results you have, change the arguments, or answer without the tool."
        )]))
    );
    let ending = "not run: `read` was called four times in a row with the same arguments";
    assert_eq!(
        outcome.messages.last(),
        Some(&results(vec![error("d", ending), error("e", ending)]))
    );
}

#[tokio::test(start_paused = true)]
async fn a_model_that_keeps_breaking_its_arguments_is_stopped_too() {
    let broken = |id: &str| says_invalid(id, "read", "{\"n\":");
    let stage = Stage::new(["a", "b", "c", "d"].map(broken)).tool("read", returns("never"));
    let outcome = stage.run().await;
    assert_eq!(
        ended(&outcome),
        Err("the model made the same call of `read` four times in a row".into())
    );
}

#[tokio::test(start_paused = true)]
async fn a_short_circle_of_calls_is_corrected_at_its_third_end_and_then_ends_the_prompt() {
    let round = |number: u32| says(vec![reads(&format!("c{number}"), number % 2)]);
    let stage = Stage::new((0..7).map(round)).tool("read", returns("x"));
    let outcome = stage.run().await;
    assert_eq!(
        ended(&outcome),
        Err("the model went round the same 2 tool calls for the fourth time".into())
    );
    assert_eq!(stage.calls().len(), 5);
    let corrected = error(
        "c5",
        "This call was not run: it ends the third round through the same 2 calls. Use the results \
         you have, change the arguments, or answer without the tool.",
    );
    assert_eq!(stage.asked(7).last(), Some(&results(vec![corrected])));
}

#[tokio::test(start_paused = true)]
async fn five_rounds_in_which_everything_failed_end_the_prompt() {
    let round = |number: u32| says(vec![reads(&format!("c{number}"), number)]);
    let stage = Stage::new((0..5).map(round)).tool("read", Act::Fail(ToolFailure::Denied));
    let outcome = stage.run().await;
    assert_eq!(
        ended(&outcome),
        Err("every tool call failed, 5 rounds in a row".into())
    );
    assert_eq!((stage.calls().len(), outcome.messages.len()), (5, 10));
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_says_how_it_failed_may_do_so_as_long_as_it_is_news() {
    let round = |number: u32| says(vec![reads(&format!("c{number}"), number)]);
    let fails = |said: &str| {
        Act::Return(ToolOutput {
            content: vec![text(said)],
            is_error: true,
        })
    };
    let same = Stage::new((0..5).map(round)).tool("read", fails("exit 1"));
    assert_eq!(
        ended(&same.run().await),
        Err("every tool call failed, 5 rounds in a row".into())
    );
    // Two tools by turns: what is said is another thing each time.
    let by_turns = |number: u32| {
        let name = ["test", "lint"][number as usize % 2];
        says(vec![call(
            &format!("c{number}"),
            name,
            json!({ "n": number }),
        )])
    };
    let news = Stage::new((0..12).map(by_turns).chain([says(vec![text("ok")])]))
        .tool("test", fails("exit 1"))
        .tool("lint", fails("exit 2"));
    assert_eq!(ended(&news.run().await), Ok(StopReason::EndTurn));
}

#[tokio::test(start_paused = true)]
async fn a_prompt_works_for_half_an_hour_and_people_may_take_their_time() {
    let minute = Duration::from_secs(60);
    let rounds = |count: u32| {
        let round = |number: u32| says(vec![reads(&format!("c{number}"), number)]);
        (0..count).map(round).chain([says(vec![text("ok")])])
    };
    let mut works = Stage::new(rounds(40)).tool("read", Act::After(minute, "x"));
    works.prompt.limits.max_rounds = 100;
    let outcome = works.run().await;
    assert_eq!(ended(&outcome), Ok(StopReason::Limit));
    assert_eq!(works.calls().len(), 30);
    assert_eq!(
        outcome.warnings,
        ["not run: the prompt reached its limit of 1800 s of work"]
    );
    let mut asks = Stage::new(rounds(40)).tool("read", Act::AskFor(minute, "x"));
    asks.prompt.limits.max_rounds = 100;
    assert_eq!(ended(&asks.run().await), Ok(StopReason::EndTurn));
}

#[tokio::test(start_paused = true)]
async fn failures_with_a_success_among_them_go_on() {
    let round = |number: u32| {
        let id = |name: &str| format!("{name}{number}");
        let fails = call(&id("f"), "fail", json!({ "n": number }));
        says(match number % 4 {
            3 => vec![fails, reads(&id("r"), number)],
            _ => vec![fails],
        })
    };
    let stage = Stage::new((0..12).map(round).chain([says(vec![text("ok")])]))
        .tool("read", returns("x"))
        .tool("fail", Act::Fail(ToolFailure::Failed("no".into())));
    assert_eq!(ended(&stage.run().await), Ok(StopReason::EndTurn));
}
