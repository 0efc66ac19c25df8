//! What can be changed in a request that was refused.

use super::Question;
use crate::llm::{
    carrier::Carrier,
    dialect::Adjustments,
    refusal::{Refusal, RefusalKind},
};

impl<E: Carrier> Question<E> {
    /// The stream of its answer ended before there was anything in it. Some servers fail so, and
    /// say what is wrong only to who wants no stream (llama-cpp-python): if it is asked again, then
    /// so.
    pub(in crate::llm) fn got_an_empty_stream(&mut self) {
        self.adjustments.in_one_piece = true;
    }
}

/// Changes what the refusal names, if it was sent; true if asking again is worth it. Each change
/// is made at most once, so this ends.
pub(super) fn adjust(
    adjustments: &mut Adjustments,
    refusal: &Refusal,
    said: &str,
    sent: &[u8],
) -> bool {
    let status = refusal.status.unwrap_or_default();
    let has = |member: &[u8]| sent.windows(member.len()).any(|window| window == member);
    if matches!(status, 400 | 422) {
        if !adjustments.no_stream_options
            && (said.contains("stream_options") || said.contains("include_usage"))
        {
            adjustments.no_stream_options = true;
            return true;
        }
        if adjustments.return_progress && said.contains("return_progress") {
            adjustments.return_progress = false;
            return true;
        }
        if !adjustments.no_truncate
            && refusal.kind == RefusalKind::Other
            && (said.contains("truncate") || said.contains("shift"))
            && has(TRUNCATE)
        {
            adjustments.no_truncate = true;
            return true;
        }
    }
    // Templates that join strings fail on null, in their own words and often with a 500.
    if matches!(status, 400 | 422 | 500)
        && refusal.kind == RefusalKind::Other
        && !adjustments.empty_content
        && said.contains("content")
        && has(NULL_CONTENT)
    {
        adjustments.empty_content = true;
        return true;
    }
    false
}

/// Within a JSON string the quotes would be escaped.
const NULL_CONTENT: &[u8] = b"\"content\":null";
const TRUNCATE: &[u8] = b"\"truncate\":false";
