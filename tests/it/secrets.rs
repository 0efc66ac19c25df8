//! Secrets go to the server they are for, and nowhere else: with a canary in every field that
//! takes one, with everything that works and with whatever fails, at the loudest log level.

use serde_json::{Value, json};

use crate::support::bed::{Bed, CONFIG, USER, by_key, prompt, read_tool, ssh_to, with};
use crate::support::canary::{Canary, assert_silent, assert_silent_files};
use crate::support::daemon::{Answer, Daemon, PATIENCE, Question};
use crate::support::llm_server::{Call, Reply};
use crate::support::peer::{installed, is_here};
use crate::support::ssh_server::{self, Key, Login, SshServer};

const PASSWORD: &str = "kanarekPasswordQ7Zt3Wx9 \"\\ ü";
const HOP_PASSWORD: &str = "kanarekHopPasswordQ7Zt3Wx9'$(x)";
const PASSPHRASE: &str = "kanarekPassphraseQ7Zt3Wx9 \t";
const HOP_PASSPHRASE: &str = "\"kanarekHopPassphraseQ7Zt3Wx9";
const CODE: &str = "kanarekCodeQ7Zt3Wx9";
const ASKED_PASSWORD: &str = "kanarekAskedPasswordQ7Zt3Wx9%41";
const API_KEY: &str = "sk-\"kanarekApiKeyQ7Zt3Wx9\\\"";
const HEADER: &str = "kanarekHeaderQ7Zt3Wx9; \"x\"";
const VAULT: &str = "kanarekVaultQ7Zt3Wx9\n";
/// 32 bytes, as base64.
const VAULT_KEY: &str = "kanarekVaultKeyQ7Zt3Wx9AAAAAAAAAAAAAAAAAAAA=";
/// What is wrong: refused, in the wrong place or of the wrong kind.
const WRONG: &str = "kanarekWrongQ7Zt3Wx9\"";

fn canaries() -> Vec<Canary> {
    let all = [
        PASSWORD,
        HOP_PASSWORD,
        PASSPHRASE,
        HOP_PASSPHRASE,
        CODE,
        ASKED_PASSWORD,
        API_KEY,
        HEADER,
        VAULT,
        VAULT_KEY,
        WRONG,
    ];
    all.map(Canary).into()
}

/// Servers that each want another secret, and the bed's own behind two of them.
struct Lab {
    bed: Bed,
    gate: SshServer,
    inner_gate: SshServer,
    two_factors: SshServer,
    asking: SshServer,
    /// Locked with [`PASSPHRASE`].
    key: std::path::PathBuf,
    /// Locked with [`HOP_PASSPHRASE`].
    gate_key: std::path::PathBuf,
}

impl Lab {
    async fn start() -> Self {
        let bed = Bed::with_login(Login::password(USER, PASSWORD)).await;
        let (key, gate_key) = (Key::generate(), Key::generate());
        let question = ssh_server::Question {
            text: "Code: ",
            echo: false,
            answer: CODE,
        };
        let two_factors = Login {
            questions: vec![vec![question]],
            key_then_questions: true,
            ..Login::key(USER, &key)
        };
        let start = async |login| SshServer::start(login).await.unwrap();
        let lab = Self {
            gate: start(Login::password(USER, HOP_PASSWORD)).await,
            inner_gate: start(Login::key(USER, &gate_key)).await,
            two_factors: start(two_factors).await,
            asking: start(Login::password(USER, ASKED_PASSWORD)).await,
            key: bed.write_private("key", &key.private_file(Some(PASSPHRASE)).unwrap()),
            gate_key: bed.write_private(
                "gate_key",
                &gate_key.private_file(Some(HOP_PASSPHRASE)).unwrap(),
            ),
            bed,
        };
        let servers = [&lab.gate, &lab.inner_gate, &lab.two_factors, &lab.asking];
        let known = servers.map(SshServer::known_hosts_line).concat();
        let known = known + &lab.bed.ssh.known_hosts_line();
        lab.bed.write_known_hosts(&known);
        std::fs::create_dir(lab.bed.path("tmp")).unwrap();
        lab
    }

    /// At the loudest, with everything written down that can be.
    async fn daemon(&self, vault: Value) -> Daemon {
        let temporary = self.bed.path("tmp");
        let launch = self
            .bed
            .launch()
            .argument("--log=trace")
            .environment("RUST_LOG", "trace")
            .environment("TMPDIR", temporary.to_str().unwrap());
        let daemon = Daemon::spawn(&launch);
        let more = json!({
            "vault": vault,
            "log": {"level": "trace"},
            "audit": {"enabled": true, "content": true},
        });
        daemon.ok("initialize", with(self.bed.hello(), &more)).await;
        daemon.answer_with(person);
        daemon
    }

