//! The person at the terminal: what is shown, and what is asked.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "here stdout is for a person"
)]

use std::io::{IsTerminal, Write};
use std::process::{Command, Stdio};

/// Prints a line.
pub(crate) fn line(text: &str) {
    println!("{text}");
}

/// Prints at once, without ending the line.
pub(crate) fn piece(text: &str) {
    print!("{text}");
    // A reader that is gone is noticed by the next line.
    let _flushed = std::io::stdout().flush();
}

/// Asks for one line; `None` if there is nobody to ask. What must not be seen is typed unseen.
pub(crate) fn ask(question: &str, echo: bool) -> Option<String> {
    if !std::io::stdin().is_terminal() {
        line(&format!("{question} (nobody at a terminal to answer)"));
        return None;
    }
    piece(question);
    // A shell of its own turns the echo on again however it ends, Ctrl-C included.
    let script = if echo {
        r#"IFS= read -r line && printf %s "$line""#
    } else {
        r#"trap 'stty echo' EXIT; trap 'exit 130' INT TERM; stty -echo
           IFS= read -r line && printf %s "$line""#
    };
    let output = Command::new("sh")
        .args(["-c", script])
        .stdin(Stdio::inherit())
        .stderr(Stdio::inherit())
        .output()
        .ok()?;
    if !echo {
        line("");
    }
    let answer = String::from_utf8(output.stdout).ok()?;
    output.status.success().then_some(answer)
}

/// Text of a server, with nothing in it that a terminal would obey.
pub(crate) fn plain(text: &str) -> String {
    text.chars()
        .filter(|letter| !letter.is_control() || *letter == '\n')
        .collect()
}
