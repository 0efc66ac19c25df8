//! Cases written by hand: what people write, and the corners of OpenSSH's readconf.c.

use super::oracle::{Oracle, program, query};
use crate::ssh::ssh_config::Query;

/// A text, and a host to resolve with it. Both readings have to agree, be it that they
/// refuse it.
const CASES: &[(&str, &str)] = &[
    // Nothing, comments, blanks.
    ("", "gpu1"),
    ("\n\n# Host gpu1\n   # x\n\t\n", "gpu1"),
    ("Port 2222", "gpu1"),
    ("Port 2222\r\nUser ai\r\n", "gpu1"),
    ("  Port\t2222  \t", "gpu1"),
    ("Port=2222", "gpu1"),
    ("Port = 2222", "gpu1"),
    ("Port =2222", "gpu1"),
    ("Port == 2222", "gpu1"),
    ("=Port 2222", "gpu1"),
    ("\"Port\" 2222", "gpu1"),
    ("Po\"rt\" 2222", "gpu1"),
    ("\"Port 2222", "gpu1"),
    ("PORT 2222\npOrT 23", "gpu1"),
    ("Port 2222 # the usual", "gpu1"),
    ("Port 2222#23", "gpu1"),
    ("Port \"2222\"", "gpu1"),
    ("Port '2222'", "gpu1"),
    ("Port 22 23", "gpu1"),
    ("Port", "gpu1"),
    ("Port =", "gpu1"),
    ("Port \"\"", "gpu1"),
    ("Port 0", "gpu1"),
    ("Port -1", "gpu1"),
    ("Port +22", "gpu1"),
    ("Port 65535", "gpu1"),
    ("Port 65536", "gpu1"),
    ("Port ssh", "gpu1"),
    ("Port 22x", "gpu1"),
    ("Port 0x16", "gpu1"),
    ("\u{c}Port 22", "gpu1"),
    ("Port 23\u{c}\u{c}\n", "gpu1"),
    // Host.
    ("Host gpu1\n Port 1\nHost *\n Port 2", "gpu1"),
    ("Host gpu1\n Port 1\nHost *\n Port 2", "gpu2"),
    ("Host gpu2 gpu1\n Port 1", "gpu1"),
    ("Host gpu? !gpu2\n Port 1", "gpu2"),
    ("Host gpu? !gpu2\n Port 1", "gpu3"),
    ("Host !gpu2 *\n Port 1", "gpu2"),
    ("Host !gpu2\n Port 1", "gpu3"),
    ("Host GPU1\n Port 1", "gpu1"),
    ("Host gpu1\n Port 1", "GPU1"),
    ("Host \"gpu1\" 'gpu2'\n Port 1", "gpu2"),
    ("Host gpu1,gpu2\n Port 1", "gpu1"),
    ("Host=gpu1\n Port 1", "gpu1"),
    ("Host gpu1 # gpu2\n Port 1", "gpu2"),
    ("Host #gpu1\n Port 1", "gpu1"),
    ("Host \"\"\n Port 1", "gpu1"),
    ("Host gpu1 \"\"\n Port 1", "gpu1"),
    ("Host ! gpu1\n Port 1", "gpu1"),
    ("Host *.example.com\n Port 1", "a.b.example.com"),
    ("Host 10.0.0.?\n Port 1", "10.0.0.7"),
    ("Host ::1\n Port 1", "::1"),
    ("User a\nHost gpu1\nUser b", "gpu1"),
    ("Host gpu1\nUser b\nHost gpu1\nPort 5\nUser c", "gpu1"),
    // HostName.
    ("HostName 10.0.0.5", "gpu1"),
    ("HostName %h.example.com", "gpu1"),
    ("HostName %%h", "gpu1"),
    ("HostName %n", "gpu1"),
    ("HostName a%", "gpu1"),
    ("HostName GPU.Example", "gpu1"),
    ("HostName 127.1", "gpu1"),
    ("HostName 0x7f000001", "gpu1"),
    ("HostName 017700000001", "gpu1"),
    ("HostName 4294967295", "gpu1"),
    ("HostName 4294967296", "gpu1"),
    ("HostName 1.2.3", "gpu1"),
    ("HostName 1.2.3.400", "gpu1"),
    ("HostName 08.1.1.1", "gpu1"),
    ("HostName 127.0.0.1.", "gpu1"),
    ("HostName ::0001", "gpu1"),
    ("HostName 2001:DB8::1", "gpu1"),
    ("HostName 2001:0db8:0:0:1:0:0:1", "gpu1"),
    ("HostName ::1.2.3.4", "gpu1"),
    ("HostName ::ffff:1.2.3.4", "gpu1"),
    ("HostName [::1]", "gpu1"),
    ("AddressFamily inet6\nHostName 127.1", "gpu1"),
    ("AddressFamily inet\nHostName ::0001", "gpu1"),
    ("HostName", "gpu1"),
    ("HostName a b", "gpu1"),
    ("Host a\nHostName b\nHost b\nPort 7", "a"),
    // Match.
    ("Match all\n Port 1", "gpu1"),
    ("Match !all\n Port 1", "gpu1"),
    ("Match all # x\n Port 1", "gpu1"),
    ("Match all host gpu1\n Port 1", "gpu1"),
    ("Match host gpu1 all\n Port 1", "gpu1"),
    ("Match host gpu1 user x all\n Port 1", "gpu1"),
    ("Match host gpu1\n Port 1", "gpu1"),
    ("Match host GPU1\n Port 1", "gpu1"),
    ("Match host \"gpu1\"\n Port 1", "gpu1"),
    ("Match host=gpu1\n Port 1", "gpu1"),
    ("Match host gpu2,gpu1\n Port 1", "gpu1"),
    ("Match host *,!gpu1\n Port 1", "gpu1"),
    ("Match !host gpu2\n Port 1", "gpu1"),
    ("Match host gpu1 user ai\n Port 1", "gpu1"),
    ("User ai\nMatch host gpu1 user ai\n Port 1", "gpu1"),
    ("HostName real.example\nMatch host real.*\n Port 1", "gpu1"),
    ("HostName real.example\nMatch host gpu1\n Port 1", "gpu1"),
    (
        "HostName %h.example\nMatch host gpu1.example\n Port 1",
        "gpu1",
    ),
    ("HostName %x\nMatch host gpu1\n Port 1", "gpu1"),
    (
        "HostName real.example\nMatch originalhost gpu1\n Port 1",
        "gpu1",
    ),
    (
        "Match localuser root\n Port 1\nMatch !localuser root\n Port 2",
        "gpu1",
    ),
    ("Match host\n Port 1", "gpu1"),
    ("Match host # x\n Port 1", "gpu1"),
    ("Match nothing x\n Port 1", "gpu1"),
    ("Match\n Port 1", "gpu1"),
    ("Match # x\n Port 1", "gpu1"),
    ("Match host \"gpu1\n Port 1", "gpu1"),
    ("Match final\n Port 1", "gpu1"),
    ("Match !final\n Port 1\nMatch final\n Port 2", "gpu1"),
    ("Match canonical\n Port 1", "gpu1"),
    ("Match canonical\n Port 1\nMatch final\n User x", "gpu1"),
    (
        "HostName real\nHost real\n Port 4\nMatch final all\n User x",
        "gpu1",
    ),
    ("HostName REAL\nMatch final host real\n User x", "gpu1"),
    (
        "Host real\n User y\nHost gpu1\n HostName real\nMatch final\n Port 8",
        "gpu1",
    ),
    ("IdentityFile /a\nMatch final\n IdentityFile /b", "gpu1"),
    ("Host x\n Match final\n Port 8", "gpu1"),
    ("Match user x\n User y\nMatch user y\n Port 1", "gpu1"),
    (
        "Host gpu1\n Match user x\n Port 1\n Match host gpu1\n Port 2",
        "gpu1",
    ),
    ("CanonicalizeHostname none", "gpu1"),
    // User, identity files.
    ("User \"a b\"", "gpu1"),
    ("User DOMAIN\\user", "gpu1"),
    ("User DOMAIN\\\\user", "gpu1"),
    ("User üser", "gpu1"),
    (
        "IdentityFile ~/.ssh/id_a\nIdentityFile /b\nIdentityFile ~/.ssh/id_a",
        "gpu1",
    ),
    ("IdentityFile none", "gpu1"),
    ("IdentityFile none\nIdentityFile /a", "gpu1"),
    ("IdentityFile \"/a b/%h\"", "gpu1"),
    ("IdentityFile /a b", "gpu1"),
    ("IdentityFile %d/%u/%h/%n/%p/%r/%i/%l/%L/%C/%k/%%", "gpu1"),
    ("IdentityFile /a/%x", "gpu1"),
    ("IdentityFile ${PUFFIN_TEST_DIR}/k", "gpu1"),
    ("IdentityFile ${PUFFIN_TEST_NOTHING}/k", "gpu1"),
    ("IdentityFile /${", "gpu1"),
    ("IdentityFile ~", "gpu1"),
    ("IdentityFile ~root/k", "gpu1"),
    ("IdentityFile ~nobody-at-all/k", "gpu1"),
    ("IdentityFile ~//k", "gpu1"),
    (
        "CertificateFile ~/a-cert.pub\nCertificateFile /b\nCertificateFile /b",
        "gpu1",
    ),
    ("CertificateFile none", "gpu1"),
    ("IdentitiesOnly yes", "gpu1"),
    ("IdentitiesOnly TRUE", "gpu1"),
    ("IdentitiesOnly maybe", "gpu1"),
    ("IdentityFile2 /old", "gpu1"),
    // Agents.
    ("IdentityAgent none", "gpu1"),
    ("IdentityAgent SSH_AUTH_SOCK", "gpu1"),
    ("IdentityAgent $SSH_AUTH_SOCK", "gpu1"),
    ("IdentityAgent $PUFFIN_TEST_NOTHING", "gpu1"),
    ("IdentityAgent $a-b", "gpu1"),
    ("IdentityAgent $", "gpu1"),
    ("IdentityAgent ${SSH_AUTH_SOCK}", "gpu1"),
    ("IdentityAgent ${PUFFIN_TEST_NOTHING}", "gpu1"),
    ("IdentityAgent ${", "gpu1"),
    ("IdentityAgent ${}", "gpu1"),
    ("IdentityAgent ~/agent-%r.sock", "gpu1"),
    ("IdentityAgent /a/%x", "gpu1"),
    (
        "IdentityAgent \"~/Library/Group Containers/t/agent.sock\"",
        "gpu1",
    ),
    ("Host other\nIdentityAgent ${PUFFIN_TEST_NOTHING}", "gpu1"),
    // On the way.
    ("ProxyJump gw", "gpu1"),
    ("ProxyJump ai@gw:2222", "gpu1"),
    ("ProxyJump a,b@c:3,ssh://d@e:5", "gpu1"),
    ("ProxyJump ssh://gw", "gpu1"),
    ("ProxyJump ssh://gw/", "gpu1"),
    ("ProxyJump ssh://gw/x", "gpu1"),
    ("ProxyJump ssh://a%20b@gw", "gpu1"),
    ("ProxyJump ssh://[::1]:22", "gpu1"),
    ("ProxyJump [::1]:22", "gpu1"),
    ("ProxyJump a@[fe80::1]", "gpu1"),
    ("ProxyJump 10.0.0.1", "gpu1"),
    ("ProxyJump ::1", "gpu1"),
    ("ProxyJump gw:", "gpu1"),
    ("ProxyJump gw:0", "gpu1"),
    ("ProxyJump gw/x", "gpu1"),
    ("ProxyJump @gw", "gpu1"),
    ("ProxyJump a@b@gw", "gpu1"),
    ("ProxyJump a,", "gpu1"),
    ("ProxyJump ,a", "gpu1"),
    ("ProxyJump none", "gpu1"),
    ("ProxyJump NONE", "gpu1"),
    ("ProxyJump=gw", "gpu1"),
    ("ProxyJump gw # via", "gpu1"),
    ("ProxyJump \"gw\"", "gpu1"),
    ("ProxyJump gw-%h", "gpu1"),
    ("ProxyJump gpu1", "gpu1"),
    ("ProxyJump gpu1:23", "gpu1"),
    ("ProxyJump other@gpu1", "gpu1"),
    ("Host other\n ProxyJump @x", "gpu1"),
    ("ProxyJump none\nProxyJump gw", "gpu1"),
    ("ProxyCommand nc %h %p\nProxyJump gw", "gpu1"),
    ("ProxyJump gw\nProxyCommand nc %h %p", "gpu1"),
    ("ProxyCommand none\nProxyJump gw", "gpu1"),
    ("ProxyJump none\nProxyCommand nc %h %p", "gpu1"),
    ("ProxyCommand none", "gpu1"),
    ("ProxyCommand None", "gpu1"),
    (
        "ProxyCommand nc -X 5 '%h' \"%p\" %r %n %k %%  # all",
        "gpu1",
    ),
    ("ProxyCommand = nc %h", "gpu1"),
    ("ProxyCommand nc %d", "gpu1"),
    ("ProxyCommand echo it's", "gpu1"),
    ("ProxyCommand nc ${HOME} $HOME", "gpu1"),
    ("ProxyCommand", "gpu1"),
    // Host keys.
    ("HostKeyAlias Real.Name", "gpu1"),
    ("HostKeyAlias al\nIdentityFile /%k", "gpu1"),
    ("UserKnownHostsFile /a ~/b /c-%h", "gpu1"),
    ("UserKnownHostsFile \"/a b\" /c", "gpu1"),
    ("UserKnownHostsFile none", "gpu1"),
    ("UserKnownHostsFile none /a", "gpu1"),
    ("UserKnownHostsFile /a none", "gpu1"),
    ("UserKnownHostsFile /a \"\"", "gpu1"),
    ("UserKnownHostsFile ${PUFFIN_TEST_DIR}/x", "gpu1"),
    (
        "UserKnownHostsFile ~/.ssh/known_hosts ~/.ssh/known_hosts2",
        "gpu1",
    ),
    ("UserKnownHostsFile ~/.ssh/known_hosts", "gpu1"),
    ("UserKnownHostsFile /a\nUserKnownHostsFile /b", "gpu1"),
    ("GlobalKnownHostsFile /a /b-%h", "gpu1"),
    ("GlobalKnownHostsFile ~/x", "gpu1"),
    ("GlobalKnownHostsFile none", "gpu1"),
    ("StrictHostKeyChecking yes", "gpu1"),
    ("StrictHostKeyChecking no", "gpu1"),
    ("StrictHostKeyChecking off", "gpu1"),
    ("StrictHostKeyChecking ask", "gpu1"),
    ("StrictHostKeyChecking Accept-New", "gpu1"),
    ("StrictHostKeyChecking sometimes", "gpu1"),
    // Algorithms.
    ("Ciphers aes256-ctr", "gpu1"),
    ("Ciphers aes256-ctr,aes128-ctr", "gpu1"),
    ("Ciphers +3des-cbc", "gpu1"),
    ("Ciphers -aes*", "gpu1"),
    ("Ciphers -chacha20-poly1305@openssh.com,*gcm*", "gpu1"),
    ("Ciphers ^aes256-gcm@openssh.com", "gpu1"),
    ("Ciphers aes*", "gpu1"),
    ("Ciphers nonsense", "gpu1"),
    ("Ciphers none", "gpu1"),
    ("Ciphers +", "gpu1"),
    ("Ciphers -", "gpu1"),
    ("Ciphers -nonsense", "gpu1"),
    ("Ciphers aes256-ctr,,aes128-ctr", "gpu1"),
    ("Ciphers +3des-cbc,,aes128-cbc", "gpu1"),
    ("Ciphers a b", "gpu1"),
    (
        "Ciphers chacha20-poly1305@openssh.com,aes128-ctr,aes192-ctr,aes256-ctr,aes128-gcm@openssh.com,aes256-gcm@openssh.com",
        "gpu1",
    ),
    ("MACs ^hmac-sha2-512", "gpu1"),
    ("MACs -*sha1*,umac*", "gpu1"),
    ("MACs +hmac-md5", "gpu1"),
    ("KexAlgorithms curve25519-sha256", "gpu1"),
    ("KexAlgorithms -sntrup*", "gpu1"),
    ("KexAlgorithms +diffie-hellman-group1-sha1", "gpu1"),
    ("HostKeyAlgorithms +ssh-rsa", "gpu1"),
    ("HostKeyAlgorithms ssh-ed25519*", "gpu1"),
    ("HostKeyAlgorithms -*cert*", "gpu1"),
    ("HostKeyAlgorithms ^rsa-sha2-512", "gpu1"),
    ("HostKeyAlgorithms RSA", "gpu1"),
    ("HostKeyAlgorithms !ssh-rsa", "gpu1"),
    ("HostKeyAlgorithms *,!ssh-rsa", "gpu1"),
    ("HostKeyAlgorithms nonsense", "gpu1"),
    ("PubkeyAcceptedAlgorithms +ssh-rsa,ssh-dss", "gpu1"),
    ("PubkeyAcceptedKeyTypes +ssh-rsa", "gpu1"),
    ("PubkeyAcceptedAlgorithms sk-*", "gpu1"),
    // Methods.
    ("PreferredAuthentications publickey", "gpu1"),
    (
        "PreferredAuthentications password,publickey\nPasswordAuthentication no",
        "gpu1",
    ),
    ("PubkeyAuthentication no", "gpu1"),
    ("PubkeyAuthentication unbound", "gpu1"),
    (
        "PasswordAuthentication no\nKbdInteractiveAuthentication no",
        "gpu1",
    ),
    ("ChallengeResponseAuthentication no", "gpu1"),
    ("DSAAuthentication no", "gpu1"),
    // The network.
    ("AddressFamily inet6\nBindAddress ::1", "gpu1"),
    ("AddressFamily ANY", "gpu1"),
    ("AddressFamily ipv4", "gpu1"),
    ("ConnectTimeout 10", "gpu1"),
    ("ConnectTimeout 1m30s", "gpu1"),
    ("ConnectTimeout 1h 2m", "gpu1"),
    ("ConnectTimeout none\nConnectTimeout 7", "gpu1"),
    ("ConnectTimeout -1", "gpu1"),
    ("ConnectTimeout 0", "gpu1"),
    ("ConnectTimeout 99999999999", "gpu1"),
    ("ServerAliveInterval 15\nServerAliveCountMax 5", "gpu1"),
    ("ServerAliveInterval 0\nServerAliveInterval 9", "gpu1"),
    ("ServerAliveInterval 1w", "gpu1"),
    ("ServerAliveCountMax 1m", "gpu1"),
    ("ServerAliveCountMax -1", "gpu1"),
    ("KeepAlive no", "gpu1"),
    // What has no effect here, and what is wrong.
    ("Compression yes", "gpu1"),
    ("Compression maybe", "gpu1"),
    (
        "ForwardAgent yes\nLocalForward 8080 localhost:80\nSendEnv LANG",
        "gpu1",
    ),
    (
        "ForwardAgent no\nControlMaster no\nControlPersist no\nAddKeysToAgent no",
        "gpu1",
    ),
    (
        "ControlMaster auto\nControlPath ~/.ssh/cm-%C\nControlPersist 10m",
        "gpu1",
    ),
    ("LogLevel INFO\nLogLevel DEBUG", "gpu1"),
    ("LogLevel info", "gpu1"),
    (
        "ControlPath none\nRemoteCommand none\nSecurityKeyProvider none",
        "gpu1",
    ),
    ("GSSAPIAuthentication yes", "gpu1"),
    ("PKCS11Provider /usr/lib/p11.so", "gpu1"),
    (
        "SetEnv A=1 B=2\nRequestTTY force\nVisualHostKey yes",
        "gpu1",
    ),
    (
        "HashKnownHosts yes\nUpdateHostKeys no\nCheckHostIP yes",
        "gpu1",
    ),
    ("ForkAfterAuthentication yes", "gpu1"),
    ("SessionType none", "gpu1"),
    (
        "RSAAuthentication yes\nProtocol 2\nCipher 3des\nUseRoaming no",
        "gpu1",
    ),
    ("Nonsense yes", "gpu1"),
    ("Host other\nNonsense yes", "gpu1"),
    (
        "IgnoreUnknown Nonsense,Use*\nNonsense yes\nUseKeychain yes",
        "gpu1",
    ),
    ("IgnoreUnknown nonsense\nNONSENSE", "gpu1"),
    ("IgnoreUnknown *,!usekeychain\nUseKeychain yes", "gpu1"),
    (
        "Host other\n IgnoreUnknown Nonsense\nHost *\n Nonsense yes",
        "gpu1",
    ),
    ("Nonsense yes\nIgnoreUnknown Nonsense", "gpu1"),
    ("User 'a", "gpu1"),
    ("User a\\ b", "gpu1"),
    ("User \"a\\\"b\"", "gpu1"),
    ("User a\0b", "gpu1"),
    // Include.
    ("Include {dir}/one", "gpu1"),
    ("Include {dir}/o*", "gpu1"),
    ("Include {dir}/two {dir}/one", "gpu1"),
    ("Include {dir}/one {dir}/two\nPort 9", "gpu1"),
    ("Include {dir}/nothing {dir}/[xyz]*", "gpu1"),
    ("Include \"{dir}/with blank\"", "gpu1"),
    ("Include {dir}/open-block\nPort 9", "gpu1"),
    ("Host gpu1\nInclude {dir}/open-block\nPort 9", "gpu1"),
    ("Host other\nInclude {dir}/one\nHost *\nPort 9", "gpu1"),
    ("Host other\nInclude {dir}/hosts\nHost *\nPort 9", "gpu1"),
    ("Match host gpu1\nInclude {dir}/hosts\nPort 9", "gpu1"),
    ("Host other\nInclude {dir}/broken", "gpu1"),
    ("Include {dir}/broken", "gpu1"),
    ("Include {dir}/final", "gpu1"),
    ("Host other\nInclude {dir}/final", "gpu1"),
    ("Include {dir}/loop", "gpu1"),
    ("Include {dir}/deep/*.conf", "gpu1"),
    ("Include {dir}/*/[12]?-*.conf", "gpu1"),
    ("Include {dir}", "gpu1"),
    ("Include \"\"", "gpu1"),
    ("Include", "gpu1"),
    ("Include ~nobody-at-all/x", "gpu1"),
    ("Include {dir}/jumps\nHostName late", "gpu1"),
    // As people have it.
    (
        "Include {dir}/hosts\n\nHost *\n  AddKeysToAgent yes\n  IdentityFile ~/.ssh/id_ed25519\n\n\
         Host gpu1 gpu1.lab\n  HostName 10.1.2.3\n  User ai\n  Port 2222\n  ProxyJump ai@gw.lab\n\n\
         Host *.lab !gw.lab\n  ProxyJump gw.lab\n",
        "gpu1",
    ),
    (
        "Host gw.lab\n  User me\nHost *.lab !gw.lab\n  ProxyJump gw.lab\nHost *\n  \
         ServerAliveInterval 30\n  StrictHostKeyChecking accept-new\n",
        "node7.lab",
    ),
];

