//! Cases written by hand. `<ed>`, `<ec>` and `<rsa>` are the server's keys,
//! `<x…>` other ones, `<ca>` is the authority; `#{name}` is the name, hashed.

use super::*;

#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) server: Which,
    pub(super) host: &'static str,
    pub(super) user: String,
    pub(super) global: String,
    pub(super) policy: HostKeyPolicy,
    pub(super) alias: Option<&'static str>,
    pub(super) algorithms: Option<&'static str>,
    /// Why we differ, and how.
    pub(super) kept: Option<(Kept, Outcome)>,
    /// For generated cases: the reasons that may make us differ.
    pub(super) reasons: Vec<Kept>,
}

impl Case {
    pub(super) fn new(server: Which, user: &str) -> Self {
        Self {
            server,
            host: "127.0.0.1",
            user: user.into(),
            global: String::new(),
            policy: HostKeyPolicy::Ask,
            alias: None,
            algorithms: None,
            kept: None,
            reasons: Vec::new(),
        }
    }

    pub(super) fn strict(self) -> Self {
        Self {
            policy: HostKeyPolicy::Strict,
            ..self
        }
    }

    pub(super) fn learning(self) -> Self {
        Self {
            policy: HostKeyPolicy::AcceptNew,
            ..self
        }
    }

    fn global(self, global: &str) -> Self {
        Self {
            global: global.into(),
            ..self
        }
    }

    fn host(self, host: &'static str) -> Self {
        Self { host, ..self }
    }

    fn alias(self, alias: &'static str) -> Self {
        Self {
            alias: Some(alias),
            ..self
        }
    }

    fn algorithms(self, names: &'static str) -> Self {
        Self {
            algorithms: Some(names),
            ..self
        }
    }

    fn kept(self, why: Kept, ours: Outcome) -> Self {
        Self {
            kept: Some((why, ours)),
            ..self
        }
    }

    pub(super) fn policy_name(&self) -> &'static str {
        match self.policy {
            HostKeyPolicy::Ask => "ask",
            HostKeyPolicy::AcceptNew => "accept-new",
            HostKeyPolicy::Strict => "yes",
        }
    }

    /// Whether a generated case may end so differently.
    pub(super) fn may_differ(&self, theirs: Outcome, ours: Outcome) -> bool {
        let learning = self.policy == HostKeyPolicy::AcceptNew;
        self.reasons.iter().any(|why| match why {
            Kept::PortlessName => match (theirs, ours) {
                (Outcome::Accepted, Outcome::Unknown) => !learning,
                (Outcome::Accepted, Outcome::Changed) => {
                    !matches!(self.server, Which::Three | Which::Rsa)
                }
                _ => false,
            },
            Kept::AuthorityExpected | Kept::InvalidCertificate => {
                learning && (theirs, ours) == (Outcome::Accepted, Outcome::Unknown)
            }
            Kept::PortlessRevocation | Kept::UnreadableRevocation => ours == Outcome::Revoked,
            Kept::UnreadableFile => ours == Outcome::Unreadable,
        })
    }
}

