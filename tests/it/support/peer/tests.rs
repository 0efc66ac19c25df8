//! The lab's own tests, with OpenSSH's client and plain HTTP: what fails here is the
//! lab's fault, not the daemon's.

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    asyncssh::{self, AsyncSsh},
    dropbear::{self, Dropbear},
    is_here, keys,
    llama::{self, Llama},
    process,
    sshd::{self, Sshd},
};
use crate::support::processes::{sockets_to, wait_gone};

#[test]
fn sshd_lets_its_account_in_by_every_way_it_says() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let sshd = Sshd::start(&[]);
    let client = Client::new(sshd.username(), sshd.port(), &sshd.host_key_line());
    let keys = &sshd.keys;

    assert_eq!(client.greeting_by_key(&keys.ed25519, ""), "SSH-2.0-");
    assert_eq!(client.greeting_by_key(&keys.rsa, ""), "SSH-2.0-");
    let locked = client.greeting_by_key(&keys.ed25519_locked, keys::PASSPHRASE);
    assert_eq!(locked, "SSH-2.0-");
    if let Some(password) = sshd.password() {
        assert_eq!(client.greeting_by_password(password), "SSH-2.0-");
        assert_eq!(client.greeting_by_password("wrong"), "");
    }
    assert!(sshd.log().contains("Accepted publickey"), "{}", sshd.log());
}

#[tokio::test]
async fn sshd_stops_and_listens_again_on_its_port_with_and_without_its_sessions() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let sshd = Sshd::start(&[]);
    let client = Client::new(sshd.username(), sshd.port(), &sshd.host_key_line());
    let refused = || process::connect(([127, 0, 0, 1], sshd.port()).into()).is_none();

    let mut session = client.open(&sshd.keys.ed25519);
    assert!(!sshd.sessions().is_empty());
    // The client's own, and the channel's: it leads to the SSH server itself.
    assert_eq!(sockets_to(sshd.port()), 2);
    sshd.stop_listening().await;
    assert!(refused());
    sshd.freeze();
    let input = session.stdin.as_mut().expect("piped");
    input.write_all(b"SSH-2.0-test\r\n").expect("a channel");
    sshd.thaw();
    let output = session.stdout.as_mut().expect("piped");
    // The rest of its greeting and its offer of algorithms.
    output.read_exact(&mut [0; 100]).expect("it lives on");
    sshd.start_again().await;
    assert_eq!(client.greeting_by_key(&sshd.keys.ed25519, ""), "SSH-2.0-");

    sshd.stop().await;
    assert!(refused());
    assert!(!session.wait().expect("a child").success());
    wait_gone(&sshd.sessions(), Duration::from_secs(10)).await;
    assert_eq!(sockets_to(sshd.port()), 0);
    sshd.start_again().await;
    assert_eq!(client.greeting_by_key(&sshd.keys.ed25519, ""), "SSH-2.0-");
}

#[test]
fn sshd_asks_for_the_password_through_pam() {
    if !is_here("sshd with PAM", sshd::pam_available()) {
        return;
    }
    let sshd = Sshd::start(sshd::PAM);
    let client = Client::new(sshd.username(), sshd.port(), &sshd.host_key_line());
    let password = sshd.password().expect("an account of its own");
    let method = "keyboard-interactive";
    assert_eq!(
        client.greeting_by_secret(method, password),
        "SSH-2.0-",
        "{}",
        sshd.log()
    );
}

#[test]
fn sshd_obeys_the_lines_it_is_given() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let sshd = Sshd::start(&["AllowTcpForwarding no"]);
    let client = Client::new(sshd.username(), sshd.port(), &sshd.host_key_line());
    assert_eq!(client.greeting_by_key(&sshd.keys.ed25519, ""), "");
}

#[test]
fn killing_sshds_sessions_leaves_its_listener() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let sshd = Sshd::start(&[]);
    let client = Client::new(sshd.username(), sshd.port(), &sshd.host_key_line());
    let mut session = client.open(&sshd.keys.ed25519);

    sshd.kill_sessions();

    session.wait().expect("the client's end"); // `timeout` is its deadline
    assert_eq!(client.greeting_by_key(&sshd.keys.ed25519, ""), "SSH-2.0-");
}

#[test]
fn a_dropped_sshd_takes_its_sessions_along() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let sshd = Sshd::start(&[]);
    let client = Client::new(sshd.username(), sshd.port(), &sshd.host_key_line());
    let mut session = client.open(&sshd.keys.ed25519);
    let address = ([127, 0, 0, 1], sshd.port()).into();

    drop(sshd);

    session.wait().expect("the client's end");
    assert!(!process::greets_as_ssh(address));
}

