//! What looks like a secret, taken out.

use std::sync::LazyLock;

use regex::Regex;

const REDACTED: &str = "[redacted]";

/// What gives secrets away by their form. The first group, if there is one, stays.
static FORMS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    [
        // PEM, whatever is inside.
        r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\z)",
        r"(?i)((?:proxy-)?authorization\W{1,5}(?:basic|bearer|digest)?\s*)[^\s\x22',}]+",
        r"(?i)(\bbearer\s+)[a-z0-9._~+/=-]{8,}",
        // OpenAI, Anthropic, Stripe; GitHub; GitLab; Slack; Hugging Face; Google; AWS.
        r"\bsk-[A-Za-z0-9_-]{16,}",
        r"\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,})",
        r"\bxox[abprs]-[A-Za-z0-9-]{10,}",
        r"\bhf_[A-Za-z0-9]{20,}",
        r"\bAIza[A-Za-z0-9_-]{30,}",
        r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
        // JSON Web Tokens.
        r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",
        // The password of an address.
        r"([a-z][a-z0-9+.-]*://[^\s/:@]*:)[^\s/@]+@",
    ]
    .into_iter()
    .filter_map(|form| Regex::new(form).ok())
    .collect()
});

/// Takes out everything that has the form of a secret.
pub fn redact(text: &str) -> String {
    let mut text = text.to_owned();
    for form in FORMS.iter() {
        if form.is_match(&text) {
            text = form
                .replace_all(&text, |found: &regex::Captures<'_>| {
                    let stays = found.get(1).map_or("", |group| group.as_str());
                    format!("{stays}{REDACTED}")
                })
                .into_owned();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_a_regular_expression() {
        assert_eq!(FORMS.len(), 11);
    }

    #[test]
    fn secrets_of_known_form_are_taken_out_and_the_rest_stays() {
        for (text, expected) in [
            (
                "a -----BEGIN OPENSSH PRIVATE KEY-----\nb3Blb\n-----END OPENSSH PRIVATE KEY----- z",
                "a [redacted] z",
            ),
            ("-----BEGIN RSA PRIVATE KEY-----\ncut off", "[redacted]"),
            (
                "Authorization: Bearer abc123",
                "Authorization: Bearer [redacted]",
            ),
            (
                "{\"authorization\":\"Basic dTpw\"}",
                "{\"authorization\":\"Basic [redacted]\"}",
            ),
            ("use sk-proj-0123456789abcdefXYZ now", "use [redacted] now"),
            ("ghp_0123456789abcdefghij0123", "[redacted]"),
            ("AKIAIOSFODNN7EXAMPLE", "[redacted]"),
            ("eyJhbGciOiJI.eyJzdWIiOiIx.c2ln", "[redacted]"),
            (
                "postgres://app:hunter2@db/x",
                "postgres://app:[redacted]db/x",
            ),
            (
                "http://host:8080/path and task-0123456789abcdefghij",
                "http://host:8080/path and task-0123456789abcdefghij",
            ),
        ] {
            assert_eq!(redact(text), expected);
        }
    }
}
