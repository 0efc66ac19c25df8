//! The system's `ssh` as the transport: the same job, and the same ends.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::bed::{Bed, CONFIG, by_key, prompt, with};
use crate::support::daemon::{Daemon, Ticket};
use crate::support::llm_server::{Reply, Step, script};
use crate::support::peer::is_here;
use crate::support::peer::sshd::{self, Sshd};
use crate::support::processes::{command_line, kill};
use crate::support::row::{Row, run};

/// The contract's limit for the LLM server to see the end of a cancelled prompt is 200 ms; here
/// two processes have to end first.
const CLOSE: Duration = Duration::from_millis(500);

fn system(ssh: Value) -> Value {
    with(ssh, &json!({"transport": "system"}))
}

fn way(sshd: &Sshd) -> Value {
    system(by_key(sshd.username(), sshd.port(), &sshd.keys.ed25519))
}

async fn configured(bed: &Bed, sshd: &Sshd) -> Daemon {
    bed.write_known_hosts(&sshd.host_key_line());
    let daemon = bed.daemon().await;
    bed.configure_with(&daemon, way(sshd), bed.llm_params())
        .await;
    let params = json!({"configId": CONFIG, "modelId": "smol"});
    daemon.ok("remote-llm/select-model", params).await;
    daemon
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_a_user_does_works_through_it() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::start().await;
    let (sshd, bastion) = (Sshd::start(&[]), Sshd::start_for("bastion", &[]));
    bed.write_known_hosts(&(sshd.host_key_line() + &bastion.host_key_line()));
    bed.write_ssh_config(&format!(
        "{}{}  ProxyJump outer\n",
        bastion.block("outer"),
        sshd.block("box")
    ));
    let jump = by_key(bastion.username(), bastion.port(), &bastion.keys.ed25519);
    let method = "publickey,";
    run(
        &bed,
        vec![
            Row::new("key", way(&sshd), method),
            Row::new("alias", system(json!({"host": "box"})), method),
            Row::new(
                "jump",
                with(way(&sshd), &json!({"jumpHosts": [jump]})),
                method,
            ),
        ],
    )
    .await;
    assert_eq!(bastion.logins(), 4, "two for each of two profiles");
}

#[tokio::test(flavor = "multi_thread")]
async fn prompts_beside_each_other_share_one_sign_in() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::start().await;
    let sshd = Sshd::start(&[]);
    let daemon = configured(&bed, &sshd).await;
    bed.llm.on_chat(|request| {
        let question = request.messages()[0]["content"]
            .as_str()
            .unwrap_or_default();
        Reply::text(&["About ", question])
    });
    let mut tickets = Vec::new();
    for number in 0..6 {
        let name = format!("p{number}");
        let question = prompt(&name, &format!("number {number}"));
        let ticket = daemon.send("remote-llm/stream-prompt", question).await;
        tickets.push((name, number, ticket));
    }
    for (name, number, ticket) in &tickets {
        daemon.reply(ticket).await.unwrap();
        assert_eq!(daemon.text(name), format!("About number {number}"));
    }
    assert_eq!(sshd.logins(), 1, "{}", sshd.log());
    daemon.shut_down().await;
}

// --- ends -----------------------------------------------------------------------------------

