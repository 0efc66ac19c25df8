//! The scripted servers do what their scripts say; else no other test means anything.
//!
//! OpenSSH's client judges the SSH server where there is one.

use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::bed::{Bed, USER};
use crate::support::llm_server::{Dialect, Reply, Step, script};
use crate::support::peer::is_here;
use crate::support::ssh_server::{Forwarding, Greeting, Key, Login};

const LIMIT: Duration = Duration::from_secs(10);

async fn post(bed: &Bed) -> TcpStream {
    let mut socket = TcpStream::connect(("127.0.0.1", bed.llm.port()))
        .await
        .unwrap();
    let body = json!({"messages": [{"role": "user", "content": "Hi."}]}).to_string();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    socket.write_all((head + &body).as_bytes()).await.unwrap();
    socket
}

async fn read_until(socket: &mut TcpStream, end: &str) -> String {
    let mut bytes = Vec::new();
    while !String::from_utf8_lossy(&bytes).contains(end) {
        let read = tokio::time::timeout(LIMIT, socket.read_buf(&mut bytes));
        if read.await.unwrap().unwrap() == 0 {
            break;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_streamed_whole_and_recorded() {
    let bed = Bed::start().await;
    let mut socket = post(&bed).await;
    let answer = read_until(&mut socket, "\r\n0\r\n\r\n").await;
    assert!(answer.contains(r#""content":"Hello""#), "{answer}");
    assert!(answer.contains("data: [DONE]"), "{answer}");
    let answered = bed.llm.wait(LIMIT, |all| all[0].answered).await;
    assert!(answered.is_some());
    let exchange = &bed.llm.chats()[0];
    assert_eq!(exchange.request.last("user"), Some("Hi."));
    assert_eq!(exchange.connection, 0);
    assert!(exchange.received <= exchange.answered.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_is_noticed() {
    let bed = Bed::start().await;
    bed.llm
        .on_chat(|_| Reply::Stream(vec![script::text("Hi"), Step::Silence]));
    let mut socket = post(&bed).await;
    read_until(&mut socket, "Hi").await;
    assert!(bed.llm.chats()[0].abandoned.is_none());
    drop(socket);
    let abandoned = bed.llm.wait(LIMIT, |all| all[0].abandoned).await;
    assert!(abandoned.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_leaves_half_a_chunk() {
    let bed = Bed::start().await;
    bed.llm
        .on_chat(|_| Reply::Stream(vec![script::text("Hi"), Step::Cut]));
    let mut socket = post(&bed).await;
    let answer = read_until(&mut socket, "\r\n0\r\n\r\n").await;
    assert!(answer.ends_with(r#"{"cont"#), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_dialect_lists_its_models() {
    let bed = Bed::start().await;
    for (dialect, owner) in [
        (Dialect::LlamaCpp, "llamacpp"),
        (Dialect::Vllm, "vllm"),
        (Dialect::Ollama, "library"),
    ] {
        bed.llm.imitate(dialect);
        let mut socket = TcpStream::connect(("127.0.0.1", bed.llm.port()))
            .await
            .unwrap();
        socket
            .write_all(b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        let answer = read_until(&mut socket, owner).await;
        assert!(answer.contains(owner), "{answer}");
    }
}

/// Runs `ssh -W` to the LLM server with a request for its models; `None` without an `ssh`.
async fn through_openssh(bed: &Bed, key: &Key) -> Option<Output> {
    let identity = bed.write_private("id", &key.private_file(None).unwrap());
    let known_hosts = format!("UserKnownHostsFile={}", bed.known_hosts().display());
    let child = tokio::process::Command::new("ssh")
        .args(["-F", "/dev/null", "-i"])
        .arg(identity)
        .args(["-o", &known_hosts, "-o", "StrictHostKeyChecking=yes"])
        .args(["-o", "BatchMode=yes", "-o", "ConnectTimeout=5"])
        .args(["-W", &format!("127.0.0.1:{}", bed.llm.port())])
        .args(["-p", &bed.ssh.port().to_string()])
        .arg(format!("{USER}@127.0.0.1"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let started = child.as_ref().map(drop).map_err(ToString::to_string);
    if !is_here("ssh", started) {
        return None;
    }
    let mut child = child.unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A refused client does not read.
    let _sent = stdin
        .write_all(b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n")
        .await;
    // Our side stays open until the answer is there: its end could overtake the request.
    let mut stdout = child.stdout.take().unwrap();
    let answer = tokio::time::timeout(LIMIT, async {
        let mut answer = Vec::new();
        while !String::from_utf8_lossy(&answer).contains("llamacpp")
            && stdout.read_buf(&mut answer).await.unwrap() > 0
        {}
        answer
    });
    let stdout = answer.await.unwrap();
    drop(stdin);
    let output = tokio::time::timeout(LIMIT, child.wait_with_output());
    let output = output.await.unwrap().unwrap();
    Some(Output { stdout, ..output })
}

#[tokio::test(flavor = "multi_thread")]
async fn openssh_finds_the_way_through_the_ssh_server() {
    let key = Key::generate();
    let bed = Bed::with_login(Login::key(USER, &key)).await;
    let Some(output) = through_openssh(&bed, &key).await else {
        return;
    };
    let answer = String::from_utf8_lossy(&output.stdout);
    assert!(answer.contains("llamacpp"), "{output:?}");
    let seen = bed.ssh.seen();
    assert_eq!((seen.connections, seen.logins), (1, 1));
    let target = format!("127.0.0.1:{}", bed.llm.port());
    assert_eq!(seen.targets, [target]);

    bed.ssh.forward(Forwarding::Prohibited);
    let output = through_openssh(&bed, &key).await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("administratively prohibited"), "{said}");

    bed.ssh.forward(Forwarding::Allowed);
    let output = through_openssh(&bed, &Key::generate()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("Permission denied"), "{said}");

    bed.ssh.change_host_key();
    let output = through_openssh(&bed, &key).await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("IDENTIFICATION HAS CHANGED"), "{said}");

    bed.ssh.greet(Greeting::Text("no SSH here\r\n"));
    let output = through_openssh(&bed, &key).await.unwrap();
    assert!(!output.status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_ends_present_connections_and_a_frozen_one_thaws() {
    let bed = Bed::start().await;
    let connect = || TcpStream::connect(("127.0.0.1", bed.ssh.port()));
    let mut first = connect().await.unwrap();
    assert!(read_until(&mut first, "\r\n").await.starts_with("SSH-2.0-"));
    bed.ssh.cut();
    let mut rest = Vec::new();
    // The end may come as FIN or as RST.
    let end = tokio::time::timeout(LIMIT, first.read_to_end(&mut rest)).await;
    assert!(end.is_ok(), "the connection was not cut");

    bed.ssh.freeze();
    let mut second = connect().await.unwrap();
    let seen = bed
        .ssh
        .wait(LIMIT, |seen| (seen.connections == 2).then_some(()));
    seen.await.unwrap();
    let early = tokio::time::timeout(Duration::from_millis(100), second.peek(&mut [0])).await;
    assert!(early.is_err(), "a frozen connection spoke");
    bed.ssh.thaw();
    assert!(
        read_until(&mut second, "\r\n")
            .await
            .starts_with("SSH-2.0-")
    );

    bed.ssh.stop_listening();
    bed.ssh.cut();
    let gone = bed
        .ssh
        .wait(LIMIT, |seen| (seen.live_connections == 0).then_some(()));
    assert!(gone.await.is_some());
    assert!(connect().await.is_err());
}
