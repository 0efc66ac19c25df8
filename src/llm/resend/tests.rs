use std::fmt::Write as _;

use expect_test::expect;

use super::*;
use crate::llm::{InvalidHeader, TlsFailure, refusal::Refusal};

const SECOND: Duration = Duration::from_secs(1);

fn status(code: u16) -> Failure {
    Failure::Status { code, wait: None }
}

fn status_after(code: u16, seconds: u64) -> Failure {
    Failure::Status {
        code,
        wait: Some(Duration::from_secs(seconds)),
    }
}

/// Nothing speaks against it.
fn at_will(made: &[Kind]) -> Situation<'_> {
    Situation {
        retries: Retries {
            max: 10,
            ambiguous: true,
        },
        made,
        time_left: 600 * SECOND,
        within_budget: true,
        jitter: 0.5,
    }
}

/// The delays of a request that fails in one way until it is given up.
fn delays(failure: Failure) -> Vec<f64> {
    let mut made = Vec::new();
    let mut delays = Vec::new();
    while let Some(again) = decide(failure, &at_will(&made)) {
        made.push(again.kind);
        delays.push(again.delay.as_secs_f64());
    }
    delays
}

#[test]
fn the_table_is_kept() {
    let mut table = String::new();
    for (row, failure) in [
        ("A transient", Failure::Unsent { transient: true }),
        ("A lasting", Failure::Unsent { transient: false }),
        ("B", Failure::NoHead),
        ("B'", Failure::Silence),
        ("C 429", status(429)),
        ("C 503", status(503)),
        ("C 529", status(529)),
        ("C 429 after 2", status_after(429, 2)),
        ("C 503 after 60", status_after(503, 60)),
        ("C 503 after 61", status_after(503, 61)),
        ("C 500", status(500)),
        ("C 502", status(502)),
        ("C 504", status(504)),
        ("C 500 after 7", status_after(500, 7)),
        ("C 408", status(408)),
        ("C 409", status(409)),
        ("D", Failure::NoOutput),
        ("E", Failure::Cut),
        ("final", Failure::Final),
    ] {
        writeln!(table, "{row:<15} {:?}", delays(failure)).unwrap();
    }
    expect![[r#"
        A transient     [0.25, 0.5, 1.0]
        A lasting       []
        B               [0.0]
        B'              []
        C 429           [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0, 30.0, 30.0]
        C 503           [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0, 30.0, 30.0]
        C 529           [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0, 30.0, 30.0]
        C 429 after 2   [2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0]
        C 503 after 60  [60.0, 60.0, 60.0, 60.0, 60.0, 60.0, 60.0, 60.0, 60.0, 60.0]
        C 503 after 61  []
        C 500           [1.0]
        C 502           [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0, 30.0, 30.0]
        C 504           [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0, 30.0, 30.0]
        C 500 after 7   [7.0]
        C 408           [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0, 30.0, 30.0]
        C 409           [1.0]
        D               [0.0]
        E               []
        final           []
    "#]]
    .assert_eq(&table);
}

#[test]
fn no_other_status_is_ever_asked_again() {
    let again = [408, 409, 429, 500, 502, 503, 504, 529];
    for code in 0..=999 {
        assert_eq!(
            decide(status(code), &at_will(&[])).is_some(),
            again.contains(&code),
            "{code}"
        );
    }
}

/// How often each failure may be answered by sending again, as the reference has it.
fn allowed(failure: Failure, ambiguous: bool) -> usize {
    match failure {
        Failure::Unsent { transient } => 3 * usize::from(transient),
        Failure::NoHead => usize::from(ambiguous),
        Failure::NoOutput => 1,
        Failure::Silence | Failure::Cut | Failure::Final => 0,
        Failure::Status { code, .. } => match code {
            408 | 429 | 502 | 503 | 504 => usize::MAX,
            409 | 500 => 1,
            _ => 0,
        },
    }
}

/// Every failure in every situation: sent again exactly when nothing speaks against it.
#[test]
fn every_limit_holds_in_every_combination() {
    let mut failures = vec![
        Failure::Unsent { transient: true },
        Failure::Unsent { transient: false },
        Failure::NoHead,
        Failure::Silence,
        Failure::NoOutput,
        Failure::Cut,
        Failure::Final,
    ];
    for code in [400, 401, 404, 408, 409, 422, 429, 500, 501, 502, 503, 504] {
        failures.push(status(code));
        failures.extend([0, 5, 60, 61].map(|seconds| status_after(code, seconds)));
    }
    const KINDS: [Kind; 7] = [
        Kind::Unsent,
        Kind::NoHead,
        Kind::Busy,
        Kind::Gateway,
        Kind::Failing,
        Kind::Conflict,
        Kind::NoOutput,
    ];
    // Up to four of each kind, then up to two of another.
    let mut histories = Vec::new();
    for (kind, other) in KINDS.into_iter().zip(KINDS.into_iter().cycle().skip(1)) {
        for (count, others) in (0..=4).flat_map(|count| [(count, 0), (count, 1), (count, 2)]) {
            let mut made = vec![kind; count];
            made.resize(count + others, other);
            histories.push(made);
        }
    }
    let waits = [Duration::ZERO, SECOND, 60 * SECOND, 600 * SECOND];
    let mut seen = 0;
    for failure in failures {
        let own = decide(failure, &at_will(&[])).map(|again| again.kind);
        for made in &histories {
            let of_own = made.iter().filter(|made| Some(**made) == own).count();
            for (max, ambiguous, within_budget, time_left, jitter) in (0..=10)
                .flat_map(|max| [(max, true), (max, false)])
                .flat_map(|(max, ambiguous)| [(max, ambiguous, true), (max, ambiguous, false)])
                .flat_map(|(max, ambiguous, budget)| {
                    waits.map(|time_left| (max, ambiguous, budget, time_left))
                })
                .flat_map(|(max, ambiguous, budget, time_left)| {
                    [0.0, 1.0].map(|jitter| (max, ambiguous, budget, time_left, jitter))
                })
            {
                let situation = Situation {
                    retries: Retries { max, ambiguous },
                    made,
                    time_left,
                    within_budget,
                    jitter,
                };
                let decision = decide(failure, &situation);
                let may = of_own < allowed(failure, ambiguous)
                    && made.len() < max as usize
                    && within_budget;
                match decision {
                    Some(again) => {
                        assert!(may, "{failure:?} {situation:?}");
                        assert!(again.delay < time_left, "{failure:?} {situation:?}");
                        assert!(again.delay <= 60 * SECOND, "{failure:?} {situation:?}");
                        assert_eq!(Some(again.kind), own);
                    }
                    // With so much time, only a server that wants to be left alone is.
                    None if may && time_left == 600 * SECOND => {
                        assert!(
                            matches!(failure, Failure::Status { wait: Some(wait), .. } if wait > 60 * SECOND),
                            "{failure:?} {situation:?}"
                        );
                    }
                    None => {}
                }
                seen += 1;
            }
        }
    }
    assert!(seen > 1_000_000, "{seen} combinations are not all");
}

#[test]
fn a_wait_that_would_outlast_the_deadline_is_not_begun() {
    let again = |failure, time_left| {
        let situation = Situation {
            time_left,
            ..at_will(&[])
        };
        decide(failure, &situation).is_some()
    };
    assert!(again(status_after(429, 30), 31 * SECOND));
    assert!(!again(status_after(429, 30), 30 * SECOND));
    assert!(again(Failure::NoHead, SECOND));
    assert!(!again(Failure::NoHead, Duration::ZERO));
}

#[test]
fn jitter_moves_a_backoff_by_a_fifth_and_leaves_the_servers_word_alone() {
    let delay = |failure, jitter| {
        let situation = Situation {
            jitter,
            ..at_will(&[])
        };
        decide(failure, &situation).unwrap().delay
    };
    for (jitter, milliseconds) in [
        (-1.0, 800),
        (0.0, 800),
        (0.5, 1000),
        (1.0, 1200),
        (9.0, 1200),
    ] {
        let expected = Duration::from_millis(milliseconds);
        assert_eq!(delay(status(429), jitter), expected);
        assert_eq!(delay(status_after(429, 2), jitter), 2 * SECOND);
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the carrier's")]
struct Carried {
    transient: bool,
}

impl Carrier for Carried {
    fn is_transient(&self) -> bool {
        self.transient
    }
}

fn refused(status: Option<u16>, kind: RefusalKind) -> Error<Carried> {
    Error::Refused(Refusal {
        kind,
        status,
        message: "no".to_owned(),
        retry_after: Some(SECOND),
    })
}

/// What each error means, depending on how far the request came.
#[test]
fn every_error_has_its_row() {
    use Reached::{Head, Nothing, Output, Written};
    let timeout = |clock| Error::Timeout {
        clock,
        limit: SECOND,
    };
    let no_reply = || Error::NoReply { source: None };
    let unsent = |transient| Failure::Unsent { transient };
    let said = |code| Failure::Status {
        code,
        wait: Some(SECOND),
    };
    let cases: Vec<(Error<Carried>, Reached, Failure)> = vec![
        (
            Error::Open(Carried { transient: true }),
            Nothing,
            unsent(true),
        ),
        (
            Error::Open(Carried { transient: false }),
            Nothing,
            unsent(false),
        ),
        (no_reply(), Nothing, unsent(true)),
        (no_reply(), Written, Failure::NoHead),
        (timeout(Clock::Connect), Nothing, unsent(true)),
        (timeout(Clock::Connect), Written, Failure::Silence),
        (timeout(Clock::FirstToken), Nothing, Failure::Silence),
        (timeout(Clock::FirstToken), Written, Failure::Silence),
        (timeout(Clock::FirstToken), Head, Failure::Silence),
        (timeout(Clock::Total), Written, Failure::Silence),
        (timeout(Clock::Idle), Output, Failure::Cut),
        (Error::Interrupted { source: None }, Head, Failure::NoOutput),
        (Error::Interrupted { source: None }, Output, Failure::Cut),
        (
            refused(Some(429), RefusalKind::RateLimited),
            Head,
            said(429),
        ),
        (
            refused(Some(503), RefusalKind::Unavailable),
            Head,
            said(503),
        ),
        (refused(Some(500), RefusalKind::Other), Head, said(500)),
        (
            refused(Some(500), RefusalKind::ImagesUnsupported),
            Head,
            Failure::Final,
        ),
        (
            refused(Some(503), RefusalKind::Loading),
            Head,
            Failure::Final,
        ),
        (refused(Some(500), RefusalKind::Auth), Head, Failure::Final),
        (
            refused(Some(403), RefusalKind::HostHeader),
            Head,
            Failure::Final,
        ),
        (
            refused(Some(404), RefusalKind::WrongPath),
            Head,
            Failure::Final,
        ),
        (
            refused(Some(404), RefusalKind::InvalidModel),
            Head,
            Failure::Final,
        ),
        (
            refused(
                Some(500),
                RefusalKind::ContextOverflow {
                    needed: None,
                    available: None,
                },
            ),
            Head,
            Failure::Final,
        ),
        (
            refused(Some(500), RefusalKind::ToolsUnsupported { hint: None }),
            Head,
            Failure::Final,
        ),
        (
            refused(None, RefusalKind::RateLimited),
            Head,
            Failure::Final,
        ),
        (Error::Tls(TlsFailure::SelfSigned), Nothing, Failure::Final),
        (Error::Tls(TlsFailure::Closed), Nothing, Failure::Final),
        (Error::Protocol("odd".to_owned()), Head, Failure::Final),
        (
            Error::NotHttp {
                said: String::new(),
            },
            Nothing,
            Failure::Final,
        ),
        (
            Error::Redirected {
                status: 302,
                location: None,
            },
            Written,
            Failure::Final,
        ),
        (
            Error::UnexpectedContent {
                content_type: String::new(),
                excerpt: String::new(),
            },
            Head,
            Failure::Final,
        ),
        (
            Error::Header(InvalidHeader {
                name: "x".to_owned(),
                problem: crate::llm::HeaderProblem::Name,
            }),
            Nothing,
            Failure::Final,
        ),
    ];
    for (error, reached, expected) in cases {
        assert_eq!(
            Failure::of(&error, reached),
            expected,
            "{error:?} {reached:?}"
        );
    }
}