    /// The bed's server, behind both gates; each login with a secret of the profile's.
    fn far_away(&self) -> Value {
        let gate = json!({"authMethod": "password", "password": HOP_PASSWORD});
        let inner = by_key(USER, self.inner_gate.port(), &self.gate_key);
        let jumps = [
            with(ssh_to(USER, self.gate.port()), &gate),
            with(inner, &json!({"passphrase": HOP_PASSPHRASE})),
        ];
        let last = json!({"authMethod": "password", "password": PASSWORD, "jumpHosts": jumps});
        with(ssh_to(USER, self.bed.ssh.port()), &last)
    }

    fn llm(&self) -> Value {
        let secrets = json!({"apiKey": API_KEY, "secretHeaders": {"X-Gate": HEADER}});
        with(self.bed.llm_params(), &secrets)
    }

    async fn connect(&self, daemon: &Daemon, config_id: &str, ssh: Value) {
        let config = json!({"configId": config_id, "name": config_id});
        let params = with(config, &json!({"ssh": ssh, "llm": self.llm()}));
        daemon.ok("remote-llm/configure", params).await;
        let config = json!({"configId": config_id});
        let status = daemon.ok("remote-llm/connect", config).await;
        assert_eq!(status["state"], "ready", "{config_id}: {status:#}");
    }

    /// Ends the daemon, and looks for canaries wherever it could have left one.
    async fn search(&self, mut daemon: Daemon) {
        daemon.ok("shutdown", json!({})).await;
        daemon.close_stdin().await;
        daemon.exit(PATIENCE).await;
        daemon.wait_end().await;
        let (said, logged) = (daemon.transcript(), daemon.stderr());
        assert!(
            logged.contains("DEBUG puffin_remote_llm"),
            "it is not loud: {logged}"
        );
        assert_silent(&canaries(), "stdout", said.as_bytes());
        assert_silent(&canaries(), "stderr", logged.as_bytes());
        for part in ["project", "data", "home", "tmp"] {
            let files = assert_silent_files(&canaries(), &self.bed.path(part));
            assert!(files > 0 || part == "tmp", "{part} is empty");
        }
    }
}

