//! Every directive of ssh_config: how its value is written, and whether it has an
//! effect here.

use super::algorithm::Algorithm;

/// A directive that OpenSSH knows.
#[derive(Debug)]
pub(super) struct Directive {
    /// As the manual writes it.
    pub(super) title: &'static str,
    /// Older names.
    aliases: &'static [&'static str],
    pub(super) form: Form,
    pub(super) effect: Effect,
}

/// Words, and how `ssh -G` prints what they mean.
pub(super) type Choices = &'static [(&'static str, &'static str)];

/// How a value is written.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    Host,
    Match,
    Include,
    /// One word.
    Word,
    /// One of these words.
    Choice(Choices),
    /// One word, printed in capitals.
    Capitals,
    Number,
    Time,
    Port,
    /// The rest of the line, for a shell.
    Command,
    Jump,
    /// A comma list of names with `+`, `-` and `^`.
    Algorithms(Algorithm),
    /// A path that may come several times.
    Files,
    Agent,
    /// Words of which the first line counts; `none` stands alone.
    Words {
        most: usize,
    },
    /// SendEnv: every line counts, and `-NAME` takes back.
    Names,
    /// Not judged, since it has no effect; its first line counts, or every one.
    Anything {
        several: bool,
        usual: Choices,
    },
    /// OpenSSH no longer knows what it meant.
    Gone,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    Honoured,
    /// It does nothing here, and people are told.
    Ignored,
    /// As `Ignored`, but distributions write it into the system-wide file.
    IgnoredOften,
    /// It does nothing here, and people need not care.
    Silent,
}

/// Finds a directive by its name in lower case.
pub(super) fn find(keyword: &str) -> Option<&'static Directive> {
    DIRECTIVES.iter().find(|directive| {
        directive.title.eq_ignore_ascii_case(keyword) || directive.aliases.contains(&keyword)
    })
}

impl Directive {
    /// The name as `ssh -G` prints it.
    pub(super) fn key(&self) -> String {
        self.title.to_ascii_lowercase()
    }
}

const YES_NO: Choices = &[
    ("yes", "yes"),
    ("no", "no"),
    ("true", "yes"),
    ("false", "no"),
];
const FLAG: Form = Form::Choice(YES_NO);
const ASK: Form = Form::Choice(&[
    ("true", "true"),
    ("false", "false"),
    ("yes", "true"),
    ("no", "false"),
    ("ask", "ask"),
]);
const MASTER: Form = Form::Choice(&[
    ("true", "true"),
    ("false", "false"),
    ("yes", "true"),
    ("no", "false"),
    ("auto", "auto"),
    ("ask", "ask"),
    ("autoask", "autoask"),
]);
const STRICT: Form = Form::Choice(&[
    ("true", "true"),
    ("yes", "true"),
    ("false", "false"),
    ("no", "false"),
    ("off", "false"),
    ("ask", "ask"),
    ("accept-new", "accept-new"),
]);
const PUBLIC_KEY: Form = Form::Choice(&[
    ("true", "true"),
    ("yes", "true"),
    ("false", "false"),
    ("no", "false"),
    ("unbound", "unbound"),
    ("host-bound", "host-bound"),
]);
const CANONICALIZE: Form = Form::Choice(&[
    ("true", "true"),
    ("yes", "true"),
    ("false", "false"),
    ("no", "false"),
    ("always", "always"),
]);
const TUNNEL: Form = Form::Choice(&[
    ("ethernet", "ethernet"),
    ("point-to-point", "point-to-point"),
    ("true", "point-to-point"),
    ("yes", "point-to-point"),
    ("false", "false"),
    ("no", "false"),
]);
const TTY: Form = Form::Choice(&[
    ("true", "true"),
    ("yes", "true"),
    ("false", "false"),
    ("no", "false"),
    ("force", "force"),
    ("auto", "auto"),
]);
const ONCE: Form = Form::Anything {
    several: false,
    usual: &[],
};
const EACH: Form = Form::Anything {
    several: true,
    usual: &[],
};
const ONCE_OR_FLAG: Form = Form::Anything {
    several: false,
    usual: YES_NO,
};
const ADD_KEYS: Form = Form::Anything {
    several: false,
    usual: &[("no", "false"), ("false", "false")],
};

/// Known hosts files that one directive may name.
const MAX_HOSTS_FILES: usize = 32;

const fn row(
    title: &'static str,
    aliases: &'static [&'static str],
    form: Form,
    effect: Effect,
) -> Directive {
    Directive {
        title,
        aliases,
        form,
        effect,
    }
}

use Effect::{Honoured, Ignored, IgnoredOften, Silent};

