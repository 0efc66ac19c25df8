//! Findings as a person reads them.

use std::fmt::Write as _;

use serde_json::Value;

use super::{Case, Findings, host::plain, sentence, text};

/// The table of every target, one after the other.
pub(super) fn render(findings: &Findings) -> String {
    findings
        .cases
        .iter()
        .map(|case| {
            let mut out = String::new();
            // Writing to a string does not fail.
            let _ = write_case(&mut out, case);
            out
        })
        .collect::<Vec<_>>()
        .join("\n")
}

fn write_case(out: &mut String, case: &Case) -> std::fmt::Result {
    let name = case.name.as_ref().filter(|name| **name != case.target);
    match name {
        Some(name) => writeln!(out, "{} ({})", plain(&case.target), plain(name))?,
        None => writeln!(out, "{}", plain(&case.target))?,
    }
    let drafted = case.draft.as_ref().map(|draft| &draft["warnings"]);
    match &case.outcome {
        Ok(result) => {
            write_stages(out, &result["stages"])?;
            write_warnings(out, drafted)?;
            write_warnings(out, Some(&result["warnings"]))?;
            write_end(out, case, result)
        }
        Err(error) => {
            write_warnings(out, drafted)?;
            write_error(out, error)
        }
    }
}

fn write_stages(out: &mut String, stages: &Value) -> std::fmt::Result {
    let stages: Vec<_> = stages.as_array().into_iter().flatten().collect();
    let hops = stages
        .iter()
        .filter_map(|stage| stage["hop"].as_u64())
        .max();
    let failed = stages.iter().any(|stage| stage["status"] == "failed");
    for stage in stages {
        let time = match stage["durationMs"].as_u64() {
            Some(time) => format!("{time} ms"),
            None => String::new(),
        };
        let name = match (stage["hop"].as_u64(), hops) {
            (Some(hop), Some(2..)) => format!("{} {hop}", text(&stage["name"])),
            _ => text(&stage["name"]).to_owned(),
        };
        // What failed stands out; why it did is told below, once.
        let (status, detail) = match text(&stage["status"]) {
            "failed" => ("FAILED", ""),
            "skipped" if failed => ("skipped", ""),
            other => (other, text(&stage["detail"])),
        };
        let row = format!("  {name:<15} {status:<8} {time:>9}  ");
        write_wrapped(out, &row, &plain(detail))?;
    }
    Ok(())
}

fn write_warnings(out: &mut String, warnings: Option<&Value>) -> std::fmt::Result {
    for warning in warnings.and_then(Value::as_array).into_iter().flatten() {
        write_wrapped(out, "  Note: ", &plain(text(warning)))?;
    }
    Ok(())
}

fn write_end(out: &mut String, case: &Case, result: &Value) -> std::fmt::Result {
    if !case.success() {
        return write_error(out, &result["error"]);
    }
    let Some(server) = result["server"].as_object() else {
        return writeln!(
            out,
            "  The way there works. Name its LLM server (--endpoint) to test that, too."
        );
    };
    let version = server.get("version").map_or("", text);
    let models = result["models"].as_array().map_or(0, Vec::len);
    let plural = if models == 1 { "" } else { "s" };
    let kind = server.get("kind").map_or("", text);
    let what = plain(&format!("{kind} {version}"));
    writeln!(out, "  Ready: {}, {models} model{plural}.", what.trim_end())
}

fn write_error(out: &mut String, error: &Value) -> std::fmt::Result {
    let code = text(&error["data"]["code"]);
    write_wrapped(out, &format!("  {code}: "), &plain(sentence(error)))?;
    if let Some(hint) = error["data"]["hint"].as_str() {
        // It may have a command to copy, so its lines are the terminal's.
        writeln!(out, "  Next: {}", plain(hint))?;
    }
    Ok(())
}

/// A text in lines of 80 columns, where words allow, after what the first one begins with.
fn write_wrapped(out: &mut String, begins: &str, text: &str) -> std::fmt::Result {
    const COLUMNS: usize = 80;
    let width = |text: &str| text.chars().count();
    // Under what begins the line, unless that leaves too little.
    let indent = if width(begins) > COLUMNS / 2 {
        4
    } else {
        width(begins)
    };
    let mut line = begins.to_owned();
    let mut is_empty = true;
    for word in text.split_whitespace() {
        if !is_empty && width(&line) + 1 + width(word) > COLUMNS {
            writeln!(out, "{line}")?;
            line = " ".repeat(indent);
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(word);
        is_empty = false;
    }
    writeln!(out, "{}", line.trim_end())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(outcome: Result<Value, Value>) -> String {
        let case = Case {
            target: "gpu".to_owned(),
            name: Some("GPU \u{1b}[31mbox".to_owned()),
            draft: None,
            outcome,
        };
        let mut out = String::new();
        write_case(&mut out, &case).unwrap();
        out
    }

    #[test]
    fn a_failed_stage_stands_out_and_is_explained_once() {
        let error = json!({
            "message": "gpu did not accept user ai.",
            "data": {"code": "SSH_AUTH_FAILED", "hint": "Add a key."},
        });
        let shown = shown(Ok(json!({
            "success": false,
            "error": error,
            "stages": [
                {"name": "tcp", "hop": 1, "status": "passed", "durationMs": 3, "detail": "Open."},
                {"name": "auth", "hop": 1, "status": "failed", "durationMs": 40,
                 "detail": "gpu did not accept user ai.", "error": error},
                {"name": "http", "status": "skipped", "detail": "Not tried."},
            ],
            "warnings": ["Compression has no effect here."],
        })));
        let expected = "\
gpu (GPU [31mbox)
  tcp             passed        3 ms  Open.
  auth            FAILED       40 ms
  http            skipped
  Note: Compression has no effect here.
  SSH_AUTH_FAILED: gpu did not accept user ai.
  Next: Add a key.
";
        assert_eq!(shown, expected);
    }

    #[test]
    fn long_texts_are_wrapped_and_hints_are_not() {
        let many = |word: &str| vec![word; 30].join(" ");
        let error = json!({
            "message": many("word"),
            "data": {"code": "SSH_AUTH_FAILED", "hint": many("command")},
        });
        let shown = shown(Ok(json!({
            "success": false,
            "error": error,
            "stages": [{"name": "tcp", "status": "passed", "detail": many("detail")}],
            "warnings": [],
        })));
        let (hint, others): (Vec<_>, Vec<_>) =
            shown.lines().partition(|line| line.contains("Next"));
        assert_eq!(hint.len(), 1);
        assert!(
            others.iter().all(|line| line.chars().count() <= 80),
            "{shown}"
        );
        let under = format!("\n{}detail detail", " ".repeat(38));
        assert!(shown.contains(&under), "{shown}");
        assert!(shown.contains("\n                   word word"), "{shown}");
    }

    #[test]
    fn several_hops_are_numbered() {
        let shown = shown(Ok(json!({
            "success": true,
            "stages": [
                {"name": "tcp", "hop": 1, "status": "passed", "detail": "a"},
                {"name": "tcp", "hop": 2, "status": "passed", "detail": "b"},
            ],
            "server": {"kind": "ollama", "version": "0.6"},
            "models": [{}],
            "warnings": [],
        })));
        assert!(shown.contains("  tcp 2           passed"), "{shown}");
        assert!(
            shown.ends_with("  Ready: ollama 0.6, 1 model.\n"),
            "{shown}"
        );
    }
}
