//! What a profile may say of models.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use super::{MODEL_LENGTH, NAME_LENGTH, number, optional, require, text};
use crate::config::error::Error;
use crate::config::profile::ModelProfile;
use crate::config::unknown::join;

const MODELS: usize = 256;
const TOKENS: RangeInclusive<u64> = 1..=1_000_000_000;

pub(super) fn models(models: &[ModelProfile]) -> Result<(), Error> {
    require(
        models.len() <= MODELS,
        "llm.models",
        "must not have more than 256 models",
    )?;
    let mut seen = BTreeSet::new();
    for (index, model) in models.iter().enumerate() {
        let at = |name| join(&format!("llm.models[{index}]"), name);
        text(&at("id"), &model.id, MODEL_LENGTH)?;
        require(seen.insert(&model.id), &at("id"), "is the id of two models")?;
        optional(&at("name"), model.name.as_ref(), |at, name| {
            text(at, name, NAME_LENGTH)
        })?;
        for (name, tokens) in [
            ("contextWindow", model.context_window),
            ("maxOutputTokens", model.max_output_tokens),
        ] {
            optional(&at(name), tokens.as_ref(), |at, tokens| {
                number(at, *tokens, TOKENS)
            })?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(id: &str) -> ModelProfile {
        ModelProfile {
            id: id.into(),
            ..ModelProfile::default()
        }
    }

    #[test]
    fn a_problem_names_the_model_and_its_field() {
        let long = ModelProfile {
            name: Some("n".repeat(201)),
            ..model("a")
        };
        let none = ModelProfile {
            context_window: Some(0),
            ..model("b")
        };
        let many: Vec<_> = (0..257).map(|number| model(&number.to_string())).collect();
        for (given, field) in [
            (vec![model("a"), model("")], "llm.models[1].id"),
            (vec![model("a\nb")], "llm.models[0].id"),
            (vec![model("a"), model("a")], "llm.models[1].id"),
            (vec![long], "llm.models[0].name"),
            (vec![model("a"), none], "llm.models[1].contextWindow"),
            (many, "llm.models"),
        ] {
            match models(&given) {
                Err(Error::Invalid { field: found, .. }) => assert_eq!(found, field),
                other => panic!("{field}: {other:?}"),
            }
        }
        assert!(models(&[model("org/m:7b@q4"), model("m")]).is_ok());
    }
}
