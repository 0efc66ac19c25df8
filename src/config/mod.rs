//! What the user saved: profiles as files in the project, secrets in the user's own vault.
//!
//! A [`Profile`] cannot hold a secret: it has no field for one, what it keeps of unknown fields
//! is sifted ([`Unknown`]), and headers that carry credentials are refused. Secrets live in
//! [`Secrets`], bound to the address that they were given for.
//!
//! This room reads and checks; it does not expand `~`, resolve names, read ssh_config or, apart
//! from the programs that a profile starts ([`Approvals`]), decide whether a profile is trusted.

mod approval;
mod error;
mod file;
mod id;
mod ollama;
mod private;
mod profile;
mod read;
mod secrets;
mod store;
mod unknown;
mod validate;
mod vault;

pub use approval::Approvals;
pub use error::{Error, Warning};
pub use ollama::{KeepAlive, Ollama, Think, ThinkLevel};
pub use profile::{
    ApiType, AuthMethod, HostKeyPolicy, LlmProfile, ModelProfile, Profile, SshProfile, Timeouts,
    Tls, Transport,
};
pub use read::from_json;
pub use secrets::{Change, SecretField, Secrets};
pub use store::{Listed, Loaded, Lock, Store};
pub use unknown::Unknown;
pub use validate::validate;
pub use vault::{Credential, KeySource, Vault, VaultProblem, VaultStatus};
