//! What a model's name says: the file or the repository that an engine serves tells how it was
//! quantized and of how many weights it is said to be.

use super::field::count;
use crate::llm::model::Parameters;

/// Fills in what nobody else has said. A name that could mean several things means nothing.
pub(super) fn add(name: &str, parameters: &mut Parameters) {
    // The folders around a file are not its name.
    let name = name.rsplit(['/', '\\']).next().unwrap_or(name);
    if parameters.quantization.is_none() {
        parameters.quantization = quantization(name);
    }
    if parameters.count.is_none() {
        parameters.count = weights(name);
    }
}

/// How methods of quantization are called, in lower case; what follows them is part of them.
const METHODS: &[&str] = &[
    "awq", "gptq", "fp8", "mxfp4", "nvfp4", "exl2", "exl3", "int4", "int8", "4bit", "8bit", "bf16",
    "fp16",
];

fn quantization(name: &str) -> Option<String> {
    let mut words = name.split(['-', '.', '@', ':', '+']);
    words
        .find(|word| is_gguf(word) || METHODS.contains(&word.to_ascii_lowercase().as_str()))
        .map(str::to_owned)
}

/// `Q4_K_M`, `IQ3_XS`, `q8_0`.
fn is_gguf(word: &str) -> bool {
    let word = word.to_ascii_uppercase();
    let Some(rest) = word.strip_prefix("IQ").or_else(|| word.strip_prefix('Q')) else {
        return false;
    };
    let mut parts = rest.split('_');
    let bits = parts.next().unwrap_or_default();
    let kinds = ["0", "1", "K", "XXS", "XS", "S", "M", "L", "XL", "NL"];
    let mut kind = parts.next();
    let is_kind = |kind: Option<&str>| kind.is_some_and(|kind| kinds.contains(&kind));
    let is_first = is_kind(kind);
    kind = parts.next();
    bits.len() == 1
        && bits.bytes().all(|byte| byte.is_ascii_digit())
        && is_first
        && (kind.is_none() || is_kind(kind))
        && parts.next().is_none()
}

/// `7B` in `Qwen2.5-7B-Instruct`; none in `8x7B`, and none where two are.
fn weights(name: &str) -> Option<u64> {
    let is_count = |word: &&str| word.ends_with(['b', 'B', 'm', 'M']);
    let mut counts = name
        .split(['-', '_', ':'])
        .filter(is_count)
        .filter_map(count);
    counts.next().filter(|_| counts.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_or_a_repository_tells_its_quantization_and_its_size() {
        for (name, quantization, count) in [
            (
                "/models/Qwen2.5-7B-Instruct-Q4_K_M.gguf",
                Some("Q4_K_M"),
                Some(7_000_000_000),
            ),
            ("koboldcpp/tiny-1.1b.IQ3_XS", Some("IQ3_XS"), None),
            (
                "Qwen/Qwen2.5-0.5B-Instruct-AWQ",
                Some("AWQ"),
                Some(500_000_000),
            ),
            (
                "mlx-community/SmolLM-135M-4bit",
                Some("4bit"),
                Some(135_000_000),
            ),
            ("org/Llama-3-8B-FP8", Some("FP8"), Some(8_000_000_000)),
            ("C:\\models\\m-q8_0.gguf", Some("q8_0"), None),
            // Nothing is made of what is not clear.
            ("mistralai/Mixtral-8x7B-v0.1", None, None),
            ("a-1B-and-2B", None, None),
            ("Q-4", None, None),
            ("Qwen3", None, None),
            ("Q4_", None, None),
            ("", None, None),
            ("/", None, None),
        ] {
            let mut parameters = Parameters::default();
            add(name, &mut parameters);
            let told = (parameters.quantization.as_deref(), parameters.count);
            assert_eq!(told, (quantization, count), "{name}");
        }
    }

    #[test]
    fn who_knows_better_is_not_corrected_by_a_name() {
        let known = Parameters {
            quantization: Some("Q8_0".into()),
            count: Some(7_615_616_512),
            ..Parameters::default()
        };
        let mut told = known.clone();
        add("m-7B-Q4_K_M", &mut told);
        assert_eq!(told, known);
    }
}
