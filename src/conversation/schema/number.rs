//! Numbers as JSON Schema sees them: by their mathematical value, so that 1.0 is 1 and 0.0075 is a
//! multiple of 0.0001.

use std::cmp::Ordering;

use serde_json::Number;

pub(super) fn compare(left: &Number, right: &Number) -> Ordering {
    match aligned(left, right) {
        Some((left, right)) => left.cmp(&right),
        None => float(left).total_cmp(&float(right)),
    }
}

pub(super) fn is_multiple(number: &Number, of: &Number) -> bool {
    match aligned(number, of) {
        Some((_, 0)) => false,
        Some((number, of)) => number % of == 0,
        None => {
            let times = float(number) / float(of);
            times.is_finite() && times.fract() == 0.0
        }
    }
}

pub(super) fn is_integer(number: &Number) -> bool {
    !number.is_f64() || float(number).fract() == 0.0
}

/// A count that a keyword names, such as `maxLength: 3` or `3.0`.
pub(super) fn count(number: &Number) -> Option<u64> {
    let whole = number.as_u64();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "saturates"
    )]
    whole.or_else(|| {
        let value = float(number);
        (value >= 0.0 && value.fract() == 0.0).then_some(value as u64)
    })
}

fn float(number: &Number) -> f64 {
    number.as_f64().unwrap_or(f64::NAN)
}

/// Both as whole numbers of the same power of ten, if such numbers are not too large.
fn aligned(left: &Number, right: &Number) -> Option<(i128, i128)> {
    let (left, right) = (decimal(left)?, decimal(right)?);
    let power = left.1.min(right.1);
    let scale = |(digits, own): (i128, i32)| {
        let tens = 10i128.checked_pow(own.abs_diff(power))?;
        digits.checked_mul(tens)
    };
    Some((scale(left)?, scale(right)?))
}

/// Digits and the power of ten to multiply them with.
fn decimal(number: &Number) -> Option<(i128, i32)> {
    if let Some(whole) = number.as_i128() {
        return Some((whole, 0));
    }
    let text = format!("{:e}", number.as_f64()?); // the shortest that reads back the same
    let (digits, power) = text.split_once('e')?;
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let digits = format!("{whole}{fraction}").parse().ok()?;
    let places = i32::try_from(fraction.len()).ok()?;
    Some((digits, power.parse::<i32>().ok()? - places))
}
