use super::*;
use serde_json::json;

/// (id, name, input or raw arguments)
type Made = (String, String, Value);

fn put_together(fragments: &[Value]) -> Vec<Made> {
    let mut calls = Calls::new("seed000".into());
    let mut events = Vec::new();
    let names = Names::default();
    for fragment in fragments {
        calls.take(fragment, &names, &mut events).unwrap();
    }
    let outcome = calls.finish(&names, false, &mut events);
    let valid = outcome.valid.into_iter().map(|block| match block {
        Block::ToolUse { id, name, input } => (id, name, input),
        other => panic!("{other:?}"),
    });
    let invalid = outcome
        .invalid
        .into_iter()
        .map(|call| (call.id, call.name, call.raw.into()));
    valid.chain(invalid).collect()
}

fn fragment(id: Option<&str>, index: Option<u64>, name: Option<&str>, arguments: Value) -> Value {
    json!({"id": id, "index": index, "function": {"name": name, "arguments": arguments}})
}

fn made(id: &str, name: &str, input: Value) -> Made {
    (id.into(), name.into(), input)
}

#[test]
fn fragments_find_their_call() {
    let f = fragment;
    let cases: Vec<(&str, Vec<Value>, Vec<Made>)> = vec![
        (
            "id and name first, then pieces by index, two calls interleaved",
            vec![
                f(Some("a"), Some(0), Some("f"), json!("")),
                f(Some("b"), Some(1), Some("g"), json!("{\"y\"")),
                f(None, Some(0), None, json!("{\"x\":")),
                f(None, Some(1), None, json!(":2}")),
                f(None, Some(0), None, json!("1}")),
            ],
            vec![
                made("a", "f", json!({"x": 1})),
                made("b", "g", json!({"y": 2})),
            ],
        ),
        (
            "an id that can't be shown is not kept",
            vec![
                f(Some("a\u{1b}[31m"), Some(0), Some("f"), json!("{}")),
                f(Some("a\u{202e}"), Some(1), Some("f"), json!("{}")),
            ],
            vec![
                made("seed00000", "f", json!({})),
                made("seed00001", "f", json!({})),
            ],
        ),
        (
            "index counted from one",
            vec![
                f(Some("a"), Some(1), Some("f"), json!("{")),
                f(None, Some(1), None, json!("}")),
            ],
            vec![made("a", "f", json!({}))],
        ),
        (
            "both at index 0 with their own ids",
            vec![
                f(Some("a"), Some(0), Some("f"), json!("{\"x\":1}")),
                f(Some("b"), Some(0), Some("f"), json!("{\"x\":2}")),
            ],
            vec![
                made("a", "f", json!({"x": 1})),
                made("b", "f", json!({"x": 2})),
            ],
        ),
        (
            "both at index 0, later pieces go to the later one",
            vec![
                f(Some("a"), Some(0), Some("f"), json!("{}")),
                f(Some("b"), Some(0), Some("f"), json!("{\"x\"")),
                f(None, Some(0), None, json!(":2}")),
            ],
            vec![made("a", "f", json!({})), made("b", "f", json!({"x": 2}))],
        ),
        (
            "no ids, always index 0, whole calls",
            vec![
                f(None, Some(0), Some("f"), json!("{\"x\":1}")),
                f(None, Some(0), Some("f"), json!("{\"x\":2}")),
                f(None, Some(0), Some("g"), Value::Null),
            ],
            vec![
                made("seed00000", "f", json!({"x": 1})),
                made("seed00001", "f", json!({"x": 2})),
                made("seed00002", "g", json!({})),
            ],
        ),
        (
            "no ids, always index 0, calls without arguments",
            vec![
                f(None, Some(0), Some("f"), json!("")),
                f(None, Some(0), Some("g"), json!("")),
            ],
            vec![
                made("seed00000", "f", json!({})),
                made("seed00001", "g", json!({})),
            ],
        ),
        (
            "ids but no index",
            vec![
                f(Some("a"), None, Some("f"), json!({"x": 1})),
                f(Some("b"), None, Some("f"), json!({"x": 2})),
            ],
            vec![
                made("a", "f", json!({"x": 1})),
                made("b", "f", json!({"x": 2})),
            ],
        ),
        (
            "neither id nor index",
            vec![
                f(None, None, Some("f"), json!("{\"x\"")),
                f(None, None, None, json!(":1}")),
                f(None, None, Some("f"), json!("{\"x\"")),
                f(None, None, Some("f"), json!(":2}")),
            ],
            vec![
                made("seed00000", "f", json!({"x": 1})),
                made("seed00001", "f", json!({"x": 2})),
            ],
        ),
        (
            "id and name in every fragment",
            vec![
                f(Some("a"), Some(0), Some("f"), json!("{")),
                f(Some("a"), Some(0), Some("f"), json!("\"x\":{")),
                f(Some("a"), Some(0), None, json!("}}")),
                f(Some("a"), Some(0), Some("f"), json!(" ")),
                f(Some("a"), Some(0), Some("f"), json!("")),
            ],
            vec![made("a", "f", json!({"x": {}}))],
        ),
        (
            "ids equal to the function's name",
            vec![
                f(Some("f"), Some(0), Some("f"), json!("{\"x\":1}")),
                f(Some("f"), Some(1), Some("f"), json!("{\"x\"")),
                f(None, Some(1), None, json!(":2}")),
                f(Some("f"), Some(2), Some("f"), json!("")),
            ],
            vec![
                made("f", "f", json!({"x": 1})),
                made("f_2", "f", json!({"x": 2})),
                made("f_3", "f", json!({})),
            ],
        ),
        (
            "the name again, and longer, before the arguments begin",
            vec![
                f(Some("a"), Some(0), Some("get"), json!("")),
                f(Some("a"), Some(0), Some("get_weather"), json!("")),
                f(None, Some(0), None, json!("{\"x\":")),
                f(None, Some(0), Some("get_weather_of"), json!("1}")),
            ],
            vec![made("a", "get_weather", json!({"x": 1}))],
        ),
        (
            "the name later than the id",
            vec![
                f(Some("a"), Some(0), None, json!("{\"x\":")),
                f(None, Some(0), Some("get_weather"), json!("1}")),
                f(None, Some(0), Some(""), json!("")),
            ],
            vec![made("a", "get_weather", json!({"x": 1}))],
        ),
        (
            "the id later than the index",
            vec![
                f(None, Some(0), None, json!("")),
                f(Some("a"), Some(0), Some("f"), json!("{}")),
            ],
            vec![made("a", "f", json!({}))],
        ),
        (
            "trailing blanks after arguments that parse",
            vec![
                f(None, Some(0), Some("f"), json!("{\"a\":1}")),
                f(None, Some(0), None, json!(" ")),
            ],
            vec![made("seed00000", "f", json!({"a": 1}))],
        ),
        (
            "a text that is not an object, and one cut short",
            vec![
                f(Some("a"), Some(0), Some("f"), json!("\"Paris\"")),
                f(Some("b"), Some(1), Some("g"), json!("{\"x\"")),
            ],
            vec![
                made("a", "f", json!("\"Paris\"")),
                made("b", "g", json!("{\"x\"")),
            ],
        ),
    ];
    for (what, fragments, expected) in cases {
        assert_eq!(put_together(&fragments), expected, "{what}");
    }
}

