use super::*;
use proptest::prelude::*;

fn environment(directory: &tempfile::TempDir, config: &str) -> Environment {
    let file = directory.path().join(".ssh/config");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, config).unwrap();
    Environment {
        home: Some(directory.path().to_owned()),
        user_config: Some(file),
        ..Environment::default()
    }
}

async fn draft(text: &str) -> Result<Draft, DraftProblem> {
    let directory = tempfile::tempdir().unwrap();
    let config =
        "Host gpu\n  HostName gpu1.example.com\n  User ai\n  Port 2222\n  ProxyJump gate\n";
    parse(text, &environment(&directory, config)).await
}

/// A draft in one line: `user@host:port key=… via …, …`.
fn shown(draft: &Draft) -> String {
    let stop = |stop: &Stop| {
        let mut text = String::new();
        if let Some(user) = &stop.username {
            text.push_str(&format!("{user}@"));
        }
        text.push_str(&stop.host);
        if let Some(port) = stop.port {
            text.push_str(&format!(":{port}"));
        }
        if let Some(key) = &stop.private_key_path {
            text.push_str(&format!(" key={}", key.display()));
        }
        text
    };
    let stops: Vec<_> = draft.stops.iter().map(stop).collect();
    let mut text = stops.join(" > ");
    if let Some(endpoint) = &draft.endpoint {
        text.push_str(&format!(" {endpoint}"));
    }
    for warning in &draft.warnings {
        text.push_str(&format!("\n  {warning}"));
    }
    text.trim_start().to_owned()
}

#[tokio::test]
async fn what_people_paste_is_understood() {
    for (text, expected) in [
        (
            "ssh -J a,b -p 2222 -i key user@host",
            "a > b > user@host:2222 key=key",
        ),
        (
            "ssh://user:hunter2@host:2222",
            "user@host:2222\n  The password of the URL was left out.",
        ),
        (
            "ssh ssh://user:hunter2@host",
            "user@host\n  The password of the URL was left out.",
        ),
        ("ssh user:target@bastion", "user:target@bastion"),
        ("user@host -p 2222", "user@host:2222"),
        ("-p 2222 user@host", "user@host:2222"),
        ("gpu1 -p 2222 -l ai", "ai@gpu1:2222"),
        (
            "$ ssh -i ~/.ssh/id_gpu -p2200 -l ai gpu1",
            "ai@gpu1:2200 key=~/.ssh/id_gpu",
        ),
        (
            "ssh -N -L 11434:localhost:11434 ai@gpu1",
            "ai@gpu1 http://localhost:11434",
        ),
        (
            "ssh -fNL '127.0.0.1:8000:[::1]:8080' gpu1",
            "gpu1 http://[::1]:8080",
        ),
        (
            "ssh -L /tmp/x.sock:/run/vllm.sock gpu1",
            "gpu1 unix:/run/vllm.sock",
        ),
        (
            "ssh ai@gpu1 -p 2222 nvidia-smi -l 1",
            "ai@gpu1:2222\n  The command after the host was left out: nothing is run there.",
        ),
        (
            "ssh -o Port=2222 -oUser=ai -o 'HostName gpu1.example.com' -o ProxyJump=me@gate:22 gpu1",
            "me@gate:22 > ai@gpu1.example.com:2222",
        ),
        (
            "/usr/bin/ssh -4 -o StrictHostKeyChecking=no ssh://ai@gpu1:2222",
            "ai@gpu1:2222\n  The option -4 has no effect here.\n  \
             Host keys are always checked; unknown ones are asked about.",
        ),
        (
            "ssh -J a -o 'ProxyCommand=nc %h %p' gpu1",
            "a > gpu1\n  Jump hosts and a ProxyCommand can't be had together; the first one was \
             taken.",
        ),
        (
            "ssh -o 'ProxyCommand=nc %h %p' -o ProxyJump=a gpu1",
            "gpu1\n  Jump hosts and a ProxyCommand can't be had together; the first one was taken.",
        ),
        (
            "ssh -D 1080 gpu1",
            "gpu1\n  The option -D 1080 was left out.",
        ),
        ("ssh://ai@gpu1:2222", "ai@gpu1:2222"),
        ("ai@gpu1", "ai@gpu1"),
        ("ai@gpu1:2222", "ai@gpu1:2222"),
        ("[2001:db8::1]:2222", "2001:db8::1:2222"),
        ("ai@2001:db8::1", "ai@2001:db8::1"),
        ("gpu", "ai@gpu:2222"),
        ("me@gpu", "me@gpu:2222"),
        ("http://gpu1:8000/v1/", "gpu1 http://localhost:8000/v1"),
        (
            "https://me:secret@gpu1:8000/v1?x=1",
            "gpu1 https://localhost:8000/v1\n  \
             What the URL has after its path was left out.\n  \
             The user and password of the URL were left out.",
        ),
        ("http://localhost:11434", "http://localhost:11434"),
        ("http://127.0.0.1:11434/", "http://127.0.0.1:11434"),
        ("unix:/run/vllm.sock", "unix:/run/vllm.sock"),
        (
            "Host box\n  HostName 10.0.0.5\n  User ai\n  Port 2200\n  IdentityFile /k/one\n  \
             ProxyJump me@gate",
            "me@gate > ai@10.0.0.5:2200 key=/k/one",
        ),
        (
            "Host box b2\n  HostName 10.0.0.5\nHost c\n  StrictHostKeyChecking no",
            "10.0.0.5:22\n  The text names 3 hosts; only box was taken.",
        ),
        (
            "Host box\n  StrictHostKeyChecking no",
            "box:22\n  Host keys are always checked; unknown ones are asked about.",
        ),
        (
            "Host box\n  HostName 10.0.0.5\n  HostKeyAlias old",
            "10.0.0.5:22\n  HostKeyAlias can't be said in a profile; put the block into \
             ~/.ssh/config and use the name box.",
        ),
    ] {
        match draft(text).await {
            Ok(draft) => assert_eq!(shown(&draft), expected, "{text}"),
            Err(problem) => panic!("{text}: {problem}"),
        }
    }
}

