use super::*;
use expect_test::{Expect, expect};

const CONFIG: &str = "\
Host gpu
  HostName gpu1.example.com
  User ai
  Port 2222
  ProxyJump ops@outer:2201,inner
  StrictHostKeyChecking accept-new
  ConnectTimeout 7
  ServerAliveInterval 0
  IdentityFile /keys/%r@%h
Host inner
  HostName 10.0.0.2
  ProxyCommand never used
  StrictHostKeyChecking no
Host outer
  ProxyJump far
Host far
  ProxyCommand nc -x proxy %h %p
Host around
  ProxyJump around
";

fn environment(directory: &tempfile::TempDir) -> Environment {
    let file = directory.path().join("config");
    std::fs::write(&file, CONFIG).unwrap();
    Environment {
        home: Some(directory.path().to_owned()),
        user_config: Some(file),
        local_user: crate::ssh::LocalUser {
            name: Some("me".into()),
            ..crate::ssh::LocalUser::default()
        },
        ..Environment::default()
    }
}

async fn resolve(stops: Vec<Stop>) -> Result<Resolved, Error> {
    let directory = tempfile::tempdir().unwrap();
    let plan = Plan {
        stops,
        transport: Transport::Library,
        max_connections: 1,
        idle: None,
    };
    plan.resolve(&environment(&directory)).await
}

/// A route, a hop a line.
async fn route(stops: Vec<Stop>, expected: Expect) {
    let Resolved { target, warnings } = resolve(stops).await.unwrap();
    let mut text = String::new();
    for hop in &target.hops {
        text.push_str(&format!("{}@{}:{}", hop.username, hop.host, hop.port));
        if let Some(alias) = &hop.alias {
            text.push_str(&format!(" alias {alias}"));
        }
        if let Some(stop) = hop.planned {
            text.push_str(&format!(" stop {stop}"));
        }
        if let Some(command) = &hop.proxy_command {
            text.push_str(&format!(" through {command}"));
        }
        text.push_str(&format!(" {:?}\n", hop.host_key_policy));
    }
    for warning in warnings {
        text.push_str(&format!("{warning}\n"));
    }
    expected.assert_eq(&text);
}

#[tokio::test]
async fn each_machine_on_the_way_has_its_own_entry_and_only_the_first_its_own_way() {
    route(
        vec![Stop::new("gpu")],
        expect![[r#"
            me@far:22 through nc -x proxy far 22 Ask
            ops@outer:2201 Ask
            me@10.0.0.2:22 alias inner Ask
            ai@gpu1.example.com:2222 alias gpu stop 0 AcceptNew
            ssh_config switches the checking of host keys off for inner; unknown keys are asked about all the same.
        "#]],
    )
    .await;
}

#[tokio::test]
async fn what_this_program_can_t_do_is_no_news_to_the_system_s_ssh() {
    let directory = tempfile::tempdir().unwrap();
    for (transport, silent) in [(Transport::Library, false), (Transport::System, true)] {
        let plan = Plan {
            stops: vec![Stop::new("gpu")],
            transport,
            max_connections: 1,
            idle: None,
        };
        let resolved = plan.resolve(&environment(&directory)).await.unwrap();
        assert_eq!(resolved.warnings.is_empty(), silent, "{transport:?}");
    }
}

#[tokio::test]
async fn jump_hosts_of_the_profile_replace_those_of_ssh_config() {
    let bastion = Stop {
        username: Some("root".into()),
        ..Stop::new("bastion")
    };
    route(
        vec![bastion, Stop::new("gpu")],
        expect![[r#"
            root@bastion:22 stop 0 Ask
            ai@gpu1.example.com:2222 alias gpu stop 1 AcceptNew
        "#]],
    )
    .await;
}

#[tokio::test]
async fn a_proxy_command_of_the_profile_replaces_the_way_and_none_makes_it_direct() {
    let with = |command: &str| Stop {
        proxy_command: Some(command.into()),
        port: Some(22),
        ..Stop::new("gpu")
    };
    route(
        vec![with("relay %r@%h:%p for %n, 100%%")],
        expect![[r#"
            ai@gpu1.example.com:22 alias gpu stop 0 through relay ai@gpu1.example.com:22 for gpu, 100% AcceptNew
        "#]],
    )
    .await;
    route(
        vec![with("none")],
        expect![[r#"
            ai@gpu1.example.com:22 alias gpu stop 0 AcceptNew
        "#]],
    )
    .await;
    let error = resolve(vec![with("relay %x")]).await.unwrap_err();
    assert!(matches!(error.cause, Cause::SshConfig { .. }), "{error:?}");
}

#[tokio::test]
async fn what_the_profile_says_wins() {
    let stop = Stop {
        username: Some("root".into()),
        port: Some(22),
        host_key_policy: Some(HostKeyPolicy::Strict),
        connect_timeout: Some(Duration::from_secs(3)),
        keepalive_interval: Some(Duration::from_secs(9)),
        private_key_path: Some("~/own".into()),
        proxy_command: Some("none".into()),
        ..Stop::new("gpu")
    };
    let resolved = resolve(vec![stop]).await.unwrap();
    let [hop] = &resolved.target.hops[..] else {
        panic!("{resolved:?}");
    };
    assert_eq!((hop.username.as_str(), hop.port), ("root", 22));
    assert_eq!(hop.host_key_policy, HostKeyPolicy::Strict);
    assert_eq!(hop.connect_timeout, Duration::from_secs(3));
    assert_eq!(hop.keepalive_interval, Some(Duration::from_secs(9)));
    assert_eq!(hop.private_key_path, Some("~/own".into()));
    // Its tokens are replaced with what the profile says, too.
    assert_eq!(
        hop.identity_files,
        Some(vec!["/keys/root@gpu1.example.com".into()])
    );
    let configured = resolve(vec![Stop::new("gpu")]).await.unwrap();
    let hop = configured.target.hops.last().unwrap();
    assert_eq!(hop.connect_timeout, Duration::from_secs(7));
    assert_eq!(hop.keepalive_interval, None);
}

#[tokio::test]
async fn a_profile_without_ssh_config_stands_alone() {
    let stop = Stop {
        use_ssh_config: false,
        ..Stop::new("gpu")
    };
    route(
        vec![stop],
        expect![[r#"
        me@gpu:22 stop 0 Ask
    "#]],
    )
    .await;
    for host in ["-oProxyCommand=x", "a b", "$(x)", ""] {
        for use_ssh_config in [true, false] {
            let stop = Stop {
                use_ssh_config,
                ..Stop::new(host)
            };
            let error = resolve(vec![stop]).await.unwrap_err();
            assert!(matches!(error.cause, Cause::SshConfig { .. }), "{host}");
        }
    }
}

#[tokio::test]
async fn a_circle_of_jump_hosts_ends() {
    let error = resolve(vec![Stop::new("around")]).await.unwrap_err();
    assert!(
        matches!(
            error.cause,
            Cause::TooManyHops { .. } | Cause::SshConfig { .. }
        ),
        "{error:?}"
    );
    assert_eq!(error.place.host, "around");
}
