//! Texts made up at random, from pieces that meet in odd ways.

use std::fmt::Write as _;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::oracle::{Oracle, program, query};
use crate::ssh::ssh_config::Query;

/// Texts for one run: each is one `ssh -G`.
const CASES: u32 = 300;

fn patterns() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "gpu1",
        "gpu2",
        "GPU1",
        "*",
        "gpu?",
        "!gpu1",
        "!gpu2",
        "real.example",
        "*.example",
        "\"gpu1\"",
        "'gpu1 gpu2'",
        "g*1",
        "!*.example",
        "ai",
        "root",
        "!*",
    ])
    .prop_map(str::to_owned)
}

fn criterion() -> impl Strategy<Value = String> {
    let attribute = prop::sample::select(vec![
        "host",
        "originalhost",
        "user",
        "localuser",
        "!host",
        "!user",
        "HOST",
        "host=",
    ]);
    let list = prop::collection::vec(patterns(), 1..3).prop_map(|list| list.join(","));
    prop_oneof![
        6 => (attribute, list).prop_map(|(attribute, list)| format!("{attribute} {list}")),
        1 => Just("final".to_owned()),
        1 => Just("!final".to_owned()),
        1 => Just("canonical".to_owned()),
        1 => Just("all".to_owned()),
    ]
}

fn value(directive: &'static str) -> BoxedStrategy<String> {
    let texts: Vec<&str> = match directive {
        "Port" => vec!["22", "2222", "0", "\"23\"", "70000", "x", "24 # x"],
        "HostName" => vec![
            "real.example",
            "%h.example",
            "10.0.0.1",
            "127.1",
            "::0001",
            "REAL",
            "%%",
        ],
        "User" => vec!["ai", "root", "\"a b\"", "Me", "ai # x", "a b", "''"],
        "IdentityFile" | "CertificateFile" => vec![
            "~/.ssh/id_%r",
            "/k/%h-%n-%p",
            "none",
            "\"/a b\"",
            "/%C",
            "${PUFFIN_TEST_DIR}/x",
            "/%%",
            "/%q",
        ],
        "ProxyJump" => vec![
            "gw",
            "a@gw:22,b",
            "none",
            "[::1]:23",
            "ssh://u@gw:24",
            "gw-%h",
            "@",
            "gpu1",
        ],
        "ProxyCommand" => vec![
            "nc %h %p",
            "none",
            "nc '%r'",
            "= nc",
            "x \"%n\" # y",
            "it's",
        ],
        "UserKnownHostsFile" | "GlobalKnownHostsFile" => {
            vec![
                "/a /b",
                "none",
                "~/x",
                "\"/a b\" /c",
                "/%h",
                "/a none",
                "''",
            ]
        }
        "StrictHostKeyChecking" => vec!["yes", "no", "ask", "accept-new", "off", "YES", "x"],
        "Ciphers" => vec![
            "+aes128-cbc",
            "-aes*",
            "^aes256-ctr",
            "aes128-ctr,aes256-ctr",
            "x",
            "-",
        ],
        "MACs" => vec!["-hmac-sha1*", "^hmac-sha2-256", "hmac-sha2-512", "+"],
        "KexAlgorithms" => vec!["-sntrup*", "curve25519-sha256", "+x"],
        "HostKeyAlgorithms" | "PubkeyAcceptedAlgorithms" => {
            vec![
                "+ssh-rsa",
                "-*cert*",
                "ssh-ed25519",
                "^rsa-*",
                "ecdsa-*,ssh-*",
                "x*",
            ]
        }
        "PreferredAuthentications" => vec![
            "publickey",
            "password,publickey",
            "gssapi-with-mic,password",
        ],
        "ConnectTimeout" | "ServerAliveInterval" => {
            vec!["5", "1m", "0", "none", "1h30m", "-1", "x"]
        }
        "ServerAliveCountMax" => vec!["3", "7", "0", "x"],
        "AddressFamily" => vec!["inet", "inet6", "any", "INET", "x"],
        "IdentityAgent" => vec![
            "none",
            "SSH_AUTH_SOCK",
            "$SSH_AUTH_SOCK",
            "~/a/%r",
            "${NOTHING}",
            "/%h",
        ],
        "HostKeyAlias" => vec!["Alias", "a.b"],
        "Include" => vec![
            "{dir}/extra",
            "{dir}/e*",
            "{dir}/nothing",
            "{dir}/more {dir}/extra",
        ],
        "LocalForward" => vec!["8080 localhost:80"],
        "BindAddress" => vec!["127.0.0.1", "a b"],
        "SendEnv" => vec!["LANG LC_*", "-LC_*", "A=B"],
        _ => vec!["yes", "no", "true", "FALSE", "maybe"],
    };
    prop::sample::select(texts).prop_map(str::to_owned).boxed()
}