/// Files that the cases include.
const FILES: &[(&str, &str)] = &[
    ("one", "Port 1\nUser one\n"),
    ("two", "Port 2\nIdentityFile /two\n"),
    ("with blank", "Port 3\n"),
    ("open-block", "Host other\nPort 4\n"),
    (
        "hosts",
        "Port 5\nHost gpu1\nUser five\nMatch all\nIdentityFile /five\n",
    ),
    ("broken", "Nonsense yes\n"),
    ("final", "Match final\nUser last\n"),
    ("loop", "Include {dir}/loop\n"),
    ("deep/10-a.conf", "Port 10\nIdentityFile /10\n"),
    ("deep/20-b.conf", "Port 20\nIdentityFile /20\n"),
    ("deep/.hidden.conf", "Port 30\n"),
    ("jumps", "Host gpu1\nProxyJump gw1,gw2:2222\n"),
];

#[test]
fn every_case_is_read_as_ssh_reads_it() {
    let Some(program) = program() else { return };
    let oracle = Oracle::new(program);
    for (name, text) in FILES {
        oracle.write(name, text);
    }
    let mut taken = 0;
    for (text, host) in CASES {
        taken += usize::from(oracle.judge(text, &query(host)));
    }
    assert!(CASES.len() >= 250, "{}", CASES.len());
    // Most cases say something.
    assert!(taken * 2 > CASES.len(), "{taken}");
}

