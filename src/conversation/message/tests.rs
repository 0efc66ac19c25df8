use serde_json::json;

use super::*;

fn text(text: &str) -> Block {
    Block::Text { text: text.into() }
}

fn call(id: &str) -> Block {
    Block::ToolUse {
        id: id.into(),
        name: "read".into(),
        input: json!({"n": 1}),
    }
}

fn result(id: &str) -> Block {
    Block::ToolResult {
        tool_use_id: id.into(),
        content: vec![text(&format!("r{id}"))],
        is_error: false,
    }
}

fn not_run(id: &str) -> Block {
    Block::ToolResult {
        tool_use_id: id.into(),
        content: vec![text("This call was not run.")],
        is_error: true,
    }
}

fn user(content: Vec<Block>) -> Message {
    Message {
        role: Role::User,
        content,
    }
}

fn assistant(content: Vec<Block>) -> Message {
    Message {
        role: Role::Assistant,
        content,
    }
}

fn system(content: Vec<Block>) -> Message {
    Message {
        role: Role::System,
        content,
    }
}

/// As if the host had just sent all of it.
fn sent(messages: Vec<Message>) -> Result<Vec<Message>, String> {
    normalise(None, messages, 0)
        .map(|normal| normal.messages)
        .map_err(|error| error.to_string())
}

/// As if all of it were history.
fn kept(messages: Vec<Message>) -> Vec<Message> {
    let count = messages.len();
    normalise(None, messages, count).unwrap().messages
}

#[test]
fn a_conversation_in_form_stays_as_it_is() {
    let messages = vec![
        user(vec![text("a")]),
        assistant(vec![text("b"), call("1"), call("2")]),
        user(vec![result("1"), result("2"), text("c")]),
        assistant(vec![text("d")]),
    ];
    assert_eq!(sent(messages.clone()), Ok(messages.clone()));
    assert_eq!(kept(messages.clone()), messages);
}

#[test]
fn messages_of_one_role_in_a_row_become_one() {
    assert_eq!(
        sent(vec![
            user(vec![text("a")]),
            user(vec![text("b")]),
            assistant(vec![text("c")]),
            assistant(vec![call("1")]),
            assistant(vec![call("2")]),
            user(vec![result("2")]),
            user(vec![text("d"), result("1")]),
        ]),
        Ok(vec![
            user(vec![text("a"), text("b")]),
            assistant(vec![text("c"), call("1"), call("2")]),
            user(vec![result("1"), result("2"), text("d")]),
        ])
    );
}

#[test]
fn system_messages_join_the_system_prompt_wherever_they_stand() {
    let normal = normalise(
        Some("one".into()),
        vec![
            system(vec![text("two"), text("three")]),
            user(vec![text("a")]),
            system(vec![text("four")]),
            user(vec![text("b")]),
        ],
        0,
    );
    assert_eq!(
        normal,
        Ok(Normal {
            system: Some("one\n\ntwo\n\nthree\n\nfour".into()),
            messages: vec![user(vec![text("a"), text("b")])],
        })
    );
    assert_eq!(
        normalise(Some(String::new()), vec![], 0),
        Ok(Normal::default())
    );
}

#[test]
fn what_the_host_sends_must_make_sense() {
    let hello = || user(vec![text("hello")]);
    let misinput = Block::ToolUse {
        id: "1".into(),
        name: "read".into(),
        input: json!("{}"),
    };
    let image = Block::Image {
        source: crate::llm::ImageSource::Url {
            url: "http://x".into(),
        },
    };
    let nested = Block::ToolResult {
        tool_use_id: "1".into(),
        content: vec![call("2")],
        is_error: false,
    };
    for (messages, error) in [
        (
            vec![hello(), user(vec![])],
            "messages[1]: there is no content",
        ),
        (
            vec![hello(), assistant(vec![text("")])],
            "messages[1]: there is no content",
        ),
        (
            vec![system(vec![image.clone()])],
            "messages[0]: an image block cannot be in a system message",
        ),
        (
            vec![assistant(vec![image])],
            "messages[0]: an image block cannot be in an assistant message",
        ),
        (
            vec![hello(), user(vec![call("1")])],
            "messages[1]: a tool_use block cannot be in a user message",
        ),
        (
            vec![assistant(vec![result("1")])],
            "messages[0]: a tool_result block cannot be in an assistant message",
        ),
        (
            vec![assistant(vec![call("1")]), user(vec![nested])],
            "messages[1]: a tool_use block cannot be in a tool_result of a user message",
        ),
        (
            vec![assistant(vec![call("")])],
            "messages[0]: a tool_use block has no id",
        ),
        (
            vec![assistant(vec![call("1"), call("1")])],
            "messages[0]: two tool_use blocks have the id `1`",
        ),
        (
            vec![assistant(vec![misinput])],
            "messages[0]: the input of tool_use `1` is not a JSON object",
        ),
        (
            vec![
                hello(),
                assistant(vec![call("1"), call("2")]),
                user(vec![result("1")]),
            ],
            "messages[1]: no tool_result answers tool_use `2` in the message after it",
        ),
        (
            vec![hello(), assistant(vec![call("1")])],
            "messages[1]: no tool_result answers tool_use `1` in the message after it",
        ),
        (
            vec![hello(), user(vec![result("1")])],
            "messages[1]: tool_result `1` answers no tool_use of the message before it",
        ),
        (
            vec![
                assistant(vec![call("1")]),
                user(vec![result("1")]),
                user(vec![result("1")]),
            ],
            "messages[2]: two tool_result blocks answer tool_use `1`",
        ),
    ] {
        assert_eq!(sent(messages), Err(error.into()));
    }
}

#[test]
fn errors_count_from_the_first_new_message() {
    let messages = vec![
        user(vec![text("a")]),
        assistant(vec![text("b")]),
        user(vec![text("c")]),
        user(vec![]),
    ];
    assert_eq!(
        normalise(None, messages, 2),
        Err(InvalidMessage {
            index: 1,
            problem: MessageProblem::Empty
        })
    );
}

#[test]
fn history_is_repaired() {
    assert_eq!(
        kept(vec![
            user(vec![text("a"), result("0")]),
            assistant(vec![]),
            user(vec![text("b"), call("9")]),
            assistant(vec![call("1"), call("2"), call("1"), result("1")]),
            user(vec![result("2"), result("2")]),
            assistant(vec![call("3")]),
        ]),
        [
            user(vec![
                text("a"),
                text("Result of an earlier tool call:"),
                text("r0"),
                text("b")
            ]),
            assistant(vec![call("1"), call("2")]),
            user(vec![not_run("1"), result("2")]),
            assistant(vec![call("3")]),
            user(vec![not_run("3")]),
        ]
    );
}

#[test]
fn a_new_message_may_answer_the_calls_of_the_history_or_let_them_be() {
    let history = [user(vec![text("a")]), assistant(vec![call("1"), call("2")])];
    let go_on = |message| {
        normalise(None, [&history[..], &[message]].concat(), 2)
            .unwrap()
            .messages
    };
    assert_eq!(
        go_on(user(vec![result("2"), result("1")])).last(),
        Some(&user(vec![result("1"), result("2")]))
    );
    assert_eq!(
        go_on(user(vec![text("never mind")])).last(),
        Some(&user(vec![not_run("1"), not_run("2"), text("never mind")]))
    );
}
