use expect_test::expect;

use crate::conversation::HistoryError;

use super::super::{history, unsaved};

#[test]
fn every_trouble_with_the_conversations_file_has_a_code_and_a_sentence() {
    let told = [
        HistoryError::Busy,
        HistoryError::TooNew,
        HistoryError::Corrupt {
            set_aside: "project-1.sqlite3.corrupt-1700000000".into(),
        },
        HistoryError::Io("database or disk is full".into()),
    ]
    .map(|error| {
        let object = history(&error);
        let retryable = if object.data.retryable {
            ", retryable"
        } else {
            ""
        };
        format!(
            "{:?}{retryable}\n  {}\n  {}\n",
            object.data.code,
            object.message,
            unsaved(&error)
        )
    });
    expect![[r#"
        StoreBusy, retryable
          The conversations' file is in use by another process. Try again in a moment.
          This part of the conversation is not saved yet; it is kept until the daemon ends. The conversations' file is in use by another process. Try again in a moment.
        StoreIo
          The conversations' file was written by a newer version, and is left as it is. Update, or begin a new conversation; it will end with the daemon.
          This part of the conversation is not saved yet; it is kept until the daemon ends. The conversations' file was written by a newer version, and is left as it is. Update, or begin a new conversation; it will end with the daemon.
        StoreIo
          The conversations' file was damaged. It is set aside as project-1.sqlite3.corrupt-1700000000, and a new one was begun.
          The conversations' file was damaged. It is set aside as project-1.sqlite3.corrupt-1700000000, and a new one was begun.
        StoreIo, retryable
          The conversations' file could not be read or written; what was saved before is intact. (database or disk is full)
          This part of the conversation is not saved yet; it is kept until the daemon ends. The conversations' file could not be read or written; what was saved before is intact. (database or disk is full)
    "#]].assert_eq(&told.concat());
}
