//! Where the fuzz targets of `fuzz/` enter: whatever stands in the files and texts that this room
//! reads, what is asserted here holds. The same inputs, `tests/data/fuzz`, are played by an
//! ordinary test.

mod key_file;
mod known_hosts;
mod ssh_config;
mod target;

pub use self::{
    key_file::key_file, known_hosts::known_hosts, ssh_config::ssh_config, target::target,
};

/// Whether a text can be shown: one line, no control characters, bounded.
fn is_clean(text: &str) -> bool {
    text.len() <= 4 * 4096 && !text.chars().any(char::is_control)
}
