//! `Retry-After`: seconds or a date; `retry-after-ms`: milliseconds.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hyper::header::{HeaderMap, RETRY_AFTER};

/// How long a server wants us to wait; a date in the past is zero. At most a day.
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let wait = text("retry-after-ms")
        .and_then(|text| seconds(text).map(|ms| ms / 1000))
        .or_else(|| {
            let text = text(RETRY_AFTER.as_str())?;
            seconds(text).or_else(|| until(text, now))
        })?;
    Some(wait.min(DAY))
}

/// A number, possibly with a fraction.
fn seconds(text: &str) -> Option<Duration> {
    if !text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.')
    {
        return None;
    }
    Duration::try_from_secs_f64(text.parse().ok()?).ok()
}

/// `Wed, 21 Oct 2015 07:28:00 GMT`, the one form of date that servers still send.
fn until(text: &str, now: SystemTime) -> Option<Duration> {
    let (_weekday, rest) = text.split_once(", ")?;
    let mut parts = rest.split([' ', ':']);
    let mut next = || parts.next();
    let day: u64 = next()?.parse().ok()?;
    let month = match next()? {
        "Jan" => 1,
        "Feb" => 2,
        "Mar" => 3,
        "Apr" => 4,
        "May" => 5,
        "Jun" => 6,
        "Jul" => 7,
        "Aug" => 8,
        "Sep" => 9,
        "Oct" => 10,
        "Nov" => 11,
        "Dec" => 12,
        _ => return None,
    };
    let year: u64 = next()?.parse().ok()?;
    let hour: u64 = next()?.parse().ok()?;
    let minute: u64 = next()?.parse().ok()?;
    let second: u64 = next()?.parse().ok()?;
    let plausible = (1970..=9999).contains(&year)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second < 61;
    if !plausible || next() != Some("GMT") {
        return None;
    }
    let at = UNIX_EPOCH
        + Duration::from_secs(days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second);
    Some(at.duration_since(now).unwrap_or_default())
}

/// Days from 1970-01-01, with years counted from March so that the leap day comes last.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap_days = year / 4 - year / 100 + year / 400;
    365 * year + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: &'static str, value: &str, now: u64) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        retry_after(&headers, UNIX_EPOCH + Duration::from_secs(now))
    }

    #[test]
    fn seconds_milliseconds_and_dates_are_understood() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(parse("retry-after", "2", 0), seconds(2));
        assert_eq!(
            parse("retry-after", "0.5", 0),
            Some(Duration::from_millis(500))
        );
        assert_eq!(
            parse("retry-after-ms", "1500", 0),
            Some(Duration::from_millis(1500))
        );
        let date = "Wed, 21 Oct 2015 07:28:00 GMT";
        assert_eq!(parse("retry-after", date, 1_445_412_470), seconds(10));
        assert_eq!(parse("retry-after", date, 1_445_412_490), seconds(0));
        assert_eq!(
            parse(
                "retry-after",
                "Thu, 29 Feb 2024 00:00:00 GMT",
                1_709_164_799
            ),
            seconds(1)
        );
        assert_eq!(parse("retry-after", "99999999", 0), seconds(86_400));
        for nonsense in [
            "-1",
            "soon",
            "",
            "Wed, 99 Oct 2015 07:28:00 GMT",
            "Wed, 21 Oct 0000 07:28:00 GMT",
            "1e9999",
        ] {
            assert_eq!(parse("retry-after", nonsense, 0), None, "{nonsense}");
        }
    }
}
