//! Secrets that are told apart from everything else, and are found in whatever form they show.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use memchr::memmem::find;

/// What every canary has around its name. Only letters and digits: no escaping changes it.
const BEGIN: &str = "kanarek";
const END: &str = "Q7Zt3Wx9";

/// A secret with a song: `kanarekNAMEQ7Zt3Wx9`, and anything around it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Canary(pub(crate) &'static str);

impl Canary {
    /// The part that shows in every form.
    fn song(self) -> &'static str {
        let begin = self.0.find(BEGIN).expect("it is a canary");
        let end = self.0.find(END).expect("it is a canary") + END.len();
        &self.0[begin..end]
    }

    /// In which form it is in there, if it is.
    pub(crate) fn form_in(self, bytes: &[u8]) -> Option<&'static str> {
        let song = self.song().as_bytes();
        let lower = bytes.to_ascii_lowercase();
        let listed = |between: &str| {
            let numbers: Vec<_> = song.iter().map(u8::to_string).collect();
            numbers.join(between)
        };
        let of_hex = |before: &str| -> String {
            let digits = song.iter().map(|byte| format!("{before}{byte:02x}"));
            digits.collect()
        };
        let any_case = [
            ("itself", self.song().to_ascii_lowercase()),
            ("hexadecimal", of_hex("")),
            ("percent-encoded", of_hex("%")),
            ("escaped", of_hex("\\x")),
            ("escaped as UTF-16", of_hex("\\u00")),
            ("numbers", listed(", ")),
            ("JSON numbers", listed(",")),
        ];
        let found = any_case
            .into_iter()
            .find(|(_, form)| find(&lower, form.as_bytes()).is_some());
        if let Some((form, _)) = found {
            return Some(form);
        }
        // At each place that it can have among the bytes that are encoded.
        let is_encoded = (0..3).any(|before| {
            let padded = [&vec![0; before], song].concat();
            [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD].iter().any(|base64| {
                let encoded = base64.encode(&padded);
                let whole = padded.len() / 3 * 4;
                find(bytes, &encoded.as_bytes()[(before * 8).div_ceil(6)..whole]).is_some()
            })
        });
        is_encoded.then_some("base64")
    }
}

/// Fails with the place if a canary is in this text.
pub(crate) fn assert_silent(canaries: &[Canary], place: &str, text: &[u8]) {
    for canary in canaries {
        if let Some(form) = canary.form_in(text) {
            let text = String::from_utf8_lossy(text);
            let song = canary.song();
            let line = text.lines().find(|line| line.contains(song));
            panic!("{song} ({form}) in {place}: {line:?}");
        }
    }
}

/// The same for every file below a folder, and for their names; yields how many there are.
pub(crate) fn assert_silent_files(canaries: &[Canary], folder: &Path) -> usize {
    let mut files = 0;
    for entry in std::fs::read_dir(folder).expect("the folder is ours") {
        let path = entry.expect("the folder is ours").path();
        let name = path.display().to_string();
        assert_silent(canaries, "a file's name", name.as_bytes());
        if path.is_dir() {
            files += assert_silent_files(canaries, &path);
        } else if let Ok(bytes) = std::fs::read(&path) {
            assert_silent(canaries, &name, &bytes);
            files += 1;
        }
    }
    files
}

#[test]
fn a_canary_is_found_in_every_form() {
    let canary = Canary("before \"kanarekFormQ7Zt3Wx9\" after");
    let text = canary.0;
    let of_hex = |before: &str| -> String {
        let digits = text.bytes().map(|byte| format!("{before}{byte:02X}"));
        digits.collect()
    };
    let forms = [
        text.to_owned(),
        format!("{text:?}"),
        format!("{:?}", text.as_bytes()),
        serde_json::json!({ "nested": serde_json::json!(text).to_string() }).to_string(),
        serde_json::json!(text.as_bytes()).to_string(),
        text.to_ascii_uppercase(),
        of_hex(""),
        of_hex("%"),
        of_hex("\\x"),
    ];
    for form in forms {
        assert!(canary.form_in(form.as_bytes()).is_some(), "{form}");
    }
    for before in 0..4 {
        let text = [&"x".repeat(before), text].concat();
        for base64 in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            let form = base64.encode(&text);
            assert_eq!(canary.form_in(form.as_bytes()), Some("base64"), "{form}");
        }
    }
    assert_eq!(canary.form_in(b"kanarekFormQ7Zt3Wx"), None);
}