#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn all() -> Vec<Case> {
    use Outcome::{Changed, Revoked, Unknown, Unreadable};
    let three = |user: &str| Case::new(Which::Three, user);
    let certified = |user: &str| Case::new(Which::Certified, user);
    let expired = |user: &str| Case::new(Which::Expired, user);
    let ed = "AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    vec![
        // Names.
        three(""),
        three("").strict(),
        three("").learning(),
        three("[127.0.0.1]:PORT <ed>\n"),
        three("[127.0.0.1]:PORT <ed>\n").strict(),
        three("[127.0.0.1]:PORT <ed>\n").learning(),
        three("[127.0.0.1]:PORT <ed>"),
        three("[127.0.0.1]:PORT <ec>\n"),
        three("[127.0.0.1]:PORT <rsa>\n"),
        three("[127.0.0.1]:PORT <x>\n"),
        three("[127.0.0.1]:PORT <x>\n").learning(),
        three("[127.0.0.1]:PORT <xec>\n"),
        three("[127.0.0.1]:PORT <xrsa>\n").learning(),
        three("[127.0.0.1]:22 <ed>\n"),
        three("127.0.0.1:PORT <ed>\n"),
        three("[127.0.0.1] <ed>\n"),
        three("[127.0.0.1]:* <ed>\n"),
        three("[127.0.0.?]:PORT <ed>\n"),
        three("[127.*]:PORT <ed>\n"),
        three("* <ed>\n"),
        three("*:PORT <ed>\n"),
        three("[128.*]:PORT <x>\n"),
        three("?127.0.0.1?:PORT <x>\n"),
        three("!*,* <ed>\n"),
        three("*,!*:PORT <ec>\n"),
        three("[127.0.0.1]:*,![127.0.0.1]:PORT <ed>\n"),
        three("![127.0.0.2]:PORT,[127.0.0.*]:PORT <ed>\n"),
        three("gpu1,[127.0.0.1]:PORT,gpu2 <ed>\n"),
        three(",[127.0.0.1]:PORT, <ed>\n"),
        three("gpu1 [127.0.0.1]:PORT <ed>\n"),
        three("#{[127.0.0.1]:PORT} <ed>\n"),
        three("#{[127.0.0.1]:PORT} <x>\n"),
        three("#{[127.0.0.1]:22} <ed>\n"),
        three("#{[127.0.0.1]:PORT},gpu1 <ed>\n"),
        three("gpu1,#{[127.0.0.1]:PORT} <ed>\n"),
        three("#{gpu1} <x>\n#{[127.0.0.1]:PORT} <ed>\n"),
        three("|1|AAAA|BBBB <ed>\n"),
        three("[localhost]:PORT <ed>\n").host("localhost"),
        three("[LocalHost]:PORT <ed>\n").host("localhost"),
        three("[localhost]:PORT <ed>\n").host("LOCALHOST"),
        three("#{[localhost]:PORT} <ed>\n").host("LocalHost"),
        three("[localhost]:PORT <ed>\n"),
        three("[127.0.0.1]:PORT <ed>\n").host("localhost"),
        three("127.0.0.1 <ed>\n").kept(Kept::PortlessName, Unknown),
        three("127.0.0.1 <ed>\n")
            .strict()
            .kept(Kept::PortlessName, Unknown),
        three("127.0.0.1 <ed>\n").learning(),
        three("#{127.0.0.1} <ed>\n").kept(Kept::PortlessName, Unknown),
        three("127.0.0.1 <x>\n"),
        three("127.0.0.1 <x>\n").learning(),
        three("127.0.0.1 <ed>\n[127.0.0.1]:PORT <x>\n"),
        certified("127.0.0.1 <ed>\n[127.0.0.1]:PORT <x>\n").kept(Kept::PortlessName, Changed),
        three("127.0.0.1 <x>\n[127.0.0.1]:PORT <ed>\n"),
        // Layout.
        three("[127.0.0.1]:PORT\t<ed>\n"),
        three(" \t [127.0.0.1]:PORT  <ed>\n"),
        three("[127.0.0.1]:PORT <ed> a comment # of words\n"),
        three("[127.0.0.1]:PORT <ed>\r\n"),
        three("# [127.0.0.1]:PORT <x>\r\n\r\n[127.0.0.1]:PORT <ed>\r\n"),
        three("#[127.0.0.1]:PORT <ed>\n"),
        three("  # [127.0.0.1]:PORT <ed>\n"),
        three("\n \t \n[127.0.0.1]:PORT <ed>\n\n"),
        three("[127.0.0.1]:PORT\n"),
        three("[127.0.0.1]:PORT \n[127.0.0.1]:PORT <ed>\n"),
        three("[127.0.0.1]:PORT # <ed>\n"),
        // Keys.
        three("[127.0.0.1]:PORT <x>\n[127.0.0.1]:PORT <ed>\n"),
        three("[127.0.0.1]:PORT <xec>\n[127.0.0.1]:PORT <ed>\n"),
        three("[127.0.0.1]:PORT <xec>\n[127.0.0.1]:PORT <xrsa>\n"),
        three("[127.0.0.1]:PORT <x>\n[127.0.0.1]:PORT <ec>\n"),
        three("[127.0.0.1]:PORT <xec>\n[127.0.0.1]:PORT <rsa>\n"),
        three("[127.0.0.1]:PORT ssh-ed25519 AAAA\n"),
        three(&format!("[127.0.0.1]:PORT ssh-rsa {ed}\n")),
        three(&format!("[127.0.0.1]:PORT SSH-ED25519 {ed}\n")),
        three("[127.0.0.1]:PORT 1024 35 123456\n"),
        three("[127.0.0.1]:PORT garbage\n[127.0.0.1]:PORT <ed>\n"),
        three("[127.0.0.1]:PORT <cert>\n"),
        three("[127.0.0.1]:PORT <cert>\n").learning(),
        certified("[127.0.0.1]:PORT <cert>\n"),
        three("[127.0.0.1]:PORT <cert>\n[127.0.0.1]:PORT <ed>\n"),
        Case::new(Which::Rsa, "[127.0.0.1]:PORT <rsa>\n"),
        Case::new(Which::Rsa, "[127.0.0.1]:PORT <ed>\n").learning(),
        Case::new(
            Which::Rsa,
            "[127.0.0.1]:PORT <ed>\n[127.0.0.1]:PORT <rsa>\n",
        ),
        Case::new(Which::Rsa, "[127.0.0.1]:PORT <xrsa>\n"),
        Case::new(Which::Rsa, "").learning(),
        // Several files.
        three("").global("[127.0.0.1]:PORT <ed>\n"),
        three("").global("[127.0.0.1]:PORT <x>\n"),
        three("[127.0.0.1]:PORT <x>\n").global("[127.0.0.1]:PORT <ed>\n"),
        three("[127.0.0.1]:PORT <ed>\n").global("[127.0.0.1]:PORT <x>\n"),
        three("[127.0.0.1]:PORT <ed>\n").global("@revoked * <ed>\n"),
        three("[127.0.0.1]:PORT <ec>\n").global("[127.0.0.1]:PORT <xrsa>\n"),
        three("<missing>").global("[127.0.0.1]:PORT <ed>\n"),
        three("[127.0.0.1]:PORT <ed>\n").global("<missing>"),
        three("<directory>")
            .global("[127.0.0.1]:PORT <ed>\n")
            .kept(Kept::UnreadableFile, Unreadable),
        // Revocations.
        three("@revoked [127.0.0.1]:PORT <ed>\n"),
        three("@revoked * <ed>\n").learning(),
        three("@revoked * <ed>\n[127.0.0.1]:PORT <ed>\n").strict(),
        three("[127.0.0.1]:PORT <ed>\n@revoked [127.0.0.1]:* <ed> x\n"),
        three("@revoked #{[127.0.0.1]:PORT} <ed>\n"),
        three("@revoked * <x>\n[127.0.0.1]:PORT <ed>\n"),
        three("@revoked gpu1 <ed>\n[127.0.0.1]:PORT <ed>\n"),
        three("@revoked * <ec>\n[127.0.0.1]:PORT <ed>\n"),
        three("@revoked * <cert>\n[127.0.0.1]:PORT <ed>\n"),
        three("@revoked *,![127.0.0.1]:PORT,!127.0.0.1 <ed>\n[127.0.0.1]:PORT <ed>\n"),
        three("@revoked 127.0.0.1 <ed>\n[127.0.0.1]:PORT <ed>\n")
            .kept(Kept::PortlessRevocation, Revoked),
        three("@revoked 127.0.0.1 <ed>\n")
            .learning()
            .kept(Kept::PortlessRevocation, Revoked),
        three("@revoked\t* <ed>\n[127.0.0.1]:PORT <ed>\n")
            .kept(Kept::UnreadableRevocation, Revoked),
        three("@revoked * garbage\n[127.0.0.1]:PORT <ed>\n")
            .kept(Kept::UnreadableRevocation, Revoked),
        three("@cert-authority @revoked * <ed>\n[127.0.0.1]:PORT <ed>\n")
            .kept(Kept::UnreadableRevocation, Revoked),
        three("[127.0.0.1]:PORT <ed>\n* <ec>\n@revoked * <ed>\n"),
        three("* <x>\n* <ed>\n* <ec>\n@revoked * <x>\n"),
        three("* <ed>\n* <x>\n* <ec>\n@revoked * <x>\n"),
        certified("* <rsa>\n* <x>\n@revoked * <x>\n"),
        three("@unknown * <ed>\n[127.0.0.1]:PORT <ed>\n"),
        three("@unknown * <ed>\n").learning(),
        // Authorities.
        certified("@cert-authority [127.0.0.1]:PORT <ca>\n").strict(),
        certified("@cert-authority 127.0.0.1 <ca>\n"),
        certified("@cert-authority * <ca>\n").learning(),
        certified("@cert-authority *,![127.0.0.1]:PORT,!127.0.0.1 <ca>\n"),
        certified("@cert-authority #{[127.0.0.1]:PORT} <ca> comment\n"),
        certified("@cert-authority \t 127.* \t <ca>\r\n"),
        certified("@cert-authority\t* <ca>\n"),
        certified("@cert-authority * <ca>\n").host("localhost"),
        certified("@cert-authority [localhost]:* <ca>\n").host("LOCALHOST"),
        certified("@cert-authority gpu1 <ca>\n"),
        certified("@cert-authority * <ca2>\n"),
        certified("@cert-authority * <ed>\n"),
        certified("@cert-authority * <ca2>\n[127.0.0.1]:PORT <ed>\n"),
        certified("@cert-authority * <ca2>\n@cert-authority * <ca>\n"),
        certified("@cert-authority * <ca2>\n")
            .learning()
            .kept(Kept::AuthorityExpected, Unknown),
        certified("[127.0.0.1]:PORT <x>\n@cert-authority * <ca>\n"),
        certified("[127.0.0.1]:PORT <ec>\n@cert-authority * <ca>\n"),
        certified("[127.0.0.1]:PORT <xec>\n@cert-authority * <ca>\n"),
        certified("[127.0.0.1]:PORT <xec>\n@cert-authority 127.0.0.1 <ca>\n"),
        certified("[127.0.0.1]:PORT <ed>\n"),
        certified("[127.0.0.1]:PORT <x>\n"),
        certified("[127.0.0.1]:PORT <ca>\n"),
        certified("").learning(),
        certified("").global("@cert-authority * <ca>\n"),
        certified("@revoked * <ca>\n").global("@cert-authority * <ca>\n"),
        certified("@cert-authority * <ca>\n@revoked * <ed>\n"),
        certified("@cert-authority * <ca>\n@revoked * <cert>\n"),
        certified("@revoked * <ca>\n[127.0.0.1]:PORT <ed>\n"),
        certified("@revoked * <ca2>\n@cert-authority * <ca>\n"),
        three("@cert-authority * <ca>\n"),
        three("@cert-authority * <ca>\n[127.0.0.1]:PORT <ec>\n"),
        three("@cert-authority * <ca>\n[127.0.0.1]:PORT <xrsa>\n"),
        three("@cert-authority * <ca>\n")
            .learning()
            .kept(Kept::AuthorityExpected, Unknown),
        Case::new(Which::CertifiedRsa, "@cert-authority * <ca>\n"),
        Case::new(Which::CertifiedRsa, "[127.0.0.1]:PORT <ed>\n"),
        Case::new(Which::CertifiedRsa, "[127.0.0.1]:PORT <ec>\n"),
        Case::new(
            Which::CertifiedRsa,
            "@cert-authority * <ca>\n[127.0.0.1]:PORT <ec>\n",
        ),
        Case::new(Which::Everybody, "@cert-authority * <ca>\n"),
        expired("@cert-authority * <ca>\n"),
        expired("@cert-authority * <ca>\n").strict(),
        expired("@cert-authority * <ca>\n")
            .learning()
            .kept(Kept::InvalidCertificate, Unknown),
        expired("@cert-authority * <ca>\n[127.0.0.1]:PORT <ed>\n"),
        expired("@cert-authority * <ca>\n[127.0.0.1]:PORT <x>\n"),
        expired("[127.0.0.1]:PORT <ed>\n"),
        expired("@cert-authority 127.0.0.1 <ca>\n[127.0.0.1]:PORT <ed>\n"),
        Case::new(Which::OtherHost, "@cert-authority * <ca>\n"),
        Case::new(
            Which::OtherHost,
            "@cert-authority * <ca>\n[127.0.0.1]:PORT <ed>\n",
        ),
        Case::new(Which::OtherHost, "@cert-authority gpu7 <ca>\n").alias("GPU7"),
        Case::new(Which::User, "@cert-authority * <ca>\n"),
        Case::new(
            Which::User,
            "@cert-authority * <ca>\n[127.0.0.1]:PORT <ed>\n",
        ),
        Case::new(Which::Weak, "@cert-authority * <oldca>\n"),
        Case::new(
            Which::Weak,
            "@cert-authority * <oldca>\n[127.0.0.1]:PORT <ed>\n",
        ),
        Case::new(Which::Weak, "@cert-authority * <oldca>\n")
            .learning()
            .kept(Kept::InvalidCertificate, Unknown),
        // HostKeyAlias.
        three("cluster <ed>\n").alias("cluster"),
        three("CLUSTER <ed>\n").alias("Cluster"),
        three("#{cluster} <ed>\n").alias("cluster"),
        three("[cluster]:PORT <ed>\n").alias("cluster"),
        three("[127.0.0.1]:PORT <ed>\n").alias("cluster"),
        three("cluster <x>\n").alias("cluster").learning(),
        three("clu* <rsa>\n").alias("cluster"),
        three("@revoked cluster <ed>\n").alias("cluster"),
        three("").alias("cluster").learning(),
        certified("@cert-authority cluster <ca>\n").alias("cluster"),
        certified("@cert-authority 127.0.0.1 <ca>\n").alias("cluster"),
        certified("@cert-authority * <ca>\n").alias("gpu1"),
        // HostKeyAlgorithms.
        three("[127.0.0.1]:PORT <ed>\n").algorithms("ecdsa-sha2-nistp256,ssh-ed25519"),
        three("[127.0.0.1]:PORT <ec>\n").algorithms("ecdsa-sha2-nistp256,ssh-ed25519"),
        three("[127.0.0.1]:PORT <rsa>\n").algorithms("rsa-sha2-256"),
        three("[127.0.0.1]:PORT <ed>\n").algorithms("rsa-sha2-512,rsa-sha2-256"),
        Case::new(Which::Rsa, "[127.0.0.1]:PORT <rsa>\n").algorithms("ssh-ed25519"),
        certified("@cert-authority * <ca>\n")
            .algorithms("ssh-ed25519,ssh-ed25519-cert-v01@openssh.com"),
        certified("@cert-authority * <ca>\n")
            .algorithms("ssh-ed25519-cert-v01@openssh.com,ssh-ed25519"),
        certified("@cert-authority * <ca>\n").algorithms("ssh-ed25519-cert-v01@openssh.com"),
        certified("[127.0.0.1]:PORT <ed>\n").algorithms("ssh-ed25519-cert-v01@openssh.com"),
        three("@cert-authority * <ca>\n").algorithms("ssh-ed25519-cert-v01@openssh.com"),
        Case::new(Which::CertifiedRsa, "@cert-authority * <ca>\n")
            .algorithms("rsa-sha2-256-cert-v01@openssh.com"),
        // What is recorded comes first after `+` and `-`, and only then.
        three("[127.0.0.1]:PORT <rsa>\n").algorithms("+ssh-rsa"),
        three("[127.0.0.1]:PORT <rsa>\n").algorithms("-ecdsa*"),
        three("[127.0.0.1]:PORT <rsa>\n").algorithms("-*cert*"),
        three("[127.0.0.1]:PORT <rsa>\n").algorithms("^ssh-ed25519"),
        three("[127.0.0.1]:PORT <rsa>\n").algorithms("ssh-ed25519,rsa-sha2-512"),
        three("[127.0.0.1]:PORT <rsa>\n")
            .algorithms("ssh-ed25519-cert-v01@openssh.com,ssh-ed25519,rsa-sha2-512"),
        // The default itself, and yet a list of one's own.
        three("[127.0.0.1]:PORT <rsa>\n").algorithms("^ssh-ed25519-cert-v01@openssh.com"),
    ]
}