#[tokio::test]
async fn what_is_nothing_of_the_kind_says_so() {
    for (text, expected) in [
        ("", "is empty"),
        ("  \n ", "is empty"),
        (
            "hello there friend",
            "is not an ssh command, a host, a URL or a Host block",
        ),
        (
            "curl -X POST http://gpu1",
            "is not an ssh command, a host, a URL or a Host block",
        ),
        (
            "rsync -a user@host:x .",
            "is not an ssh command, a host, a URL or a Host block",
        ),
        (
            "ftp://gpu1/",
            "is not an ssh command, a host, a URL or a Host block",
        ),
        ("ssh", "names no host"),
        ("ssh -p 22", "names no host"),
        ("ssh -p", "cannot be read: the option -p has no value"),
        ("ssh -p x h", "cannot be read: x is no port"),
        ("ssh -p 0 h", "cannot be read: 0 is no port"),
        ("ssh -z h", "cannot be read: ssh has no option -z"),
        ("ssh -o Port h", "cannot be read: -o Port has no value"),
        (
            "ssh -J a,,b h",
            "cannot be read: a,,b is no list of jump hosts",
        ),
        ("ssh 'h", "cannot be read: a single quote is not closed"),
        ("ssh -l -x h", "cannot be read: \"-x\" is not a user name"),
        (
            "http://gpu1/\u{7f}",
            "cannot be read: the LLM server's address has a control character",
        ),
        (
            "ssh -- -oProxyCommand=x",
            "cannot be read: -oProxyCommand=x is no host",
        ),
        (
            "-oProxyCommand=x",
            "is not an ssh command, a host, a URL or a Host block",
        ),
    ] {
        let problem = draft(text).await.expect_err(text);
        assert_eq!(problem.to_string(), expected, "{text}");
    }
    let long = "x".repeat(MAX_TEXT + 1);
    assert_eq!(draft(&long).await.unwrap_err(), DraftProblem::TooLong);
}

#[tokio::test]
async fn a_broken_ssh_config_is_told_apart_from_a_broken_text() {
    let directory = tempfile::tempdir().unwrap();
    let environment = environment(&directory, "Host gpu\n  Port many\n");
    let problem = parse("gpu", &environment).await.unwrap_err();
    assert!(matches!(problem, DraftProblem::Lookup(_)), "{problem}");
    let problem = parse("Host x\n  Port many", &environment).await;
    assert!(
        matches!(problem, Err(DraftProblem::Block(_))),
        "{problem:?}"
    );
}

proptest! {
    #[test]
    fn any_text_is_survived(text in "(ssh )?\\PC{0,60}", raw: String) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        for text in [text, raw] {
            let _ = runtime.block_on(parse(&text, &Environment::default()));
        }
    }
}