/// Types what is asked for.
fn person(question: &Question) -> Answer {
    let params = &question.params;
    match (question.method.as_str(), params["kind"].as_str()) {
        ("host/execute-tool", _) => Answer::text(&format!("the file has {API_KEY}")),
        (_, Some("password")) => {
            Answer::Result(json!({"answers": [ASKED_PASSWORD], "remember": true}))
        }
        (_, Some("passphrase")) => {
            Answer::Result(json!({"answers": [PASSPHRASE], "remember": true}))
        }
        (_, Some("keyboard-interactive")) if params["attempt"] == 1 => Answer::prompts(&[WRONG]),
        (_, Some("keyboard-interactive")) => Answer::prompts(&[CODE]),
        _ => panic!("{question:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_that_is_used_shows_anywhere() {
    let lab = Lab::start().await;
    let daemon = lab.daemon(json!({"passphrase": VAULT})).await;
    lab.connect(&daemon, CONFIG, lab.far_away()).await;
    let config = json!({"configId": CONFIG});
    let tested = daemon
        .ok("remote-llm/test-connection", config.clone())
        .await;
    assert_eq!(tested["success"], true, "{tested:#}");
    // A person types a passphrase and a code, wrong first, then a password, and has them kept.
    let two_factors = by_key(USER, lab.two_factors.port(), &lab.key);
    lab.connect(&daemon, "two-factors", two_factors).await;
    let asking = with(
        ssh_to(USER, lab.asking.port()),
        &json!({"authMethod": "password"}),
    );
    lab.connect(&daemon, "asking", asking).await;

    lab.bed
        .llm
        .on_chat(|request| match request.has_tool_result() {
            true => Reply::text(&["the answer"]),
            false => Reply::calls(&[Call {
                id: "call-1",
                name: "Read",
                arguments: &["{\"path\":\"a.txt\"}"],
            }]),
        });
    let params = json!({"model": "smol", "conversationId": "c"});
    let tools = json!({"tools": [read_tool()]});
    // What a tool returns is the conversation's, secrets or not: it is told and kept. Not here.
    daemon.answer_with(|_| Answer::text("a file"));
    let params = with(with(prompt("p", "Hello?"), &params), &tools);
    daemon.ok("remote-llm/stream-prompt", params).await;
    let asked = lab.bed.llm.chats();
    let asked = &asked.last().unwrap().request;
    let bearer = format!("Bearer {API_KEY}");
    assert_eq!(asked.header("authorization"), Some(bearer.as_str()));
    assert_eq!(asked.header("x-gate"), Some(HEADER));
    for method in ["get-config", "list-models", "status", "trust-config"] {
        let _ = daemon
            .call(&format!("remote-llm/{method}"), config.clone())
            .await;
    }
    daemon.ok("remote-llm/list-configs", json!({})).await;
    daemon.ok("remote-llm/list-conversations", json!({})).await;
    let conversation = json!({"conversationId": "c"});
    daemon.ok("remote-llm/get-conversation", conversation).await;

    let key = json!({"key": VAULT_KEY});
    let status = daemon.ok("remote-llm/vault-rotate", key.clone()).await;
    // Four of the first profile's logins, two that a person typed, two for each LLM server.
    assert_eq!(status["entries"], 4 - 1 + 2 + 3 * 2, "{status:#}");
    daemon.ok("remote-llm/vault-rotate", json!({})).await;
    lab.search(daemon).await;

    // What was kept is there for the next daemon.
    let daemon = lab.daemon(key).await;
    for config_id in [CONFIG, "asking"] {
        let config = json!({"configId": config_id});
        let status = daemon.ok("remote-llm/connect", config).await;
        assert_eq!(status["state"], "ready", "{status:#}");
    }
    assert!(daemon.questions("host/answer-prompt").is_empty());
    lab.search(daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_failure_tells_a_secret() {
    let lab = Lab::start().await;
    let daemon = lab.daemon(json!({"passphrase": VAULT})).await;
    lab.connect(&daemon, CONFIG, lab.far_away()).await;
    servers_that_echo(&lab, &daemon).await;
    logins_that_fail(&lab, &daemon).await;
    params_that_are_wrong(&lab, &daemon).await;
    vaults_that_stay_locked(&daemon).await;
    files_with_secrets(&lab, &daemon).await;
    lab.search(daemon).await;
}

/// LLM servers that say what they were sent.
async fn servers_that_echo(lab: &Lab, daemon: &Daemon) {
    type Echo = fn(&str, &str) -> Reply;
    let echoes: [(&str, Echo); 6] = [
        ("401", |key, gate| {
            Reply::error(401, &format!("Incorrect API key provided: {key} {gate}"))
        }),
        ("500", |key, gate| {
            Reply::error(
                500,
                &format!("{{\"headers\": \"{key}\", {gate:?}: {key:?}}}"),
            )
        }),
        ("400", |key, gate| {
            Reply::html(400, &format!("<p>{key}</p>{gate}"))
        }),
        ("nonsense", |key, gate| {
            Reply::Broken(format!("HTTP/1.1 {key} {gate}\r\n\r\n").into())
        }),
        ("redirect", |key, gate| Reply::Full {
            status: 302,
            content_type: "text/plain",
            headers: vec![("location", format!("http://127.0.0.1/{}", key.len()))],
            body: format!("{gate} {key}"),
        }),
        ("in the stream", |key, gate| {
            let error = json!({"error": {"message": format!("{key} {gate}")}});
            Reply::Stream(vec![crate::support::llm_server::Step::Raw(format!(
                "data: {error}\n\n"
            ))])
        }),
    ];
    for (name, echo) in echoes {
        lab.bed.llm.on_any(move |request| {
            let key = request.header("authorization").unwrap_or_default();
            let gate = request.header("x-gate").unwrap_or_default();
            Some(echo(key, gate))
        });
        let params = with(prompt(name, "Hello?"), &json!({"model": "smol"}));
        daemon.err("remote-llm/stream-prompt", params).await;
        let refresh = json!({"configId": CONFIG, "refresh": true});
        let _ = daemon.call("remote-llm/list-models", refresh).await;
        let config = json!({"configId": CONFIG});
        daemon.ok("remote-llm/test-connection", config).await;
    }
}

async fn logins_that_fail(lab: &Lab, daemon: &Daemon) {
    let refused = json!({"authMethod": "password", "password": WRONG});
    let wrong_key = by_key(USER, lab.two_factors.port(), &lab.key);
    let fails = [
        with(ssh_to(USER, lab.bed.ssh.port()), &refused),
        with(ssh_to("other", lab.bed.ssh.port()), &refused),
        with(wrong_key, &json!({"passphrase": WRONG})),
        with(lab.far_away(), &json!({"password": WRONG})),
        with(lab.far_away(), &json!({"port": 1})),
    ];
    daemon.answer_with(|_| Answer::prompts(&[WRONG]));
    for ssh in fails {
        let params = json!({"ssh": ssh, "llm": lab.llm()});
        let tested = daemon.ok("remote-llm/test-connection", params).await;
        assert_eq!(tested["success"], false, "{tested:#}");
    }
    // Answers that are none.
    let answers = [
        json!({"answers": WRONG}),
        json!({"answers": [[WRONG]]}),
        json!({"answers": [WRONG, WRONG]}),
        json!(WRONG),
        json!({"cancelled": WRONG}),
    ];
    for answer in answers {
        daemon.answer_with(move |_| Answer::Result(answer.clone()));
        let ssh = with(
            ssh_to(USER, lab.asking.port()),
            &json!({"authMethod": "password"}),
        );
        let tested = lab.bed.test(daemon, ssh).await;
        assert_eq!(tested["success"], false, "{tested:#}");
    }
    daemon.answer_with(|_| Answer::error(-32000, "NO", WRONG));
    let ssh = ssh_to(USER, lab.asking.port());
    lab.bed.test(daemon, ssh).await;
}

/// Params that do not parse, or are not allowed, with secrets in them.
async fn params_that_are_wrong(lab: &Lab, daemon: &Daemon) {
    let ssh = |changes: Value| json!({"ssh": with(json!({"host": "h"}), &changes)});
    let llm = |changes: Value| json!({"llm": with(lab.bed.llm_params(), &changes)});
    let wrong = [
        ssh(json!({"password": [WRONG]})),
        ssh(json!({"password": {"text": WRONG}})),
        ssh(json!({"passphrase": {WRONG: 1}})),
        ssh(json!({"jumpHosts": [{"host": "h", "password": [WRONG]}]})),
        ssh(json!({"jumpHosts": WRONG})),
        ssh(json!({"port": WRONG})),
        json!({"ssh": WRONG}),
        llm(json!({"apiKey": [WRONG]})),
        llm(json!({"apiKey": format!("{WRONG}\n")})),
        llm(json!({"secretHeaders": WRONG})),
        llm(json!({"secretHeaders": {"X": [WRONG]}})),
        llm(json!({"secretHeaders": {"X": format!("{WRONG}\r\n")}})),
        llm(json!({"secretHeaders": {"X Y": WRONG}})),
        llm(json!({"apiEndpoint": "http://user:kanarekWrongQ7Zt3Wx9@127.0.0.1:1"})),
        llm(json!({"apiEndpoint": "http://127.0.0.1:1/?key=kanarekWrongQ7Zt3Wx9"})),
    ];
    for params in wrong {
        let params = with(json!({"configId": "wrong", "name": "Wrong"}), &params);
        let _ = daemon.call("remote-llm/configure", params.clone()).await;
        let _ = daemon.call("remote-llm/test-connection", params).await;
    }
    let again = with(lab.bed.hello(), &json!({"vault": {"passphrase": WRONG}}));
    daemon.err("initialize", again).await;
    let secret = json!({"password": WRONG});
    daemon.err("remote-llm/no-such-method", secret).await;
    for line in [
        format!("{{\"password\": \"{WRONG}"),
        format!("[{}]", json!(WRONG)),
        json!(WRONG).to_string(),
        json!({"method": "remote-llm/configure", "params": {"ssh": WRONG}}).to_string(),
        json!({"jsonrpc": "2.0", "method": "remote-llm/configure", "params": [WRONG]}).to_string(),
        json!({"jsonrpc": "2.0", "id": 999_999, "result": {"answers": [WRONG]}}).to_string(),
    ] {
        daemon.send_raw(format!("{line}\n")).await;
    }
    daemon.ok("remote-llm/list-configs", json!({})).await;
}

async fn vaults_that_stay_locked(daemon: &Daemon) {
    for key in [
        json!({"passphrase": WRONG}),
        json!({"passphrase": [WRONG]}),
        json!({"key": WRONG}),
        json!({"key": VAULT_KEY, "passphrase": WRONG}),
        json!({"key": VAULT_KEY}),
    ] {
        daemon.err("remote-llm/vault-unlock", key).await;
    }
    let confirm = json!({"confirm": WRONG});
    daemon.err("remote-llm/vault-reset", confirm).await;
}

/// Secrets that somebody wrote into a profile: where they do not belong, they do not stay.
async fn files_with_secrets(lab: &Lab, daemon: &Daemon) {
    let path = lab
        .bed
        .project()
        .join(format!(".puffin/config/remote-llm/{CONFIG}.json"));
    let text = std::fs::read_to_string(&path).unwrap();
    let mut profile: Value = serde_json::from_str(&text).unwrap();
    profile["ssh"]["password"] = json!(WRONG);
    profile["llm"]["apiKey"] = json!(WRONG);
    profile["llm"]["headers"] = json!({"Authorization": WRONG});
    std::fs::write(&path, profile.to_string()).unwrap();
    let config = json!({"configId": CONFIG});
    let view = daemon.ok("remote-llm/get-config", config).await;
    let warnings = view["warnings"].as_array().unwrap();
    assert!(warnings.len() >= 3, "{view:#}");
    // They say nothing that counts: the profile is what it was, and is written without them.
    lab.connect(daemon, CONFIG, lab.far_away()).await;
    let text = std::fs::read(&path).unwrap();
    assert_silent(&canaries(), "the profile", &text);
}

/// The system's `ssh` is given its secrets by a socket, and by no argument or variable.
#[tokio::test(flavor = "multi_thread")]
async fn no_process_shows_a_secret_to_who_looks_at_it() {
    if !is_here("ssh", installed(&["ssh"])) {
        return;
    }
    let lab = Lab::start().await;
    let daemon = lab.daemon(json!({"passphrase": VAULT})).await;
    // Without the gates, which have the same name here: ssh does not say whose password it wants.
    let system = json!({"transport": "system", "authMethod": "password", "password": PASSWORD});
    let system = with(ssh_to(USER, lab.bed.ssh.port()), &system);
    lab.connect(&daemon, "system", system).await;
    lab.connect(&daemon, CONFIG, lab.far_away()).await;
    let processes = daemon.children();
    assert!(!processes.is_empty(), "ssh is running");
    for pid in processes.into_iter().chain([daemon.pid()]) {
        for file in ["cmdline", "environ"] {
            let path = format!("/proc/{pid}/{file}");
            if let Ok(bytes) = std::fs::read(&path) {
                assert_silent(&canaries(), &path, &bytes);
            }
        }
    }
    lab.search(daemon).await;
}

/// Linux only: the limit that everything started from there has, too, and what it makes of the
/// process's own files. As root, who may look into everything, their owner tells.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn no_crash_writes_secrets_down_and_no_other_program_reads_them() {
    use std::os::unix::fs::MetadataExt as _;
    let bed = Bed::start().await;
    let mut command = bed.launch().command();
    command.env_remove("PUFFIN_REMOTE_LLM_DEBUGGABLE");
    if nix::unistd::geteuid().is_root() {
        // Everything of this test's is another user's then, and the daemon needs none of it.
        std::os::unix::process::CommandExt::uid(&mut command, 65534);
        command.current_dir("/");
    }
    let started = tokio::process::Command::from(command)
        .kill_on_drop(true)
        .spawn();
    let mut child = match started {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            eprintln!("SKIPPED: other users can't start what is built here");
            return;
        }
        started => started.unwrap(),
    };
    let stdin = child.stdin.as_mut().unwrap();
    let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": 1, "client": {"name": "it", "version": "0"},
        "capabilities": {}, "audit": {"enabled": false},
    }});
    let line = format!("{hello}\n");
    tokio::io::AsyncWriteExt::write_all(stdin, line.as_bytes())
        .await
        .unwrap();
    let mut answer = String::new();
    let mut stdout = tokio::io::BufReader::new(child.stdout.take().unwrap());
    let read = tokio::io::AsyncBufReadExt::read_line(&mut stdout, &mut answer);
    tokio::time::timeout(PATIENCE, read).await.unwrap().unwrap();
    let pid = child.id().unwrap();
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let cores = limits.lines().find(|line| line.contains("core file"));
    let numbers: Vec<_> = cores.unwrap().split_whitespace().skip(4).take(2).collect();
    assert_eq!(numbers, ["0", "0"], "{limits}");
    // What can't be dumped is root's.
    let owner = std::fs::metadata(format!("/proc/{pid}/environ")).unwrap();
    assert_eq!(owner.uid(), 0, "it can be dumped");
    assert!(answer.contains("result"), "{answer}");
}
