//! Every SSH server, and every way in that it has: connect, list the models, stream an answer,
//! call a tool. What differs between the rows is data.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::bed::{Bed, by_key, prompt, read_tool, ssh_to, with};
use crate::support::daemon::{Answer, Daemon};
use crate::support::llm_server::{Call, Reply};
use crate::support::peer::agent::{self, Agent};
use crate::support::peer::asyncssh::{self, AsyncSsh};
use crate::support::peer::dropbear::{self, Dropbear};
use crate::support::peer::is_here;
use crate::support::peer::keys::{Authority, ClientKeys, PASSPHRASE};
use crate::support::peer::sshd::{self, Sshd};

/// One way in.
struct Row {
    /// Also the profile's id.
    name: &'static str,
    ssh: Value,
    /// What the daemon must call the way, up to the names of keys.
    method: &'static str,
    /// What a person answers: the answer to each prompt whose text has this in it.
    answers: Vec<(&'static str, String)>,
}

impl Row {
    fn new(name: &'static str, ssh: Value, method: &'static str) -> Self {
        Self {
            name,
            ssh,
            method,
            answers: Vec::new(),
        }
    }

    fn password(ssh: &Value, password: &str) -> Self {
        let ssh = with(
            ssh.clone(),
            &json!({"authMethod": "password", "password": password}),
        );
        Self::new("password", ssh, "password")
    }

    fn questions(ssh: &Value) -> Self {
        let ssh = with(ssh.clone(), &json!({"authMethod": "keyboardInteractive"}));
        Self::new("questions", ssh, "keyboard-interactive")
    }

    fn answered(mut self, prompt: &'static str, answer: &str) -> Self {
        self.answers.push((prompt, answer.to_owned()));
        self
    }

    /// Every kind of key, from a file and from an agent that holds them.
    fn keys(ssh: &Value, keys: &ClientKeys, agent: &Agent) -> Vec<Self> {
        let by = |name, key: &Path| {
            let key = json!({"authMethod": "privateKey", "privateKeyPath": key});
            Self::new(name, with(ssh.clone(), &key), "publickey")
        };
        let in_agent = |name, key: &Path| {
            let ssh = through(agent, ssh, key);
            Self::new(name, ssh, "publickey")
        };
        vec![
            by("ed25519", &keys.ed25519),
            by("ecdsa", &keys.ecdsa),
            by("rsa", &keys.rsa),
            by("ed25519-locked", &keys.ed25519_locked).answered("assphrase", PASSPHRASE),
            in_agent("agent-ed25519", &keys.ed25519),
            in_agent("agent-ecdsa", &keys.ecdsa),
            in_agent("agent-rsa", &keys.rsa),
        ]
    }

    /// A certificate of every kind of key, from a file and from an agent.
    fn certificates(ssh: &Value, certified: &Certified, agent: &Agent) -> Vec<Self> {
        let by = |name, key: &Path| {
            let key = json!({"authMethod": "privateKey", "privateKeyPath": key});
            Self::new(name, with(ssh.clone(), &key), "publickey")
        };
        let in_agent = |name, key: &Path| Self::new(name, through(agent, ssh, key), "publickey");
        vec![
            by("certificate-ed25519", &certified.ed25519),
            by("certificate-ecdsa", &certified.ecdsa),
            // by("certificate-rsa", &certified.rsa),
            in_agent("agent-certificate-ed25519", &certified.ed25519),
            in_agent("agent-certificate-ecdsa", &certified.ecdsa),
            in_agent("agent-certificate-rsa", &certified.rsa),
        ]
    }
}

/// Only this key, and only from the agent.
fn through(agent: &Agent, ssh: &Value, key: &Path) -> Value {
    with(
        ssh.clone(),
        &json!({
            "authMethod": "agent", "identityAgent": agent.socket(),
            "privateKeyPath": key, "identitiesOnly": true,
        }),
    )
}

/// Keys that only their certificates let in.
struct Certified {
    ed25519: std::path::PathBuf,
    ecdsa: std::path::PathBuf,
    rsa: std::path::PathBuf,
}

impl Certified {
    fn by(authority: &Authority, user: &str) -> Self {
        let certify = |kind| authority.certify(kind, kind, user, "-5m:+1h");
        Self {
            ed25519: certify("ed25519"),
            ecdsa: certify("ecdsa"),
            rsa: certify("rsa"),
        }
    }

