//! Models that a person typed in: they know better than the server, and are all there is where it
//! has no list.

use std::collections::HashMap;

use crate::llm::{
    carrier::Carrier,
    context::TYPED,
    error::Error,
    model::{Discovery, Model, ServerInfo, ServerKind, TypedModel},
    options::Options,
    sanitize::sanitize,
};

/// Puts what was typed in over what the server said. A model that it did not list comes last: some
/// take more names than they tell.
pub(super) fn add(typed: &[TypedModel], models: &mut Vec<Model>) {
    if typed.is_empty() {
        return;
    }
    let listed: HashMap<_, _> = models
        .iter()
        .enumerate()
        .map(|(position, model)| (model.id.clone(), position))
        .collect();
    for typed in typed {
        match listed
            .get(&typed.id)
            .and_then(|position| models.get_mut(*position))
        {
            Some(model) => put(typed, model),
            None => models.push(model(typed)),
        }
    }
}

/// What was typed in, if the error is only about the list; the error otherwise.
pub(super) fn instead<E: Carrier>(
    options: &Options,
    error: Error<E>,
) -> Result<Discovery, Error<E>> {
    let why = match &error {
        _ if options.models.is_empty() => return Err(error),
        Error::Refused(refusal) => match refusal.status {
            Some(status @ (404 | 405 | 501)) => format!("HTTP {status}"),
            _ => return Err(error),
        },
        Error::UnexpectedContent { content_type, .. } => {
            format!("its answer is no list, but {content_type}")
        }
        _ => return Err(error),
    };
    let server = ServerInfo {
        kind: ServerKind::Generic,
        version: None,
    };
    Ok(Discovery {
        api: options.api_type.choose(&server),
        server,
        models: options.models.iter().map(model).collect(),
        warnings: vec![format!(
            "The server does not list its models ({why}): these are the ones that the profile names."
        )],
    })
}

fn model(typed: &TypedModel) -> Model {
    let mut model = Model {
        id: typed.id.clone(),
        name: sanitize(&typed.id),
        ..Model::default()
    };
    put(typed, &mut model);
    model
}

fn put(typed: &TypedModel, model: &mut Model) {
    if let Some(name) = &typed.name {
        model.name = sanitize(name);
    }
    if let Some(window) = typed.context_window {
        model.context_window.effective = Some(window);
        model.context_window.source = Some(TYPED);
    }
    model.max_output_tokens = typed.max_output_tokens.or(model.max_output_tokens);
    let can = &mut model.capabilities;
    can.tools = typed.tools.or(can.tools);
    can.vision = typed.vision.or(can.vision);
    can.reasoning = typed.reasoning.or(can.reasoning);
}
