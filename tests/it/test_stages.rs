//! A connection test while it runs: `remote-llm/test-stage`, for hosts that name their test.

use serde_json::{Value, json};

use crate::support::bed::{Bed, with};
use crate::support::daemon::Daemon;

/// What the host was told so far, oldest first.
fn told(daemon: &Daemon) -> Vec<Value> {
    daemon.read(|traffic| {
        traffic
            .notifications
            .iter()
            .filter(|message| message["method"] == "remote-llm/test-stage")
            .map(|message| message["params"].clone())
            .collect()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn each_stage_is_told_before_the_result_as_the_result_has_it() {
    let bed = Bed::start().await;
    let daemon = bed.daemon().await;
    let params = json!({"ssh": bed.ssh_params(), "llm": bed.llm_params(), "requestId": "mine"});
    let result = daemon.ok("remote-llm/test-connection", params).await;
    let mut over = Vec::new();
    let mut begun = 0;
    for params in told(&daemon) {
        assert_eq!(params["requestId"], "mine");
        let mut stage = params["stage"].clone();
        let hops = stage.as_object_mut().unwrap().remove("hops");
        assert_eq!(hops, Some(json!(1)));
        if stage["status"] == "started" {
            begun += 1;
        } else {
            over.push(stage);
        }
    }
    assert_eq!(json!(over), result["stages"]);
    assert!(begun >= 5, "every SSH stage begins: {begun}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_without_a_name_tells_its_result_only() {
    let bed = Bed::start().await;
    let daemon = bed.daemon().await;
    let params = json!({"ssh": bed.ssh_params(), "llm": bed.llm_params()});
    daemon.ok("remote-llm/test-connection", params).await;
    assert_eq!(told(&daemon), Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_stage_told_is_the_one_that_failed() {
    let bed = Bed::start().await;
    let daemon = bed.daemon().await;
    for (stage, ssh, llm) in [
        (
            "tcp",
            with(bed.ssh_params(), &json!({"port": 1})),
            bed.llm_params(),
        ),
        (
            "forward",
            bed.ssh_params(),
            json!({"apiEndpoint": "http://127.0.0.1:1"}),
        ),
    ] {
        let params = json!({"ssh": ssh, "llm": llm, "requestId": stage});
        let result = daemon.ok("remote-llm/test-connection", params).await;
        assert_eq!(result["success"], false, "{result:#}");
        let last = told(&daemon).pop().unwrap();
        assert_eq!(
            [
                &last["requestId"],
                &last["stage"]["name"],
                &last["stage"]["status"]
            ],
            [&json!(stage), &json!(stage), &json!("failed")],
        );
    }
}
