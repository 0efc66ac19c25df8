//! How conversations look on the wires of different servers.

pub(super) mod openai;
