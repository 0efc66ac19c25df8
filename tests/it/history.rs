//! Conversations outlive the daemon.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};

use crate::support::bed::{Bed, prompt, with};
use crate::support::daemon::{Daemon, Ticket};
use crate::support::llm_server::{Reply, Step, script};
use crate::support::random::Random;

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_goes_on_after_a_restart_byte_for_byte() {
    let bed = Bed::start().await;
    let daemon = bed.configured().await;
    let params = with(prompt("p1", "One."), &json!({"conversationId": "c"}));
    daemon.ok("remote-llm/stream-prompt", params).await;
    let before = conversation(&daemon, "c").await;
    daemon.shut_down().await;

    let daemon = bed.configured().await;
    assert_eq!(conversation(&daemon, "c").await, before);
    assert_eq!(before["title"], "One.");
    assert_eq!(before["messageCount"], 2);
    assert_eq!(before["messages"][1]["model"], "smol");
    assert_eq!(before["messages"][1]["configId"], "lab");
    let list = daemon.ok("remote-llm/list-conversations", json!({})).await;
    assert_eq!(list["conversations"][0]["conversationId"], "c");
    for (id, question) in [("p2", "Two."), ("p3", "Three.")] {
        let params = with(prompt(id, question), &json!({"conversationId": "c"}));
        daemon.ok("remote-llm/stream-prompt", params).await;
    }
    let chats = bed.llm.chats();
    let said = |chat: usize| chats[chat].request.body["messages"].to_string();
    let [first, second, third] = [said(0), said(1), said(2)];
    for (shorter, longer) in [(&first, &second), (&second, &third)] {
        // Without the closing bracket: a server's prompt cache finds all of it.
        assert!(
            longer.starts_with(shorter.trim_end_matches(']')),
            "{longer}"
        );
    }
    daemon.shut_down().await;
}

