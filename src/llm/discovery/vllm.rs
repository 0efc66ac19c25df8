//! vLLM says everything in its list, but its version. So does TensorRT-LLM.

use super::{Inquiry, Told, field::text};
use crate::llm::carrier::Carrier;

pub(super) async fn ask<E: Carrier>(inquiry: &Inquiry<'_, E>) -> Option<Told> {
    let answer = inquiry.get("/version").await?;
    let version = text(&answer, "version")?;
    Some(Told {
        version: Some(version),
    })
}
