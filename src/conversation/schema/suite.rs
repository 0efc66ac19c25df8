//! The official JSON Schema Test Suite (MIT, `tests/data/json-schema/LICENSE`), commit 44401e0,
//! less what is about references, formats and content: those have rules of our own.

use serde_json::Value;

use super::*;

fn run(text: &str) {
    let groups: Vec<Value> = serde_json::from_str(text).unwrap();
    let mut ran = 0;
    let mut wrong = Vec::new();
    for group in groups {
        let name = format!("{}: {}", group["file"], group["description"]);
        let schema = match Schema::compile(&group["schema"]) {
            Ok(schema) => schema,
            // What leads out of the schema or cannot be had in linear time; both by design.
            Err(Problem::Unfit(_)) => continue,
            Err(problem) => {
                wrong.push(format!("{name}: {problem:?}"));
                continue;
            }
        };
        for test in group["tests"].as_array().unwrap() {
            ran += 1;
            let told = schema.check(&test["data"]);
            if told.is_ok() != test["valid"] {
                wrong.push(format!("{name}: {}: {told:?}", test["description"]));
            }
        }
    }
    assert!(ran > 450, "{ran} tests ran");
    assert!(
        wrong.is_empty(),
        "{}\n{} wrong",
        wrong.join("\n"),
        wrong.len()
    );
}

#[test]
fn draft_4_is_understood() {
    run(include_str!("../../../tests/data/json-schema/draft4.json"));
}

#[test]
fn draft_7_is_understood() {
    run(include_str!("../../../tests/data/json-schema/draft7.json"));
}

#[test]
fn draft_2020_12_is_understood() {
    run(include_str!(
        "../../../tests/data/json-schema/draft2020-12.json"
    ));
}
