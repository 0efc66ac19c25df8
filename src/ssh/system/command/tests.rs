use super::*;
use crate::ssh::target::Transport;
use expect_test::expect;

fn environment() -> Environment {
    Environment {
        home: Some("/home/me".into()),
        user_known_hosts: vec!["/home/me/.ssh/known_hosts".into()],
        own_known_hosts: "/data/50% \"new\"/known_hosts".into(),
        ssh_program: Some("/usr/bin/ssh".into()),
        ..Environment::default()
    }
}

fn route(hops: Vec<Hop>) -> Target {
    Target {
        max_connections: 1,
        idle: None,
        hops,
        transport: Transport::System,
    }
}

/// What differs from one machine to the next.
fn shown(arguments: &[String]) -> String {
    arguments.join("\n").replace("\n-o\n", "\n-o ")
}

#[test]
fn the_master_s_command_line_is_exactly_this() {
    let target = route(vec![Hop {
        alias: Some("gpu".into()),
        ..Hop::new("gpu1.example.com", 2222, "ai")
    }]);
    let arguments = master(
        &target,
        &environment(),
        Path::new("/tmp/a%b/s"),
        Asking::Nobody,
    );
    expect![[r#"
        -N
        -M
        -S
        /tmp/a%%b/s
        -o ControlPersist=no
        -o PermitLocalCommand=yes
        -o LocalCommand=echo connected
        -o LogLevel=DEBUG1
        -o BatchMode=yes
        -o StrictHostKeyChecking=yes
        -o UserKnownHostsFile="/data/50%% \"new\"/known_hosts" "/home/me/.ssh/known_hosts"
        -o UpdateHostKeys=no
        -o ClearAllForwardings=yes
        -o ForwardAgent=no
        -o ForwardX11=no
        -o Tunnel=no
        -o RequestTTY=no
        -o RemoteCommand=none
        -o Compression=no
        -o ConnectTimeout=30
        -o ServerAliveInterval=5
        -o ServerAliveCountMax=3
        -p
        2222
        -l
        ai
        --
        gpu"#]]
    .assert_eq(&shown(&arguments));
}

#[test]
fn a_stream_s_command_line_never_makes_a_connection_of_its_own() {
    let to = Destination::Tcp {
        host: "::1".into(),
        port: 8080,
    };
    expect![[r#"
        -F
        none
        -S
        /tmp/s
        -o ControlMaster=no
        -o ProxyCommand=false
        -o LogLevel=DEBUG1
        -N
        -W
        [::1]:8080
        --
        master"#]]
    .assert_eq(&shown(&stream(Path::new("/tmp/s"), &to)));
}

#[test]
fn a_hop_on_the_way_keeps_the_policy_and_its_words() {
    let bastion = Hop {
        host_key_policy: HostKeyPolicy::AcceptNew,
        private_key_path: Some("~/it's a key".into()),
        ..Hop::new("bastion", 22, "me")
    };
    let target = route(vec![bastion, Hop::new("gpu1", 22, "ai")]);
    let arguments = master(&target, &environment(), Path::new("/tmp/s"), Asking::Nobody);
    let proxy = arguments
        .iter()
        .find_map(|argument| argument.strip_prefix("ProxyCommand="))
        .unwrap();
    assert!(
        proxy.starts_with("'/usr/bin/ssh' -o ControlMaster=no -o ControlPath=none -W [%h]:%p "),
        "{proxy}"
    );
    for word in [
        "'StrictHostKeyChecking=accept-new'",
        "'BatchMode=yes'",
        r"'/home/me/it'\''s a key'",
        "'--' 'bastion'",
        // Once for this ssh's tokens, once for those of the one inside.
        r#"'UserKnownHostsFile="/data/50%%%% \"new\"/known_hosts""#,
    ] {
        assert!(proxy.contains(word), "{word} in {proxy}");
    }
}

#[test]
fn a_name_is_never_an_option_and_a_profile_without_ssh_config_reads_none() {
    let hop = Hop {
        use_ssh_config: false,
        ..Hop::new("-oProxyCommand=evil", 22, "ai")
    };
    let arguments = lone_stream(
        &route(vec![hop]),
        &environment(),
        &Destination::Unix {
            path: "/run/x".into(),
        },
    );
    let end = arguments.len();
    assert_eq!(arguments[end - 2..], ["--", "-oProxyCommand=evil"]);
    let file = arguments
        .iter()
        .position(|argument| argument == "-F")
        .unwrap();
    assert_eq!(arguments[file + 1], "none");
}
