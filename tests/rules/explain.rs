//! The smallest change.

use super::*;

fn held(reasons: Vec<Reason>) -> Vec<Held> {
    reasons.into_iter().map(|reason| Held { reason, since: now().wall }).collect()
}

fn lacks(condition: Condition) -> Reason {
    Reason::Lacks { condition, source: "stated".to_owned() }
}

#[test]
fn the_smallest_change_is_the_fewest_that_leave_no_reason() {
    let at = |seconds| later(seconds).wall;
    let power = || Mend::Condition { condition: Condition::ExternalPower };
    let holds = |condition| Mend::Condition { condition };
    let cases: Vec<(&str, Vec<Reason>, Option<Timestamp>, Vec<Mend>)> = vec![
        ("eligible", vec![], None, vec![]),
        ("its floor", vec![Reason::EarliestBegin { at: at(9) }], None, vec![Mend::Wait { until: at(9) }]),
        (
            "who waits for the later waits for the sooner",
            vec![Reason::EarliestBegin { at: at(9) }, Reason::BudgetSpent { allowed: Duration::ZERO, at: at(99) }],
            None,
            vec![Mend::Wait { until: at(99) }],
        ),
        (
            "external power ends two wishes at once",
            vec![lacks(Condition::Charged), lacks(Condition::FullPower), Reason::Spaced { at: at(9) }],
            None,
            vec![power()],
        ),
        ("a plug is nearer than patience", vec![Reason::Spaced { at: at(9) }], None, vec![power()]),
        ("one of its own", vec![lacks(Condition::Charged)], None, vec![holds(Condition::Charged)]),
        (
            "its latest begin ends every wish",
            vec![lacks(Condition::Idle), Reason::Spaced { at: at(9) }],
            Some(at(50)),
            vec![Mend::Wait { until: at(50) }],
        ),
        (
            "but no need",
            vec![lacks(Condition::Network), lacks(Condition::Idle)],
            Some(at(50)),
            vec![holds(Condition::Network), holds(Condition::Idle)],
        ),
        (
            "everything else each by itself",
            vec![
                Reason::Behind { request: RequestId(3) },
                Reason::RunAfter { identifier: id("com.x.b"), stands: Awaited::Unasked },
                Reason::NoSlot { slots: 4 },
            ],
            None,
            vec![
                Mend::Finish { request: RequestId(3) },
                Mend::Succeed { identifier: id("com.x.b") },
                Mend::End { kind: None },
            ],
        ),
    ];
    for (what, reasons, latest_begin, expected) in cases {
        assert_eq!(smallest_change(&held(reasons), latest_begin), expected, "{what}");
    }
}

#[test]
fn so_many_missing_grants_that_they_cannot_be_weighed_are_all_named() {
    let missing = |number: u32| Reason::NotGranted {
        bundle: bundle_id("com.x"),
        missing: Missing { ask: format!("for the secret `{number}`"), option: String::new() },
    };
    assert_eq!(smallest_change(&held((0..40).map(missing).collect()), None).len(), 40);
}
