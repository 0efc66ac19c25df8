//! What servers send, and what it comes to: a file for each case, in `tests/data/conformance`.
//!
//! Each case goes the whole way, from HTTP to the events of a [`ChatStream`](crate::llm::ChatStream):
//! all at once, byte by byte, and cut at random. Nothing that a server sends may mean something
//! else because of where it was cut, and no answer may count as whole before the server said so.
//!
//! `UPDATE_EXPECT=1` writes down what is told today. `CONFORMANCE_SEED` repeats the random cuts of
//! a run that failed.

mod case;
mod replay;
mod told;

use std::{fmt::Write as _, path::PathBuf};

use self::{
    case::{Case, Ending},
    replay::{Cutting, replay},
};

/// Fewer would mean that some were lost.
const AT_LEAST: usize = 90;

/// Cuttings at random of each case, and beginnings of each that are played as if they were all.
const RANDOM: u64 = 3;

macro_rules! servers {
    ($($test:ident: $folder:literal)*) => {
        const SERVERS: &[&str] = &[$($folder),*];
        $(
            #[tokio::test(start_paused = true)]
            async fn $test() {
                check_folder($folder).await;
            }
        )*
    };
}

servers! {
    generic: "generic"
    koboldcpp: "koboldcpp"
    litellm: "litellm"
    llama_cpp_python: "llama-cpp-python"
    llama_cpp: "llama.cpp"
    llama_cpp_router: "llama.cpp-router"
    lm_studio: "lm-studio"
    localai: "localai"
    mlx: "mlx"
    ollama: "ollama"
    ollama_v1: "ollama-v1"
    openrouter: "openrouter"
    sglang: "sglang"
    tabbyapi: "tabbyapi"
    tensorrt_llm: "tensorrt-llm"
    text_generation_webui: "text-generation-webui"
    tgi: "tgi"
    vllm: "vllm"
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/conformance")
}

/// The names of what a folder holds.
fn names(folder: PathBuf) -> Vec<String> {
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn every_case_is_played() {
    assert_eq!(names(root()), SERVERS, "a folder without its test");
    let cases = SERVERS.iter().flat_map(|server| names(root().join(server)));
    let (cases, others): (Vec<_>, Vec<_>) = cases.partition(|name| name.ends_with(".case"));
    assert_eq!(others, [""; 0], "not a case");
    assert!(cases.len() >= AT_LEAST, "only {} cases", cases.len());
}

async fn check_folder(server: &str) {
    let seed = std::env::var("CONFORMANCE_SEED").map_or_else(
        |_| uuid::Uuid::new_v4().as_u64_pair().0,
        |seed| seed.parse().unwrap(),
    );
    let mut wrong = String::new();
    for name in names(root().join(server)) {
        let mut case = Case::read(root().join(server).join(&name));
        if let Err(problem) = check(&mut case, seed).await {
            writeln!(wrong, "\n{server}/{name}: {problem}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}\nCONFORMANCE_SEED={seed}");
}

async fn check(case: &mut Case, seed: u64) -> Result<(), String> {
    let whole = replay(case, Cutting::Whole).await;
    whole.agrees()?;
    if whole.is_finished() && !case.says_finished() {
        return Err("finished, which the server never said".to_owned());
    }
    case.expect(&whole.short())?;
    let cuttings = (0..RANDOM).map(|more| Cutting::Random(seed.wrapping_add(more)));
    for cutting in cuttings.chain([Cutting::Bytes]) {
        let told = replay(case, cutting).await;
        if told != whole {
            return Err(format!(
                "{cutting:?} tells\n{told}instead of\n{whole}(both in full)"
            ));
        }
    }
    beginnings(case, seed).await
}

/// What has no end is never whole, even where its bytes end as if they did.
async fn beginnings(case: &Case, seed: u64) -> Result<(), String> {
    for more in 0..RANDOM {
        let Some(beginning) = case.beginning(seed.wrapping_add(more)) else {
            return Ok(());
        };
        let told = replay(&beginning, Cutting::Whole).await;
        if told.is_finished() && !beginning.says_finished() {
            return Err(format!(
                "finished though it only began:\n{beginning}\n{told}"
            ));
        }
    }
    Ok(())
}