fn directive() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "Port",
        "HostName",
        "User",
        "IdentityFile",
        "CertificateFile",
        "ProxyJump",
        "ProxyCommand",
        "UserKnownHostsFile",
        "GlobalKnownHostsFile",
        "StrictHostKeyChecking",
        "Ciphers",
        "MACs",
        "KexAlgorithms",
        "HostKeyAlgorithms",
        "PubkeyAcceptedAlgorithms",
        "PreferredAuthentications",
        "ConnectTimeout",
        "ServerAliveInterval",
        "ServerAliveCountMax",
        "AddressFamily",
        "IdentityAgent",
        "HostKeyAlias",
        "Include",
        "LocalForward",
        "BindAddress",
        "SendEnv",
        "IdentitiesOnly",
        "PasswordAuthentication",
        "KbdInteractiveAuthentication",
        "Compression",
        "ForwardX11",
    ])
    .prop_flat_map(|name| {
        let separator = prop::sample::select(vec![" ", " ", " ", "=", " = ", "\t"]);
        (separator, value(name))
            .prop_map(move |(separator, value)| format!("{name}{separator}{value}"))
    })
}

fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        12 => directive(),
        3 => prop::collection::vec(patterns(), 1..4).prop_map(|list| format!("Host {}", list.join(" "))),
        2 => prop::collection::vec(criterion(), 1..3).prop_map(|list| format!("Match {}", list.join(" "))),
        1 => prop::sample::select(vec!["", "# x", "   ", "\t# y", "Nonsense 1", "IgnoreUnknown Non*"])
            .prop_map(str::to_owned),
    ]
}

fn text() -> impl Strategy<Value = String> {
    let indent = prop::sample::select(vec!["", "", "  ", "\t"]);
    let end = prop::sample::select(vec!["\n", "\n", "\n", " \r\n", "\t\n"]);
    prop::collection::vec((indent, line(), end), 0..14).prop_map(|lines| {
        lines
            .into_iter()
            .fold(String::new(), |mut text, (indent, line, end)| {
                let _ = write!(text, "{indent}{line}{end}");
                text
            })
    })
}

/// Values that make a whole file wrong hide all else: some texts have none.
fn mostly_right(text: &str) -> String {
    let wrong = [
        "70000",
        " x",
        "=x",
        "= x",
        "\tx",
        "maybe",
        " 0\n",
        "''",
        "it's",
        "+x",
        "x*",
        "a b",
        "A=B",
        "/a none",
        "@",
        "Nonsense",
        "-1",
        "+\n",
        "${NOTHING}",
    ];
    text.split_inclusive('\n')
        .filter(|line| !wrong.iter().any(|wrong| line.contains(wrong)))
        .collect()
}

#[test]
fn whatever_is_written_is_read_as_ssh_reads_it() {
    let Some(program) = program() else { return };
    let oracle = Oracle::new(program);
    oracle.write(
        "extra",
        "User extra\nHost gpu1\nPort 77\nIdentityFile /extra\n",
    );
    oracle.write("more", "Match final\nPort 78\nHost *.example\nUser more\n");
    let mut runner = TestRunner::new_with_rng(
        Config {
            cases: CASES,
            failure_persistence: None,
            max_shrink_iters: 500,
            ..Config::default()
        },
        TestRng::deterministic_rng(RngAlgorithm::ChaCha),
    );
    let host = prop::sample::select(vec!["gpu1", "gpu2", "GPU1", "x.example", "10.0.0.1"]);
    let user = prop::option::weighted(0.2, prop::sample::select(vec!["ai", "root"]));
    let port = prop::option::weighted(0.2, 1_u16..);
    let taken = std::cell::Cell::new(0);
    let cases = (text(), host, user, port, prop::bool::weighted(0.8));
    let result = runner.run(&cases, |(text, host, user, port, is_mended)| {
        let text = if is_mended { mostly_right(&text) } else { text };
        let query = Query {
            user: user.map(str::to_owned),
            port,
            ..query(host)
        };
        taken.set(taken.get() + u32::from(oracle.judge(&text, &query)));
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
    // Most texts have to say something, or nothing was judged.
    assert!(taken.get() * 2 > CASES, "{}", taken.get());
}
