//! What the user saved: profiles as files in the project, secrets in the user's own vault.
//!
//! A [`Profile`] cannot hold a secret: it has no field for one, what it keeps of unknown fields
//! is sifted ([`Unknown`]), and headers that carry credentials are refused. Secrets live in
//! [`Secrets`], bound to the address that they were given for.
//!
//! A profile may have come with the project: it is trusted only as this user saved or approved of
//! it on this machine ([`Trust`]). This room does not expand `~`, resolve names or read ssh_config.

mod approval;
mod error;
mod file;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod id;
mod keychain;
mod ollama;
mod private;
mod profile;
mod read;
mod secrets;
mod source;
mod store;
mod text;
mod unknown;
mod validate;
mod vault;
mod version;

pub use error::{Error, Warning};
pub use keychain::{Keychain, KeychainProblem, SERVICE as KEYCHAIN_SERVICE};
pub use ollama::{KeepAlive, Ollama, Think, ThinkLevel};
pub use profile::{
    ApiType, AuthMethod, HostKeyPolicy, LlmProfile, ModelProfile, Profile, SshProfile, Timeouts,
    Tls, Transport,
};
pub use read::from_json;
pub use secrets::{Change, SecretField, Secrets};
pub use source::SecretSource;
pub use store::{Changed, Listed, Loaded, Lock, Store, Trust};
pub use unknown::Unknown;
pub use validate::{validate, validate_secret};
pub use vault::{Credential, KeptKey, KeySource, Vault, VaultProblem, VaultStatus};