#[test]
fn dropbear_lets_its_account_in_by_every_way_it_says() {
    if !is_here("dropbear", dropbear::available()) {
        return;
    }
    let dropbear = Dropbear::start(&[]);
    let line = dropbear.host_key_line();
    let client = Client::new(dropbear.username(), dropbear.port(), &line);
    let keys = &dropbear.keys;

    assert_eq!(client.greeting_by_key(&keys.ed25519, ""), "SSH-2.0-");
    assert_eq!(client.greeting_by_key(&keys.rsa, ""), "SSH-2.0-");
    let locked = client.greeting_by_key(&keys.ed25519_locked, keys::PASSPHRASE);
    assert_eq!(locked, "SSH-2.0-");
    assert_eq!(client.greeting_by_password(dropbear.password()), "SSH-2.0-");
    assert!(
        dropbear.log().contains("auth succeeded"),
        "{}",
        dropbear.log()
    );
}

#[test]
fn asyncssh_lets_its_user_in_by_every_way_it_says() {
    if !is_here("asyncssh", asyncssh::available()) {
        return;
    }
    let plan = json!({
        "password": asyncssh::PASSWORD,
        "questions": [[["One: ", false, "an answer"]], [["Two: ", true, "an answer"]]],
    });
    let server = AsyncSsh::start(&plan);
    let client = Client::new(asyncssh::USER, server.port(), &server.host_key_line());
    let keys = &server.keys;

    assert_eq!(client.greeting_by_key(&keys.ed25519, ""), "SSH-2.0-");
    assert_eq!(client.greeting_by_key(&keys.ecdsa, ""), "SSH-2.0-");
    assert_eq!(client.greeting_by_key(&keys.rsa, ""), "SSH-2.0-");
    assert_eq!(client.greeting_by_password(asyncssh::PASSWORD), "SSH-2.0-");
    assert_eq!(client.greeting_by_password("wrong"), "");
    let method = "keyboard-interactive";
    let answered = client.greeting_by_secret(method, "an answer");
    assert_eq!(answered, "SSH-2.0-");
    assert_eq!(server.count("login"), 5, "{:?}", server.events());
    assert_eq!(server.count("channel-opened"), 5);
}

#[test]
fn asyncssh_wants_both_factors_where_it_says_so() {
    if !is_here("asyncssh", asyncssh::available()) {
        return;
    }
    let questions = json!([[["One: ", false, "an answer"]]]);
    let plan = json!({"questions": questions, "keyThenQuestions": true});
    let server = AsyncSsh::start(&plan);
    let client = Client::new(asyncssh::USER, server.port(), &server.host_key_line());
    let key = &server.keys.ed25519;
    assert_eq!(client.greeting_by_key(key, ""), "", "a key alone");
    assert_eq!(
        client.greeting_by_secret("keyboard-interactive", "an answer"),
        "",
        "answers alone"
    );
    assert_eq!(server.count("login"), 0);
}

#[test]
fn llama_calls_the_tool_it_must_and_answers_with_its_result() {
    if !is_here("llama-server", llama::available()) {
        return;
    }
    let llama = Llama::start(&[]);
    for path in [
        "/etc/hostname",
        "/tmp/.tmpQ7fj2K/notes.txt",
        "/home/ann/a b/c.md",
    ] {
        let mut request = openai_request(&llama::read_tool_prompt(path));
        request["tool_choice"] = json!("required");
        let call = streamed(&llama, &request);
        assert_eq!(call.finish_reason, "tool_calls", "{}", llama.log());
        assert_eq!(call.tool, "Read");
        let arguments: Value = serde_json::from_str(&call.arguments).expect("JSON");
        assert_eq!(arguments, json!({ "path": path }));

        request["tool_choice"] = json!("auto");
        let messages = request["messages"].as_array_mut().expect("messages");
        messages.push(openai_call("call_1", &call.arguments));
        messages.push(openai_result("call_1", "The puffin is orange."));
        let answer = streamed(&llama, &request);
        assert_eq!(answer.finish_reason, "stop");
        assert!(answer.text.contains("puffin is orange"), "{}", answer.text);
    }
}

/// OpenSSH's client, which knows one server.
struct Client {
    folder: TempDir,
    destination: Vec<String>,
}

impl Client {
    fn new(username: &str, port: u16, host_key_line: &str) -> Self {
        let folder = TempDir::with_prefix("puffin-ssh-").expect("a folder");
        let known_hosts = folder.path().join("known_hosts");
        fs::write(&known_hosts, host_key_line).expect("known_hosts");
        let destination = [
            "-F/dev/null",
            "-oIdentityAgent=none",
            "-oIdentitiesOnly=yes",
            "-oStrictHostKeyChecking=yes",
            "-oHostKeyAlgorithms=ssh-ed25519",
            "-oNumberOfPasswordPrompts=1",
            &format!("-oUserKnownHostsFile={}", known_hosts.display()),
            // The byte stream of a direct-tcpip channel, to the SSH server itself.
            &format!("-W127.0.0.1:{port}"),
            &format!("-p{port}"),
            &format!("{username}@127.0.0.1"),
        ];
        Self {
            folder,
            destination: destination.map(str::to_owned).to_vec(),
        }
    }

