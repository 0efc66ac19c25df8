//! Prompts that go on with an answer that was cut short.

use serde_json::json;

use crate::conversation::outcome::StopReason;
use crate::conversation::turn::scripted::*;
use crate::llm::ChatEvent;

fn stage(begun: &str, answers: impl IntoIterator<Item = Vec<Step>>) -> Stage {
    let mut stage = Stage::new(answers);
    stage.prompt.messages = vec![user("hi"), assistant(vec![text(begun)])];
    stage.prompt.new_from = 2;
    stage.prompt.continues = true;
    stage
}

#[tokio::test(start_paused = true)]
async fn what_was_begun_and_what_comes_are_one_answer() {
    let stage = stage("Hel", [says(vec![text("lo.")])]);
    let outcome = stage.run().await;
    assert_eq!(ended(&outcome), Ok(StopReason::EndTurn));
    assert_eq!(outcome.messages, [assistant(vec![text("Hello.")])]);
    let request = &stage.requests()[0];
    assert!(request.continues);
    assert_eq!(request.messages, [user("hi"), assistant(vec![text("Hel")])]);
}

#[tokio::test(start_paused = true)]
async fn the_rounds_after_it_are_like_any_other() {
    let answers = [
        says(vec![text("lo."), call("a", "read", json!({}))]),
        says(vec![text("Done.")]),
    ];
    let stage = stage("Hel", answers).tool("read", returns("1"));
    let outcome = stage.run().await;
    assert_eq!(ended(&outcome), Ok(StopReason::EndTurn));
    assert!(!stage.requests()[1].continues);
    let said = [
        assistant(vec![text("Hello."), call("a", "read", json!({}))]),
        results(vec![result("a", "1")]),
    ];
    assert_eq!(stage.asked(2), [&[user("hi")][..], &said].concat());
    assert_eq!(outcome.messages[..2], said);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_cut_short_again_keeps_all_that_came() {
    let more = vec![Step::Tell(ChatEvent::Text("l".into())), Step::Fail];
    let outcome = stage("Hel", [more]).run().await;
    assert!(ended(&outcome).is_err());
    assert_eq!(outcome.messages, [assistant(vec![text("Hell")])]);
    assert_eq!(outcome.partial, "Hell");
}

#[tokio::test(start_paused = true)]
async fn one_of_which_nothing_more_comes_adds_nothing() {
    let outcome = stage("Hel", [vec![Step::Fail]]).run().await;
    assert!(ended(&outcome).is_err());
    assert_eq!((outcome.messages, outcome.partial), (vec![], String::new()));
}
