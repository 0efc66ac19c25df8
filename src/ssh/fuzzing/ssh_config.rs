//! ssh_config: a file of its own, and the same as a pasted block.

use super::is_clean;
use crate::ssh::Environment;
use crate::ssh::ssh_config::{names_of_block, parse_block};

/// The input is the text.
pub fn ssh_config(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else {
        return;
    };
    let environment = Environment::default();
    for text in [text.to_owned(), format!("Host gpu1\n{text}")] {
        let read = parse_block(&text, &environment);
        match &read {
            Ok(block) => {
                assert!(names_of_block(&text).contains(&block.alias));
                assert!(!block.settings.host_name.is_empty() && block.settings.port > 0);
                for warning in &block.settings.warnings {
                    assert!(is_clean(warning), "{warning:?}");
                }
                for jump in &block.settings.proxy_jump {
                    assert!(!jump.host.is_empty());
                }
            }
            Err(problem) => assert!(is_clean(&problem.to_string()), "{problem}"),
        }
        // The first value of an option counts; what follows adds nothing to it.
        if let Ok(block) = read {
            let longer = format!("{text}\nMatch all\n  Port {}\n", block.settings.port);
            if let Ok(again) = parse_block(&longer, &environment) {
                assert_eq!(again, block);
            }
        }
    }
}
