//! Every kept input of the fuzz targets is played by an ordinary test.

use std::{fs, path::Path};

use crate::{config, llm, rpc, ssh};

type Target = fn(&[u8]);

/// The target of each folder of inputs.
const TARGETS: &[(&str, Target)] = &[
    #[cfg(all(unix, not(target_os = "macos")))]
    ("bus", config::fuzzing::bus),
    #[cfg(not(all(unix, not(target_os = "macos"))))]
    ("bus", |_| {}), // There is none.
    ("deltas", llm::fuzzing::deltas),
    ("key_file", ssh::fuzzing::key_file),
    ("known_hosts", ssh::fuzzing::known_hosts),
    ("models", llm::fuzzing::models),
    ("ndjson", llm::fuzzing::ndjson),
    ("profile", config::fuzzing::profile),
    ("refusal", llm::fuzzing::refusal),
    ("rpc", rpc::fuzzing::rpc),
    ("sse", llm::fuzzing::sse),
    ("ssh_config", ssh::fuzzing::ssh_config),
    ("target", ssh::fuzzing::target),
    ("tool_calls", llm::fuzzing::tool_calls),
    ("vault", config::fuzzing::vault),
];

#[test]
fn every_kept_input_of_the_fuzz_targets_passes() {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/fuzz");
    let mut folders: Vec<_> = fs::read_dir(&all)
        .unwrap()
        .map(|folder| folder.unwrap().file_name().into_string().unwrap())
        .collect();
    folders.sort_unstable();
    let mut targets: Vec<_> = TARGETS.iter().map(|(name, _)| *name).collect();
    targets.sort_unstable();
    assert_eq!(folders, targets);
    for (name, target) in TARGETS {
        let mut inputs = 0;
        for input in fs::read_dir(all.join(name)).unwrap() {
            let path = input.unwrap().path();
            println!("{}", path.display()); // told if it fails
            target(&fs::read(path).unwrap());
            inputs += 1;
        }
        assert!(inputs >= 5, "{name} has {inputs} inputs");
    }
}
