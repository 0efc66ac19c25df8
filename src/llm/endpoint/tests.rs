use super::*;

fn tcp(host: &str, port: u16) -> Dial {
    Dial::Tcp {
        host: host.into(),
        port,
    }
}

#[test]
fn the_host_header_is_the_authority_as_it_was_written() {
    for (text, dial, host) in [
        (
            "http://localhost:11434",
            tcp("localhost", 11434),
            "localhost:11434",
        ),
        ("HTTP://gpu-1.lan", tcp("gpu-1.lan", 80), "gpu-1.lan"),
        ("http://[::1]:8080/", tcp("::1", 8080), "[::1]:8080"),
        (
            "http://127.0.0.1:8000/v1",
            tcp("127.0.0.1", 8000),
            "127.0.0.1:8000",
        ),
        (
            "unix:/run/llm.sock",
            Dial::Unix {
                path: "/run/llm.sock".into(),
            },
            "localhost",
        ),
        (
            "unix:///run/llm.sock",
            Dial::Unix {
                path: "/run/llm.sock".into(),
            },
            "localhost",
        ),
    ] {
        let endpoint: Endpoint = text.parse().unwrap();
        assert_eq!(
            (endpoint.dial(), endpoint.host_header()),
            (&dial, host),
            "{text}"
        );
    }
}

#[test]
fn a_base_may_be_typed_with_v1_with_api_or_with_a_slash() {
    for (text, prefixes, root) in [
        ("http://h", &["/v1", ""][..], ""),
        ("http://h/", &["/v1", ""], ""),
        ("http://h/v1/", &["/v1", ""], ""),
        ("http://h/v1/chat/completions", &["/v1", ""], ""),
        ("http://h/llm", &["/llm/v1", "/llm"], "/llm"),
        ("http://h/api", &["/api/v1", "/v1", "/api"], ""),
        ("http://h/api/v1", &["/api/v1", "/v1", "/api"], ""),
    ] {
        let endpoint: Endpoint = text.parse().unwrap();
        assert_eq!(endpoint.api_prefixes(), prefixes, "{text}");
        assert_eq!(endpoint.root(), root, "{text}");
    }
}

#[test]
fn an_unusable_address_says_what_is_wrong_with_it() {
    use EndpointError::*;
    for (text, error) in [
        ("", Empty),
        ("localhost:11434", NoScheme),
        ("ftp://h", Scheme("ftp".into())),
        ("http://me:secret@h", UserInfo),
        ("http://h/#x", Fragment),
        ("http://h/?x=1", Query),
        ("http://", NoHost),
        ("http://:80", NoHost),
        ("http://h:0", Port("0".into())),
        ("http://h:65536", Port("65536".into())),
        ("http://h:+80", Port("+80".into())),
        ("http://a:b:c", Port("b:c".into())),
        ("http://h\r\nX: y", Character),
        ("http://h/\u{e9}", Character),
        ("http://ex%41mple", Host("ex%41mple".into())),
        ("http://[::1", Host("[".into())),
        ("http://h/a/../b", Path("/a/../b".into())),
        ("unix:run/llm.sock", RelativeSocket),
        ("unix:/run/\nllm", Character),
    ] {
        let found = text.parse::<Endpoint>();
        match (&error, &found) {
            // What exactly is repeated of a broken bracket does not matter.
            (Host(_), Err(Host(_) | Port(_))) => {}
            _ => assert_eq!(found, Err(error), "{text}"),
        }
    }
}

#[test]
fn link_local_and_metadata_addresses_are_refused_in_every_spelling() {
    for host in [
        "169.254.169.254",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "[::ffff:169.254.169.254]",
        "[64:ff9b::a9fe:a9fe]",
    ] {
        let found = format!("http://{host}").parse::<Endpoint>();
        assert!(
            matches!(found, Err(EndpointError::LinkLocal(_))),
            "{host}: {found:?}"
        );
    }
    for host in [
        "2852039166",
        "0xa9fea9fe",
        "169.254.43518",
        "0251.0376.0251.0376",
        "1.0x7f",
    ] {
        let found = format!("http://{host}").parse::<Endpoint>();
        assert!(
            matches!(found, Err(EndpointError::Host(_))),
            "{host}: {found:?}"
        );
    }
}

proptest::proptest! {
    #[test]
    fn whatever_is_accepted_is_safe_in_a_header_and_in_a_request_line(text in ".{0,40}", tail in "[ -~\r\n]{0,20}") {
        for candidate in [text.clone(), format!("http://{text}{tail}"), format!("http://h/{tail}")] {
            if let Ok(endpoint) = candidate.parse::<Endpoint>() {
                let safe = |s: &str| s.bytes().all(|byte| byte.is_ascii_graphic());
                assert!(safe(endpoint.host_header()));
                assert!(endpoint.api_prefixes().iter().all(|prefix| safe(prefix)));
            }
        }
    }
}
