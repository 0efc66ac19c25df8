//! The system's `ssh` as a second transport, for what the library can't do:
//! GSSAPI, PKCS#11, and whatever else only OpenSSH itself knows.
//!
//! One `ssh -N` is the connection (`master`), and a stream is an `ssh -W` that
//! goes through its control socket (`stream`): signed in once, no local port.
//! Where there are no control sockets (Windows), every stream signs in anew, and
//! nobody is asked anything. Elsewhere its questions go to the person (`askpass`).
//! Its words become our errors (`words`). Our policy for host keys and our own
//! known_hosts file hold here, too, whatever ssh_config says (`command`).

#[cfg_attr(not(unix), path = "no_askpass.rs")]
mod askpass;
mod command;
mod desk;
mod master;
mod stream;
mod words;

#[cfg(unix)]
pub use self::askpass::ask_through;
pub(super) use self::master::Master;
pub(super) use self::stream::ProcessIo;

/// Where OpenSSH has control sockets, one connection serves all streams.
const MULTIPLEXING: bool = cfg!(unix);

/// The environment variable with the socket that a question of `ssh` is passed on through.
pub const ASKPASS: &str = "PUFFIN_REMOTE_LLM_ASKPASS";