    fn greeting_by_key(&self, key: &Path, passphrase: &str) -> String {
        let mut command = self.command(passphrase);
        command.arg("-oPreferredAuthentications=publickey");
        self.greeting(command.arg("-i").arg(key))
    }

    fn greeting_by_password(&self, password: &str) -> String {
        self.greeting_by_secret("password", password)
    }

    fn greeting_by_secret(&self, method: &str, secret: &str) -> String {
        let mut command = self.command(secret);
        self.greeting(command.arg(format!("-oPreferredAuthentications={method}")))
    }

    /// The first bytes that come through a channel; none if there is no channel.
    fn greeting(&self, command: &mut Command) -> String {
        let output = command
            .args(&self.destination)
            .output()
            .expect("ssh starts");
        let greeting = output.stdout.get(..8).unwrap_or_default();
        String::from_utf8_lossy(greeting).into_owned()
    }

    /// Opens a channel and keeps it open; returns when bytes come through it.
    fn open(&self, key: &Path) -> Child {
        let mut command = self.command("");
        command.arg("-i").arg(key).args(&self.destination);
        let mut child = command.stdin(Stdio::piped()).spawn().expect("ssh starts");
        let mut greeting = [0; 8];
        let stdout = child.stdout.as_mut().expect("piped");
        stdout.read_exact(&mut greeting).expect("a greeting");
        child
    }

    /// An `ssh` that answers any question with `secret`, and gives up after 30 s.
    fn command(&self, secret: &str) -> Command {
        let askpass = self.folder.path().join("askpass");
        fs::write(&askpass, format!("#!/bin/sh\necho '{secret}'\n")).expect("askpass");
        let executable = fs::Permissions::from_mode(0o700);
        fs::set_permissions(&askpass, executable).expect("permissions");
        let mut command = Command::new("timeout");
        command.args(["30", "ssh"]);
        command
            .env("SSH_ASKPASS", askpass)
            .env("SSH_ASKPASS_REQUIRE", "force");
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

/// What a streamed chat completion adds up to.
#[derive(Default)]
struct Streamed {
    text: String,
    tool: String,
    arguments: String,
    finish_reason: String,
}

fn streamed(llama: &Llama, request: &Value) -> Streamed {
    let address = ([127, 0, 0, 1], llama.port()).into();
    let mut stream = process::connect(address).expect("a connection");
    stream
        .set_read_timeout(Some(super::START_LIMIT))
        .expect("a deadline");
    let body = request.to_string();
    write!(
        stream,
        "POST /v1/chat/completions HTTP/1.1\r\nHost: llama\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("the request is sent");
    let mut response = String::new();
    stream
        .read_to_string(&mut response)
        .expect("a whole response");
    assert!(response.contains("data: [DONE]"), "{response}");

    let mut whole = Streamed::default();
    let events = response
        .lines()
        .filter_map(|line| line.strip_prefix("data: {"));
    for event in events {
        let event: Value = serde_json::from_str(&format!("{{{event}")).expect("JSON");
        let choice = &event["choices"][0];
        let function = &choice["delta"]["tool_calls"][0]["function"];
        for (part, value) in [
            (&mut whole.text, &choice["delta"]["content"]),
            (&mut whole.tool, &function["name"]),
            (&mut whole.arguments, &function["arguments"]),
            (&mut whole.finish_reason, &choice["finish_reason"]),
        ] {
            part.push_str(value.as_str().unwrap_or_default());
        }
    }
    whole
}

/// A prompt of [`llama::read_tool_prompt`] as an OpenAI request.
fn openai_request(prompt: &Value) -> Value {
    let tool = &prompt["tools"][0];
    let mut messages = vec![json!({ "role": "system", "content": prompt["system"] })];
    for message in prompt["messages"].as_array().expect("messages") {
        let block = &message["content"][0];
        messages.push(match block["type"].as_str() {
            Some("tool_use") => openai_call(
                block["id"].as_str().expect("an id"),
                &block["input"].to_string(),
            ),
            Some("tool_result") => openai_result(
                block["tool_use_id"].as_str().expect("an id"),
                block["content"].as_str().expect("text"),
            ),
            _ => message.clone(),
        });
    }
    json!({
        "model": llama::MODEL,
        "stream": true,
        "max_tokens": 200,
        "temperature": prompt["temperature"],
        "messages": messages,
        "tools": [{ "type": "function", "function": {
            "name": tool["name"],
            "description": tool["description"],
            "parameters": tool["inputSchema"],
        } }],
    })
}

fn openai_call(id: &str, arguments: &str) -> Value {
    json!({ "role": "assistant", "content": null, "tool_calls": [
        { "id": id, "type": "function", "function": { "name": "Read", "arguments": arguments } },
    ] })
}

fn openai_result(id: &str, text: &str) -> Value {
    json!({ "role": "tool", "tool_call_id": id, "content": text })
}