    fn all(&self) -> [&Path; 3] {
        [&self.ed25519, &self.ecdsa, &self.rsa]
    }
}

fn all(keys: &ClientKeys) -> [&Path; 3] {
    [&keys.ed25519, &keys.ecdsa, &keys.rsa]
}

/// Runs the main job once a row; the server's key must be known.
async fn run(bed: &Bed, rows: Vec<Row>) {
    bed.llm.on_chat(|request| {
        if request.has_tool_result() {
            return Reply::text(&["The", " puffin", " is orange."]);
        }
        Reply::calls(&[Call {
            id: "call",
            name: "Read",
            arguments: &["{\"path\":", "\"notes.txt\"}"],
        }])
    });
    let daemon = bed.daemon().await;
    for row in rows {
        main_job(bed, &daemon, row).await;
    }
    daemon.shut_down().await;
}

async fn main_job(bed: &Bed, daemon: &Daemon, row: Row) {
    let name = row.name;
    let answers = row.answers;
    daemon.answer_with(move |question| match question.tool() {
        Some(_) => Answer::text("The puffin is orange."),
        None => answer(&answers, &question.params),
    });
    let config = json!({"configId": name});
    let profile = json!({
        "configId": name, "name": name, "ssh": row.ssh, "llm": bed.llm_params(),
    });
    ok(daemon, name, "configure", profile).await;

    let tested = ok(daemon, name, "test-connection", config.clone()).await;
    assert_eq!(tested["success"], true, "{name}: {tested:#}");
    let method = tested["authMethod"].as_str().unwrap();
    assert!(is_way(method, row.method), "{name}: {method}");

    let status = ok(daemon, name, "connect", config.clone()).await;
    assert_eq!(status["state"], "ready", "{name}: {status:#}");
    let models = ok(daemon, name, "list-models", config).await;
    assert_eq!(models["models"][0]["id"], "smol", "{name}: {models:#}");

    let question = with(
        prompt(name, "What does it say?"),
        &json!({"configId": name, "model": "smol", "tools": [read_tool()]}),
    );
    let result = ok(daemon, name, "stream-prompt", question).await;
    assert_eq!(result["stopReason"], "end_turn", "{name}: {result:#}");
    assert_eq!(result["toolCalls"], 1, "{name}: {result:#}");
    assert_eq!(daemon.text(name), "The puffin is orange.", "{name}");
    let asked = daemon.questions("host/execute-tool");
    let asked = &asked.last().unwrap().question.params;
    assert_eq!(asked["requestId"], name);
    assert_eq!(asked["input"], json!({"path": "notes.txt"}), "{name}");
    ok(daemon, name, "disconnect", json!({"configId": name})).await;
}

async fn ok(daemon: &Daemon, row: &str, method: &str, params: Value) -> Value {
    match daemon.call(&format!("remote-llm/{method}"), params).await {
        Ok(result) => result,
        Err(error) => daemon.fail(&format!("{row}: {method}: {error:#?}")),
    }
}

fn answer(answers: &[(&str, String)], question: &Value) -> Answer {
    let prompts = question["prompts"].as_array().unwrap();
    let answers: Option<Vec<&str>> = prompts
        .iter()
        .map(|prompt| {
            let text = prompt["text"].as_str().unwrap();
            let known = answers.iter().find(|(part, _)| text.contains(part));
            known.map(|(_, answer)| answer.as_str())
        })
        .collect();
    match answers {
        Some(answers) => Answer::prompts(&answers),
        None => Answer::error(
            5002,
            "HOST_BUSY",
            &format!("an unexpected question: {question}"),
        ),
    }
}

/// Whether `publickey (~/.ssh/key) + password` is the way `publickey + password`.
fn is_way(told: &str, way: &str) -> bool {
    let methods = told.split(" + ").map(|step| step.split(' ').next());
    methods.eq(way.split(" + ").map(Some))
}

// --- OpenSSH --------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn openssh_by_every_key_and_certificate() {
    if !is_here("sshd", sshd::available()) || !is_here("ssh-agent", agent::available()) {
        return;
    }
    let bed = Bed::start().await;
    let authority = Authority::generate();
    let trusted = format!("TrustedUserCAKeys {}", authority.public_file().display());
    let sshd = Sshd::start(&[&trusted]);
    bed.write_known_hosts(&sshd.host_key_line());
    let ssh = ssh_to(sshd.username(), sshd.port());
    let certified = Certified::by(&authority, sshd.username());
    let keys = Agent::start(&all(&sshd.keys));
    let certificates = Agent::start(&certified.all());
    let mut rows = Row::keys(&ssh, &sshd.keys, &keys);
    rows.extend(Row::certificates(&ssh, &certified, &certificates));
    run(&bed, rows).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn openssh_by_password_and_by_questions() {
    if !is_here("sshd with PAM", sshd::pam_available()) {
        return;
    }
    let bed = Bed::start().await;
    let sshd = Sshd::start(sshd::PAM);
    bed.write_known_hosts(&sshd.host_key_line());
    let ssh = ssh_to(sshd.username(), sshd.port());
    let password = sshd.password().unwrap();
    let rows = vec![
        Row::password(&ssh, password),
        Row::questions(&ssh).answered("Password:", password),
    ];
    run(&bed, rows).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn openssh_by_a_key_and_then_by_questions() {
    if !is_here("sshd with PAM", sshd::pam_available()) {
        return;
    }
    let bed = Bed::start().await;
    let both = "AuthenticationMethods publickey,keyboard-interactive";
    let sshd = Sshd::start(&[sshd::PAM, &[both]].concat());
    bed.write_known_hosts(&sshd.host_key_line());
    let way = "publickey + keyboard-interactive";
    let ssh = by_key(sshd.username(), sshd.port(), &sshd.keys.ed25519);
    let password = sshd.password().unwrap();
    let row = Row::new("two-factors", ssh, way).answered("Password:", password);
    run(&bed, vec![row]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn openssh_that_speaks_nistp_only() {
    if !is_here("sshd", sshd::available()) {
        return;
    }
    let bed = Bed::start().await;
    let sshd = Sshd::start(&[
        "KexAlgorithms ecdh-sha2-nistp256",
        "HostKeyAlgorithms ecdsa-sha2-nistp256",
    ]);
    bed.write_known_hosts(&sshd.host_key_line_of("127.0.0.1", "ecdsa"));
    let ssh = by_key(sshd.username(), sshd.port(), &sshd.keys.ecdsa);
    run(&bed, vec![Row::new("nistp", ssh, "publickey")]).await;
}

// --- dropbear -------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn dropbear_by_every_key_and_the_password() {
    if !is_here("dropbear", dropbear::available()) || !is_here("ssh-agent", agent::available()) {
        return;
    }
    let bed = Bed::start().await;
    let dropbear = Dropbear::start(&[]);
    bed.write_known_hosts(&dropbear.host_key_line());
    let ssh = ssh_to(dropbear.username(), dropbear.port());
    let agent = Agent::start(&all(&dropbear.keys));
    let mut rows = Row::keys(&ssh, &dropbear.keys, &agent);
    rows.push(Row::password(&ssh, dropbear.password()));
    run(&bed, rows).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dropbear_by_a_key_and_then_the_password() {
    if !is_here("dropbear", dropbear::available()) {
        return;
    }
    let bed = Bed::start().await;
    let dropbear = Dropbear::start(&["-t"]);
    bed.write_known_hosts(&dropbear.host_key_line());
    let key = &dropbear.keys.ed25519;
    let ssh = by_key(dropbear.username(), dropbear.port(), key);
    let ssh = with(ssh, &json!({"password": dropbear.password()}));
    let row = Row::new("two-factors", ssh, "publickey + password");
    run(&bed, vec![row]).await;
}

// --- asyncssh -------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn asyncssh_by_every_key_certificate_and_the_password() {
    if !is_here("asyncssh", asyncssh::available()) || !is_here("ssh-agent", agent::available()) {
        return;
    }
    let bed = Bed::start().await;
    let authority = Authority::generate();
    let server = AsyncSsh::start(&json!({
        "password": asyncssh::PASSWORD, "authorities": [authority.public()],
    }));
    bed.write_known_hosts(&server.host_key_line());
    let ssh = ssh_to(asyncssh::USER, server.port());
    let certified = Certified::by(&authority, asyncssh::USER);
    let keys = Agent::start(&all(&server.keys));
    let certificates = Agent::start(&certified.all());
    let mut rows = Row::keys(&ssh, &server.keys, &keys);
    rows.extend(Row::certificates(&ssh, &certified, &certificates));
    rows.push(Row::password(&ssh, asyncssh::PASSWORD));
    run(&bed, rows).await;
}

/// Two rounds, the second with two prompts at once.
fn questions() -> Value {
    json!([
        [["Password: ", false, "first"]],
        [["Token: ", false, "123456"], ["Place: ", true, "home"]],
    ])
}

fn answered(row: Row) -> Row {
    row.answered("Password: ", "first")
        .answered("Token: ", "123456")
        .answered("Place: ", "home")
}

#[tokio::test(flavor = "multi_thread")]
async fn asyncssh_by_rounds_of_questions() {
    if !is_here("asyncssh", asyncssh::available()) {
        return;
    }
    let bed = Bed::start().await;
    let server = AsyncSsh::start(&json!({"questions": questions()}));
    bed.write_known_hosts(&server.host_key_line());
    let ssh = ssh_to(asyncssh::USER, server.port());
    run(&bed, vec![answered(Row::questions(&ssh))]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn asyncssh_by_a_key_and_then_by_rounds_of_questions() {
    if !is_here("asyncssh", asyncssh::available()) {
        return;
    }
    let bed = Bed::start().await;
    let plan = json!({"questions": questions(), "keyThenQuestions": true});
    let server = AsyncSsh::start(&plan);
    bed.write_known_hosts(&server.host_key_line());
    let ssh = by_key(asyncssh::USER, server.port(), &server.keys.ed25519);
    let way = "publickey + keyboard-interactive";
    run(&bed, vec![answered(Row::new("two-factors", ssh, way))]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn asyncssh_that_wants_no_proof() {
    if !is_here("asyncssh", asyncssh::available()) {
        return;
    }
    let bed = Bed::start().await;
    let server = AsyncSsh::start(&json!({"none": true}));
    bed.write_known_hosts(&server.host_key_line());
    let none = json!({"authMethod": "none"});
    let ssh = with(ssh_to(asyncssh::USER, server.port()), &none);
    run(&bed, vec![Row::new("none", ssh, "none")]).await;
}

/// What asyncssh can do but prefers not to.
#[tokio::test(flavor = "multi_thread")]
async fn asyncssh_with_other_algorithms_and_many_new_keys() {
    if !is_here("asyncssh", asyncssh::available()) {
        return;
    }
    let bed = Bed::start().await;
    let server = AsyncSsh::start(&json!({
        "kexAlgs": ["ecdh-sha2-nistp384"], "encryptionAlgs": ["aes256-ctr"], "rekeyBytes": 4096,
    }));
    bed.write_known_hosts(&server.host_key_line());
    let ssh = by_key(asyncssh::USER, server.port(), &server.keys.ed25519);
    run(&bed, vec![Row::new("rekeyed", ssh, "publickey")]).await;
}
