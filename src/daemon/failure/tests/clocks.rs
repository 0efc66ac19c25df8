//! Each clock that runs out, as people read it.

use std::time::Duration;

use expect_test::expect;

use super::{check, scene};
use crate::{
    daemon::failure,
    llm::{Clock, Error},
    ssh,
};

fn ran_out(clock: Clock, seconds: u64) -> Error<ssh::Error> {
    Error::Timeout {
        clock,
        limit: Duration::from_secs(seconds),
    }
}

#[test]
fn each_clock_has_its_code_and_names_its_setting() {
    for (clock, seconds, expected) in [
        (
            Clock::Connect,
            10,
            expect![[r#"
                2015 "TIMEOUT_CONNECT", retryable true
                127.0.0.1:11434 on gpu1 did not take the request within 10 s. Is it overloaded? If the way there is slow, raise timeouts.connectMs."#]],
        ),
        (
            Clock::FirstToken,
            600,
            expect![[r#"
                2012 "TIMEOUT_FIRST_TOKEN", retryable false
                127.0.0.1:11434 on gpu1 did not begin to answer within 600 s. If it is loading a large model, raise timeouts.firstTokenMs."#]],
        ),
        (
            Clock::Idle,
            120,
            expect![[r#"
                2013 "TIMEOUT_IDLE", retryable false
                127.0.0.1:11434 on gpu1 went silent for 120 s in the middle of the answer (timeouts.idleMs). The text so far is kept."#]],
        ),
        (
            Clock::Total,
            60,
            expect![[r#"
                2014 "TIMEOUT_TOTAL", retryable false
                127.0.0.1:11434 on gpu1 did not finish within 60 s (timeouts.totalMs)."#]],
        ),
    ] {
        check(&failure::llm(&ran_out(clock, seconds), &scene()), &expected);
    }
}

#[test]
fn discovery_has_a_clock_of_its_own_and_shares_the_connect_clock() {
    check(
        &failure::discovery(&ran_out(Clock::FirstToken, 10), &scene()),
        &expect![[r#"
            2016 "TIMEOUT_DISCOVERY", retryable true
            127.0.0.1:11434 on gpu1 accepts connections, but did not say within 10 s which models it has (timeouts.discoveryMs). Is it overloaded, or not an LLM server?"#]],
    );
    let connect = failure::discovery(&ran_out(Clock::Connect, 10), &scene());
    assert_eq!(
        connect.data.code,
        crate::protocol::ErrorCode::TimeoutConnect
    );
}