static DIRECTIVES: &[Directive] = &[
    row("Host", &[], Form::Host, Honoured),
    row("Match", &[], Form::Match, Honoured),
    row("Include", &[], Form::Include, Honoured),
    row("HostName", &[], Form::Word, Honoured),
    row("Port", &[], Form::Port, Honoured),
    row("User", &[], Form::Word, Honoured),
    row("IdentityFile", &["identityfile2"], Form::Files, Honoured),
    row("CertificateFile", &[], Form::Files, Honoured),
    row("IdentitiesOnly", &[], FLAG, Honoured),
    row("IdentityAgent", &[], Form::Agent, Honoured),
    row("ProxyJump", &[], Form::Jump, Honoured),
    row("ProxyCommand", &[], Form::Command, Honoured),
    row("HostKeyAlias", &[], Form::Word, Honoured),
    row(
        "UserKnownHostsFile",
        &[],
        Form::Words {
            most: MAX_HOSTS_FILES,
        },
        Honoured,
    ),
    row(
        "GlobalKnownHostsFile",
        &[],
        Form::Words {
            most: MAX_HOSTS_FILES,
        },
        Honoured,
    ),
    row("StrictHostKeyChecking", &[], STRICT, Honoured),
    row(
        "HostKeyAlgorithms",
        &[],
        Form::Algorithms(Algorithm::Key),
        Honoured,
    ),
    row(
        "KexAlgorithms",
        &[],
        Form::Algorithms(Algorithm::Exchange),
        Honoured,
    ),
    row(
        "Ciphers",
        &[],
        Form::Algorithms(Algorithm::Cipher),
        Honoured,
    ),
    row("MACs", &[], Form::Algorithms(Algorithm::Mac), Honoured),
    row(
        "PubkeyAcceptedAlgorithms",
        &["pubkeyacceptedkeytypes"],
        Form::Algorithms(Algorithm::Key),
        Honoured,
    ),
    row("PreferredAuthentications", &[], Form::Word, Honoured),
    row(
        "PubkeyAuthentication",
        &["dsaauthentication"],
        PUBLIC_KEY,
        Honoured,
    ),
    row("PasswordAuthentication", &[], FLAG, Honoured),
    row(
        "KbdInteractiveAuthentication",
        &[
            "challengeresponseauthentication",
            "skeyauthentication",
            "tisauthentication",
        ],
        FLAG,
        Honoured,
    ),
    row(
        "AddressFamily",
        &[],
        Form::Choice(&[("inet", "inet"), ("inet6", "inet6"), ("any", "any")]),
        Honoured,
    ),
    row("BindAddress", &[], Form::Word, Honoured),
    row("ConnectTimeout", &[], Form::Time, Honoured),
    row("ServerAliveInterval", &[], Form::Time, Honoured),
    row("ServerAliveCountMax", &[], Form::Number, Honoured),
    row("IgnoreUnknown", &[], Form::Word, Honoured),
    // These have words of their own.
    row(
        "Compression",
        &[],
        Form::Choice(&[("yes", "yes"), ("no", "no")]),
        Silent,
    ),
    row("CanonicalizeHostname", &[], CANONICALIZE, Silent),
    row(
        "CanonicalDomains",
        &[],
        Form::Words {
            most: MAX_HOSTS_FILES,
        },
        Silent,
    ),
    row("CanonicalizeMaxDots", &[], Form::Number, Silent),
    row("CanonicalizeFallbackLocal", &[], FLAG, Silent),
    row("CanonicalizePermittedCNAMEs", &[], ONCE, Silent),
    row("GSSAPIAuthentication", &[], FLAG, Silent),
    row("PKCS11Provider", &["smartcarddevice"], Form::Word, Silent),
    row("SecurityKeyProvider", &[], Form::Word, Silent),
    // Its default depends on others, and no value changes what is trusted.
    row("UpdateHostKeys", &[], ASK, Silent),
    row("SendEnv", &[], Form::Names, IgnoredOften),
    row("HashKnownHosts", &[], FLAG, IgnoredOften),
    row("ForwardX11Trusted", &[], FLAG, IgnoredOften),
    row("GSSAPIDelegateCredentials", &[], FLAG, IgnoredOften),
    row("GSSAPIKeyExchange", &[], FLAG, IgnoredOften),
    row("GSSAPIKexAlgorithms", &[], Form::Word, IgnoredOften),
    row("CASignatureAlgorithms", &[], ONCE, IgnoredOften),
    row("RequiredRSASize", &[], Form::Number, IgnoredOften),
    row("AddKeysToAgent", &[], ADD_KEYS, Ignored),
    row("BatchMode", &[], FLAG, Ignored),
    row("BindInterface", &[], Form::Word, Ignored),
    row("CheckHostIP", &[], FLAG, Ignored),
    row("ClearAllForwardings", &[], FLAG, Ignored),
    row("ConnectionAttempts", &[], Form::Number, Ignored),
    row("ControlMaster", &[], MASTER, Ignored),
    row("ControlPath", &[], Form::Word, Ignored),
    row("ControlPersist", &[], ONCE_OR_FLAG, Ignored),
    row("DynamicForward", &[], EACH, Ignored),
    row("EnableEscapeCommandline", &[], FLAG, Ignored),
    row("EnableSSHKeysign", &[], FLAG, Ignored),
    row("EscapeChar", &[], Form::Word, Ignored),
    row("ExitOnForwardFailure", &[], FLAG, Ignored),
    row("FingerprintHash", &[], Form::Capitals, Ignored),
    row("ForkAfterAuthentication", &[], FLAG, Ignored),
    row("ForwardAgent", &[], ONCE_OR_FLAG, Ignored),
    row("ForwardX11", &[], FLAG, Ignored),
    row("ForwardX11Timeout", &[], Form::Time, Ignored),
    row("GSSAPIClientIdentity", &[], Form::Word, Ignored),
    row("GSSAPIRenewalForcesRekey", &[], FLAG, Ignored),
    row("GSSAPIServerIdentity", &[], Form::Word, Ignored),
    row("GSSAPITrustDns", &[], FLAG, Ignored),
    row("GatewayPorts", &[], FLAG, Ignored),
    row(
        "HostbasedAcceptedAlgorithms",
        &["hostbasedkeytypes"],
        ONCE,
        Ignored,
    ),
    row("HostbasedAuthentication", &[], FLAG, Ignored),
    row("IPQoS", &[], ONCE, Ignored),
    row("KbdInteractiveDevices", &[], Form::Word, Ignored),
    row("KnownHostsCommand", &[], Form::Command, Ignored),
    row("LocalCommand", &[], Form::Command, Ignored),
    row("LocalForward", &[], EACH, Ignored),
    row("LogLevel", &[], Form::Capitals, Ignored),
    row("LogVerbose", &[], ONCE, Ignored),
    row("NoHostAuthenticationForLocalhost", &[], FLAG, Ignored),
    row("NumberOfPasswordPrompts", &[], Form::Number, Ignored),
    row("PermitLocalCommand", &[], FLAG, Ignored),
    row("PermitRemoteOpen", &[], ONCE, Ignored),
    row("ProxyUseFdpass", &[], FLAG, Ignored),
    row("RekeyLimit", &[], ONCE, Ignored),
    row("RemoteCommand", &[], Form::Command, Ignored),
    row("RemoteForward", &[], EACH, Ignored),
    // No session is opened.
    row("RequestTTY", &[], TTY, Silent),
    row("RevokedHostKeys", &[], Form::Word, Ignored),
    row(
        "SessionType",
        &[],
        Form::Choice(&[
            ("none", "none"),
            ("subsystem", "subsystem"),
            ("default", "default"),
        ]),
        Silent,
    ),
    row("SetEnv", &[], ONCE, Ignored),
    row("StdinNull", &[], FLAG, Ignored),
    row("StreamLocalBindMask", &[], Form::Word, Ignored),
    row("StreamLocalBindUnlink", &[], FLAG, Ignored),
    row("SyslogFacility", &[], Form::Capitals, Ignored),
    row("TCPKeepAlive", &["keepalive"], FLAG, Ignored),
    row("Tunnel", &[], TUNNEL, Ignored),
    row("TunnelDevice", &[], Form::Word, Ignored),
    row("VerifyHostKeyDNS", &[], ASK, Ignored),
    row("VisualHostKey", &[], FLAG, Ignored),
    row("XAuthLocation", &[], Form::Word, Ignored),
    // Younger than OpenSSH 9.2.
    row("ChannelTimeout", &[], ONCE, Ignored),
    row("ObscureKeystrokeTiming", &[], ONCE, Ignored),
    row("RefuseConnection", &[], ONCE, Ignored),
    row("Tag", &[], Form::Word, Ignored),
    row("VersionAddendum", &[], ONCE, Ignored),
    row("WarnWeakCrypto", &[], ONCE, Ignored),
    row(
        "Protocol",
        &[
            "afstokenpassing",
            "cipher",
            "compressionlevel",
            "fallbacktorsh",
            "globalknownhostsfile2",
            "kerberosauthentication",
            "kerberostgtpassing",
            "rhostsauthentication",
            "rhostsrsaauthentication",
            "rsaauthentication",
            "useprivilegedport",
            "userknownhostsfile2",
            "useroaming",
            "usersh",
        ],
        Form::Gone,
        Silent,
    ),
];
