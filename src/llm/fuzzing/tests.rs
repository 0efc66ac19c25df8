use std::{fs, path::Path};

type Target = fn(&[u8]);

/// The target of each folder of inputs.
const TARGETS: &[(&str, Target)] = &[
    ("sse", super::sse),
    ("ndjson", super::ndjson),
    ("tool_calls", super::tool_calls),
    ("refusal", super::refusal),
    ("models", super::models),
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

#[test]
fn a_cut_by_the_fuzzers_own_first_byte_is_never_empty() {
    assert_eq!(super::cut(b""), None);
    assert_eq!(super::cut(b"\0abc"), Some((&b"abc"[..], 1)));
    assert_eq!(super::cut(b"\x05abc"), Some((&b"abc"[..], 5)));
}