/// It would be read twice, and in megabytes that takes as long as to send it.
#[tokio::test(flavor = "multi_thread")]
async fn news_leave_out_what_the_host_sent_if_it_is_long() {
    let bed = Bed::start().await;
    let daemon = bed.configured().await;
    let long = "x".repeat(100_000);
    for (id, question) in [("p1", "Short."), ("p2", &long)] {
        let params = with(prompt(id, question), &json!({"conversationId": "c"}));
        daemon.ok("remote-llm/stream-prompt", params).await;
        // They come before the reply.
        let news = daemon.read(|traffic| {
            let method = "remote-llm/conversation-updated";
            let mut told = traffic.notifications.iter().rev();
            told.find(|told| told["method"] == method).cloned().unwrap()
        });
        let [asked, answered] = [0, 1].map(|n| &news["params"]["messages"][n]);
        let omitted = question.len() > 1000;
        assert_eq!(
            asked["contentOmitted"].as_bool().unwrap_or_default(),
            omitted
        );
        assert_eq!(asked["content"].as_array().unwrap().is_empty(), omitted);
        assert_eq!(answered["contentOmitted"], Value::Null);
        assert!(!answered["content"].as_array().unwrap().is_empty());
    }
    let kept = conversation(&daemon, "c").await;
    assert_eq!(kept["messages"][2]["content"][0]["text"], long);
    assert_eq!(kept["messages"][2]["contentOmitted"], Value::Null);
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_answer_is_kept_and_marked_as_such() {
    let bed = Bed::start().await;
    bed.llm
        .on_chat(|_| Reply::Stream(vec![script::role(), script::text("Half an"), Step::Silence]));
    let daemon = bed.configured().await;
    let params = with(prompt("p", "Go."), &json!({"conversationId": "c"}));
    let ticket = daemon.send("remote-llm/stream-prompt", params).await;
    daemon.wait_text("p").await;
    daemon.cancel(&ticket).await;
    daemon.reply(&ticket).await.unwrap_err();
    daemon.shut_down().await;

    let daemon = bed.configured().await;
    let kept = conversation(&daemon, "c").await;
    assert_eq!(kept["messages"][1]["partial"], true, "{kept:#}");
    assert_eq!(kept["messages"][1]["content"][0]["text"], "Half an");
    assert!(kept["messages"][0].get("partial").is_none());
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_user_does_not_want_kept_is_in_no_file() {
    let bed = Bed::start().await;
    let hello = with(bed.hello(), &json!({"history": {"enabled": false}}));
    let daemon = bed.daemon_with(hello).await;
    bed.configure(&daemon).await;
    for (id, question) in [("p1", "Quite secret."), ("p2", "More.")] {
        let params = with(prompt(id, question), &json!({"conversationId": "c"}));
        daemon.ok("remote-llm/submit-prompt", params).await;
    }
    assert_eq!(conversation(&daemon, "c").await["messageCount"], 4);
    assert!(!bed.path("data/remote-llm/history").exists());
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_or_all_conversations_are_deleted_and_parts_are_read() {
    let bed = Bed::start().await;
    let daemon = bed.configured().await;
    for id in ["a", "b", "c"] {
        let params = with(prompt(id, "Go."), &json!({"conversationId": id}));
        daemon.ok("remote-llm/submit-prompt", params).await;
    }
    let get = json!({"conversationId": "a", "from": 1, "limit": 5});
    let part = daemon.ok("remote-llm/get-conversation", get).await;
    assert_eq!(part["messages"].as_array().unwrap().len(), 1);
    let delete = async |params: Value| daemon.ok("remote-llm/delete-conversation", params).await;
    let deleted = delete(json!({"conversationId": "a"})).await;
    assert_eq!(deleted, json!({"deleted": true, "count": 1}));
    let deleted = delete(json!({"conversationId": "a"})).await;
    assert_eq!(deleted, json!({"deleted": false, "count": 0}));
    let deleted = delete(json!({"all": true})).await;
    assert_eq!(deleted, json!({"deleted": true, "count": 2}));
    let error = daemon
        .err("remote-llm/delete-conversation", json!({}))
        .await;
    assert_eq!(error.data["field"], "conversationId");
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_cannot_be_saved_is_told_and_not_lost() {
    let bed = Bed::start().await;
    let daemon = bed.configured().await;
    std::fs::create_dir_all(bed.path("data/remote-llm")).unwrap();
    std::fs::write(bed.path("data/remote-llm/history"), "in the way").unwrap();
    let result = daemon
        .ok("remote-llm/stream-prompt", prompt("p", "Go."))
        .await;
    let warning = result["warnings"][0].as_str().unwrap();
    assert!(warning.contains("not saved yet"), "{warning}");
    let kinds = daemon.kinds("p");
    assert_eq!(kinds.iter().filter(|kind| *kind == "warning").count(), 1);
    let id = result["conversationId"].as_str().unwrap();
    let params = with(prompt("q", "On."), &json!({"conversationId": id}));
    daemon.ok("remote-llm/stream-prompt", params).await;
    assert_eq!(conversation(&daemon, id).await["messageCount"], 4);
    assert_eq!(bed.llm.chats()[1].request.messages().len(), 3);

    // What was said to the model before is not known: it must not go on without.
    let params = with(prompt("r", "On."), &json!({"conversationId": "older"}));
    let error = daemon.err("remote-llm/stream-prompt", params).await;
    assert_eq!(error.code(), "STORE_IO");
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_killed_at_any_moment_loses_no_answered_prompt() {
    kill_at_any_moment(12).await;
}

/// PUFFIN_KILLS says how often.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute for each 200 kills"]
async fn a_daemon_killed_many_times_loses_no_answered_prompt() {
    let kills = std::env::var("PUFFIN_KILLS").map_or(500, |kills| kills.parse().unwrap());
    kill_at_any_moment(kills).await;
}

async fn kill_at_any_moment(kills: usize) {
    let bed = Bed::start().await;
    bed.llm.on_chat(|request| {
        let asked = request.last("user").unwrap_or_default();
        Reply::text(&["You said: ", asked])
    });
    let seed = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(1, |since| since.subsec_nanos().into());
    crate::support::measured(&format!("the seed of the kills: {seed}"));
    let mut random = Random::new(seed);
    let mut answered: HashMap<String, Vec<String>> = HashMap::new();
    for kill in 0..kills {
        let mut daemon = bed.configured().await;
        assert_kept(&daemon, &answered).await;
        let until = Instant::now() + Duration::from_micros(random.within(0..60_000));
        let asked = ask_until(&daemon, kill, until).await;
        daemon.signal("KILL").await;
        daemon.exit(Duration::from_secs(10)).await;
        daemon.wait_end().await;
        for (ticket, conversation, question) in asked {
            let reply = daemon.read(|traffic| traffic.replies.get(&ticket.id).cloned());
            if reply.is_some_and(|reply| reply.outcome.is_ok()) {
                answered.entry(conversation).or_default().push(question);
            }
        }
    }
    let daemon = bed.configured().await;
    assert_kept(&daemon, &answered).await;
    let prompts: usize = answered.values().map(Vec::len).sum();
    assert!(
        prompts >= kills,
        "only {prompts} prompts were answered: the test shows nothing"
    );
    daemon.shut_down().await;
}

/// Prompts on four conversations, one after the other on each.
async fn ask_until(daemon: &Daemon, kill: usize, until: Instant) -> Vec<(Ticket, String, String)> {
    let mut asked: Vec<(Ticket, String, String)> = Vec::new();
    for wave in 0.. {
        let mut tickets = Vec::new();
        for number in 0..4 {
            let question = format!("{kill} {wave} {number}");
            let conversation = format!("c{number}");
            let params = prompt(&question, &question);
            let params = with(params, &json!({"conversationId": conversation}));
            let ticket = daemon.send("remote-llm/stream-prompt", params).await;
            tickets.push(ticket.clone());
            asked.push((ticket, conversation, question));
        }
        let replies = async {
            for ticket in &tickets {
                daemon.reply(ticket).await.unwrap();
            }
        };
        if tokio::time::timeout_at(until.into(), replies)
            .await
            .is_err()
        {
            break;
        }
    }
    asked
}

/// Each answered prompt is there once, in order, with its answer; one that was being answered may
/// be there, too, and then whole.
async fn assert_kept(daemon: &Daemon, answered: &HashMap<String, Vec<String>>) {
    for (id, answered) in answered {
        let kept = conversation(daemon, id).await;
        let texts: Vec<_> = kept["messages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|message| message["content"][0]["text"].as_str().unwrap().to_owned())
            .collect();
        let (pairs, rest) = texts.as_chunks::<2>();
        assert!(rest.is_empty(), "half a turn: {rest:?}");
        for [question, answer] in pairs {
            assert_eq!(answer, &format!("You said: {question}"));
        }
        let kept: Vec<_> = pairs.iter().map(|[question, _]| question).collect();
        let found: Vec<_> = kept.iter().filter(|kept| answered.contains(kept)).collect();
        assert_eq!(found.len(), answered.len(), "{kept:?}\n{answered:?}");
        assert!(
            found
                .iter()
                .zip(answered)
                .all(|(found, asked)| **found == asked)
        );
    }
}

async fn conversation(daemon: &Daemon, id: &str) -> Value {
    let params = json!({"conversationId": id});
    daemon.ok("remote-llm/get-conversation", params).await
}