#[test]
fn a_call_is_told_of_when_its_name_is_known_and_its_arguments_begin() {
    let mut calls = Calls::new("seed000".into());
    let mut events = Vec::new();
    let names = Names::new(["fs.read"]);
    for fragment in [
        fragment(Some("a"), Some(0), None, json!("{")),
        fragment(None, Some(0), Some("fs_read"), json!("")),
        fragment(None, Some(0), None, json!("}")),
        fragment(Some("b"), Some(1), Some("get"), json!("")),
    ] {
        calls.take(&fragment, &names, &mut events).unwrap();
    }
    let delta = |text: &str| ChatEvent::ToolCallDelta {
        id: "a".into(),
        fragment: text.into(),
    };
    let started = ChatEvent::ToolCallStarted {
        id: "a".into(),
        name: "fs.read".into(),
    };
    assert_eq!(events, [started, delta("{"), delta("}")]);
    calls.finish(&names, false, &mut events);
    let told = ChatEvent::ToolCallStarted {
        id: "b".into(),
        name: "get".into(),
    };
    assert_eq!(events.pop(), Some(told));
}

#[test]
fn a_call_without_a_name_is_dropped_and_one_of_a_cut_answer_does_not_run() {
    let mut calls = Calls::new("seed000".into());
    let mut events = Vec::new();
    let names = Names::default();
    calls
        .take(
            &fragment(Some("a"), Some(0), None, json!("{}")),
            &names,
            &mut events,
        )
        .unwrap();
    assert_eq!(events, []);
    assert_eq!(calls.finish(&names, false, &mut events).nameless, 1);
    calls
        .take(
            &fragment(Some("b"), Some(0), Some("f"), json!("{}")),
            &names,
            &mut events,
        )
        .unwrap();
    let outcome = calls.finish(&names, true, &mut events);
    assert_eq!((outcome.valid.len(), outcome.invalid.len()), (0, 1));
}

#[test]
fn the_number_of_calls_and_their_length_are_bounded() {
    let names = Names::default();
    let mut calls = Calls::new("seed000".into());
    let mut events = Vec::new();
    let mut take = |index: u64, arguments: &str| {
        let fragment = fragment(None, Some(index), Some("f"), json!(arguments));
        calls.take(&fragment, &names, &mut events)
    };
    for index in 0..64 {
        take(index, "").unwrap();
    }
    assert!(matches!(take(64, ""), Err(Fault::Protocol(_))));
    assert!(matches!(
        take(0, &"x".repeat(MAX_ARGUMENTS + 1)),
        Err(Fault::Protocol(_))
    ));
}