/// Texts that `ssh` takes and we refuse; the module's documentation has the reasons.
const STRICTER: &[&str] = &["ProxyJump a b", "ProxyJump a;b", "ProxyJump $(x)@gw"];

/// Texts that `ssh` refuses and we take, likewise.
const LAXER: &[&str] = &[
    "LocalForward 8080 nonsense",
    "RekeyLimit 1x",
    "LogLevel LOUD",
    "TunnelDevice x",
    "IPQoS x",
    "EscapeChar xyz",
    "ConnectionAttempts 0",
];

#[test]
fn where_we_are_laxer_than_ssh_is_known() {
    let Some(program) = program() else { return };
    let oracle = Oracle::new(program);
    for text in LAXER {
        assert!(oracle.is_laxer(text, &query("gpu1")), "{text}");
    }
}

#[test]
fn where_we_are_stricter_than_ssh_is_known() {
    let Some(program) = program() else { return };
    let oracle = Oracle::new(program);
    for text in STRICTER {
        assert!(oracle.is_stricter(text, &query("gpu1")), "{text}");
    }
}

#[test]
fn the_command_line_wins_as_it_does_with_ssh() {
    let Some(program) = program() else { return };
    let oracle = Oracle::new(program);
    let text = "Match user cli\n IdentityFile /cli-%p-%r\nPort 7\nUser file\nMatch user file\n \
                IdentityFile /file\n";
    for (port, user) in [
        (None, None),
        (Some(99), None),
        (None, Some("cli")),
        (Some(22), Some("a b")),
    ] {
        let query = Query {
            host: "gpu1".to_owned(),
            port,
            user: user.map(str::to_owned),
        };
        assert!(oracle.judge(text, &query));
    }
    for host in [
        "GPU1.Example",
        "127.1",
        "::0001",
        "a%b",
        "fe80::1%lo",
        "[::1]",
        "ü",
    ] {
        assert!(
            oracle.judge("IdentityFile /%h-%n-%C", &query(host)),
            "{host}"
        );
    }
}

#[test]
fn names_that_ssh_refuses_are_refused() {
    use crate::ssh::ssh_config::name;
    let Some(program) = program() else { return };
    for text in [
        "a", "a;b", "a b", "a$b", "a\\b", "a\\", "-a", "a-", "a\tb", "a(b", "a{b", "a'b", "a\"b",
        "a`b", "a&b", "a|b", "a<b", "a>b", "a%b", "a:b", "a#b", "a!b", "a*b", "a?b", "a~b", "a^b",
        "a -b", "ü",
    ] {
        let takes = |arguments: &[&str]| {
            let output = std::process::Command::new(&program)
                .args(["-G", "-N", "-F", "none"])
                .args(arguments)
                .output()
                .unwrap();
            output.status.success()
        };
        assert_eq!(name::is_host(text), takes(&["--", text]), "host {text:?}");
        let takes_user = takes(&["-l", text, "--", "host"]);
        assert_eq!(name::is_user(text), takes_user, "user {text:?}");
    }
}