async fn talking(bed: &Bed, daemon: &Daemon, end: Step) -> Ticket {
    bed.llm
        .on_chat(move |_| Reply::Stream(vec![script::role(), script::text("so far"), end.clone()]));
    let question = prompt("p", "Talk.");
    let ticket = daemon.send("remote-llm/stream-prompt", question).await;
    daemon.wait_text("p").await;
    ticket
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_prompt_stops_the_server_at_once() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::alone().await;
    let sshd = Sshd::start(&[]);
    let daemon = configured(&bed, &sshd).await;
    let ticket = talking(&bed, &daemon, Step::Silence).await;
    let when = Instant::now();
    daemon.cancel(&ticket).await;
    let abandoned = bed.llm.wait(Duration::from_secs(10), |all| {
        all.iter().find_map(|exchange| exchange.abandoned)
    });
    let abandoned = abandoned.await.expect("the LLM server was left talking");
    let took = abandoned.saturating_duration_since(when);
    assert!(took <= CLOSE, "the LLM server saw it after {took:?}");
    let error = daemon.reply(&ticket).await.unwrap_err();
    assert_eq!(error.code(), "CANCELLED", "{error:?}");
    assert_eq!(error.data["partial"], "so far");
    // The connection is none the worse for it.
    bed.llm.on_chat(|_| Reply::text(&["Here I am."]));
    let question = prompt("q", "Still there?");
    daemon.ok("remote-llm/stream-prompt", question).await;
    assert_eq!(daemon.text("q"), "Here I am.");
    assert_eq!(sshd.logins(), 1);
    daemon.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_session_is_an_interruption_and_never_an_answer() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::start().await;
    let sshd = Sshd::start(&[]);
    let daemon = configured(&bed, &sshd).await;
    let ticket = talking(&bed, &daemon, Step::Silence).await;
    sshd.kill_sessions();
    let error = daemon.reply(&ticket).await.unwrap_err();
    assert_eq!(error.code(), "STREAM_INTERRUPTED", "{error:?}");
    assert_eq!(error.data["partial"], "so far");
    let kinds = daemon.kinds("p");
    assert_eq!(kinds.last().unwrap(), "failed", "{kinds:?}");
    assert!(!kinds.contains(&"finished".to_owned()), "{kinds:?}");
    assert_eq!(bed.llm.chats().len(), 1, "it was sent again");
    // The next prompt makes a connection of its own.
    bed.llm.on_chat(|_| Reply::text(&["Here I am."]));
    let question = prompt("q", "Still there?");
    daemon.ok("remote-llm/stream-prompt", question).await;
    assert_eq!(daemon.text("q"), "Here I am.");
    assert_eq!(sshd.logins(), 2);
    daemon.shut_down().await;
}

/// Of two kinds of processes: the connection's, and the stream's.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_is_an_interruption_and_never_an_answer() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::start().await;
    let sshd = Sshd::start(&[]);
    for (option, logins) in [("-M", 2), ("-W", 1)] {
        let before = sshd.logins();
        let daemon = configured(&bed, &sshd).await;
        let ticket = talking(&bed, &daemon, Step::Silence).await;
        let is_it = |id: &u32| {
            let line = command_line(*id);
            line[0].ends_with("/ssh") && line.iter().any(|word| word == option)
        };
        let mut ids = daemon.children();
        ids.retain(is_it);
        assert_eq!(ids.len(), 1, "{option}");
        kill(&ids);
        let error = daemon.reply(&ticket).await.unwrap_err();
        assert_eq!(error.code(), "STREAM_INTERRUPTED", "{option}: {error:?}");
        assert_eq!(error.data["partial"], "so far", "{option}");
        let kinds = daemon.kinds("p");
        assert_eq!(kinds.last().unwrap(), "failed", "{option}: {kinds:?}");
        bed.llm.on_chat(|_| Reply::text(&["Here I am."]));
        let question = prompt("q", "Still there?");
        daemon.ok("remote-llm/stream-prompt", question).await;
        assert_eq!(daemon.text("q"), "Here I am.", "{option}");
        assert_eq!(sshd.logins() - before, logins, "{option}");
        daemon.shut_down().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_and_fast_answer_arrives_whole() {
    const WORDS: u64 = 5000;
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::start().await;
    let sshd = Sshd::start(&[]);
    let daemon = configured(&bed, &sshd).await;
    let word = |number| format!("word{number} ");
    bed.llm.on_chat(move |_| {
        let tokens = Step::Tokens {
            count: Some(WORDS),
            every: Duration::ZERO,
            text: word,
        };
        let mut steps = vec![script::role(), tokens];
        steps.extend(script::finish("stop", 1, WORDS));
        Reply::Stream(steps)
    });
    let question = prompt("p", "Talk.");
    daemon.ok("remote-llm/stream-prompt", question).await;
    let expected: String = (0..WORDS).map(word).collect();
    assert!(
        daemon.text("p") == expected,
        "{} bytes",
        daemon.text("p").len()
    );
    daemon.shut_down().await;
}
