//! What a client is told, as HTTP/1.1.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// 200.
    Fine,
    /// 400: it makes no sense.
    Bad,
    /// 404: there is no such path.
    NotFound,
    /// 405: another method than GET and HEAD.
    Method,
    /// 431: it is too long.
    TooLarge,
    /// 503: something does not work, or not yet.
    Unavailable,
    /// 505: another version of HTTP than 1.0 and 1.1.
    Version,
}

impl Status {
    /// Its line's end.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Fine => "200 OK",
            Self::Bad => "400 Bad Request",
            Self::NotFound => "404 Not Found",
            Self::Method => "405 Method Not Allowed",
            Self::TooLarge => "431 Request Header Fields Too Large",
            Self::Unavailable => "503 Service Unavailable",
            Self::Version => "505 HTTP Version Not Supported",
        }
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: Status,
    /// The media type of the body.
    pub(super) media: &'static str,
    /// Shared by all who are given the same.
    pub(super) body: Arc<Vec<u8>>,
}

/// For people.
const PLAIN: &str = "text/plain; charset=utf-8";

impl Answer {
    pub(super) fn fine(media: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status: Status::Fine,
            media,
            body: Arc::new(body.into()),
        }
    }

    pub(super) fn text(status: Status, text: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            ..Self::fine(PLAIN, text)
        }
    }

    /// To a request that is refused.
    pub(super) fn refused(status: Status) -> Self {
        Self::text(status, format!("{}\n", status.text()))
    }

    /// Status line and fields. Each answer is the last of its connection.
    pub(super) fn head(&self, now: SystemTime) -> Vec<u8> {
        let allow = match self.status {
            Status::Method => "Allow: GET, HEAD\r\n",
            _ => "",
        };
        let head = format!(
            "HTTP/1.1 {}\r\nDate: {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n\
             Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n{allow}Connection: close\r\n\r\n",
            self.status.text(),
            date(now),
            self.media,
            self.body.len(),
        );
        head.into_bytes()
    }
}

/// A time as HTTP writes it (RFC 9110 section 5.6.7).
fn date(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH);
    let seconds = since.map_or(0, |d| d.as_secs());
    let (days, seconds) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let weekday = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][(days % 7) as usize];
    let month = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ][month as usize];
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
}

/// Year, month (from 0) and day (from 1) of so many days after 1970 began. Counted in years that begin in March, so that a leap
/// day is a year's last.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468; // since 1 March of the year 0
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = (from_march + 2) % 12;
    (era * 400 + year + u64::from(month < 2), month, day)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn dates_are_those_of_the_standard() {
        for (seconds, text) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"), // RFC 9110's example
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (951_868_799, "Tue, 29 Feb 2000 23:59:59 GMT"),
            (951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT"),
            (1_735_689_599, "Tue, 31 Dec 2024 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"), // no leap year
        ] {
            let time = UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(date(time), text);
        }
    }

    #[test]
    fn heads_say_how_long_the_body_is() {
        let head = |answer: &Answer| String::from_utf8(answer.head(UNIX_EPOCH)).unwrap();
        let fine = head(&Answer::fine("a/b", "hello"));
        assert!(fine.starts_with("HTTP/1.1 200 OK\r\n") && fine.ends_with("\r\n\r\n"));
        for field in [
            "Content-Length: 5",
            "Content-Type: a/b",
            "Connection: close",
        ] {
            assert!(fine.contains(&format!("\r\n{field}\r\n")), "{fine}");
        }
        assert!(!fine.contains("Allow"));
        assert!(head(&Answer::refused(Status::Method)).contains("\r\nAllow: GET, HEAD\r\n"));
    }
}
