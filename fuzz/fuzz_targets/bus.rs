#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| puffin_remote_llm::config::fuzzing::bus(input));
