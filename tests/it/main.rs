//! Drives the real daemon as a host does: one binary, one file for each behaviour.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

mod api_type;
mod architecture;
mod audit;
mod backpressure;
mod cancel;
mod clocks;
mod config;
mod config_changes;
mod connect;
mod continued;
mod credentials;
mod dead_peers;
mod doctor;
mod drafts;
mod forwarding;
mod history;
mod history_list;
mod hops;
mod host_death;
mod host_keys;
mod interrupted;
mod isolation;
mod keychain;
mod lifecycle;
mod llama_cpp_python;
mod load;
mod matrix;
mod model_choice;
mod models;
mod node_host;
mod ollama;
mod prompt;
mod proxy_command;
mod real;
mod real_servers;
mod real_session;
mod reconnect;
mod record;
mod refused;
mod request_headers;
mod resend;
mod schema;
mod scripted_servers;
mod secret_sources;
mod secrets;
mod soak;
mod ssh_config;
mod ssh_config_changes;
mod ssh_config_jumps;
mod sshd_limits;
mod stdout;
mod support;
mod system_processes;
mod system_refusals;
mod system_transport;
mod test_stages;
mod tls;
mod tools;
mod tools_hostile;
mod trust;
mod trust_traced;
mod vault;

/// A file that is not declared above would never be compiled, let alone run.
#[test]
fn no_test_file_is_forgotten() {
    let main = include_str!("main.rs");
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    for entry in std::fs::read_dir(directory).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let module = name.trim_end_matches(".rs");
        assert!(
            module == "main" || main.contains(&format!("\nmod {module};\n")),
            "tests/it/{name} is not declared in main.rs"
        );
    }
}
