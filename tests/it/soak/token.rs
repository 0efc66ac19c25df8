//! Text that tells whose it is and where it belongs, so that whatever happens to it shows.

use std::collections::BTreeSet;

use super::plan::Plan;

/// One token; `filler` more bytes, of which some are parts of characters.
pub(super) fn token(prompt: u64, round: usize, number: u64, filler: usize) -> String {
    const PIECES: [&str; 3] = ["ä", "🐧", "-"];
    let mut token = format!("⟨{prompt}.{round}.{number}");
    let end = token.len() + filler;
    for piece in PIECES.iter().cycle() {
        if token.len() + piece.len() > end {
            break;
        }
        token.push_str(piece);
    }
    token.push('⟩');
    token
}

/// All that the model says in a round.
pub(super) fn text_of_round(plan: &Plan, round: usize) -> String {
    tokens_of_round(plan, round).collect()
}

/// All that the model says.
pub(super) fn text(plan: &Plan) -> String {
    tokens(plan).collect()
}

pub(super) fn tokens_of_round(plan: &Plan, round: usize) -> impl Iterator<Item = String> {
    let shape = &plan.rounds[round];
    (0..shape.tokens).map(move |number| token(plan.id, round, number, shape.filler))
}

fn tokens(plan: &Plan) -> impl Iterator<Item = String> {
    (0..plan.rounds.len()).flat_map(|round| tokens_of_round(plan, round))
}

/// What came of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reading {
    Whole,
    /// Up to some token.
    Beginning,
    Lost,
    Doubled,
    Reordered,
    /// Something that this model never said.
    Foreign,
}

/// Compares a text with what the model says.
pub(super) fn read(plan: &Plan, text: &str) -> Reading {
    let said: Vec<_> = tokens(plan).collect();
    let mut seen = BTreeSet::new();
    let (mut doubled, mut reordered, mut next) = (false, false, 0);
    for token in text.split_inclusive('⟩') {
        let expected = said.get(next).is_some_and(|said| said == token);
        let place = match expected {
            true => Some(next),
            false => said.iter().position(|said| said == token),
        };
        let Some(place) = place else {
            return Reading::Foreign;
        };
        doubled |= !seen.insert(place);
        reordered |= place < next;
        next = place + 1;
    }
    if doubled {
        Reading::Doubled
    } else if reordered {
        Reading::Reordered
    } else if seen.len() == said.len() {
        Reading::Whole
    } else if seen.len() == next {
        Reading::Beginning
    } else {
        Reading::Lost
    }
}

#[test]
fn every_damage_is_told_from_the_others() {
    let mut random = crate::support::random::Random::new(7);
    let mut plan = Plan::simple(12, &mut random);
    plan.rounds.truncate(1);
    plan.rounds[0].tokens = 4;
    let tokens: Vec<_> = tokens(&plan).collect();
    let reading = |places: &[usize]| {
        let text: String = places.iter().map(|place| tokens[*place].as_str()).collect();
        read(&plan, &text)
    };
    assert_eq!(reading(&[0, 1, 2, 3]), Reading::Whole);
    assert_eq!(reading(&[0, 1]), Reading::Beginning);
    assert_eq!(reading(&[]), Reading::Beginning);
    assert_eq!(reading(&[0, 2, 3]), Reading::Lost);
    assert_eq!(reading(&[1, 2, 3]), Reading::Lost);
    assert_eq!(reading(&[0, 1, 1, 2, 3]), Reading::Doubled);
    assert_eq!(reading(&[0, 1, 2, 3, 0]), Reading::Doubled);
    assert_eq!(reading(&[0, 2, 1, 3]), Reading::Reordered);
    let whole = text(&plan);
    assert_eq!(read(&plan, &whole[..whole.len() - 3]), Reading::Foreign);
    let other = token(13, 0, 0, plan.rounds[0].filler);
    assert_eq!(
        read(&plan, &format!("{}{other}", tokens[0])),
        Reading::Foreign
    );
}
