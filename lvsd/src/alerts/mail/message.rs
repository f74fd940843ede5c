//! A mail as it is sent: header and text (RFC 5322).
//!
//! Nothing that is put into it can end a header line or begin another: control characters are escaped. Headers that are not
//! ASCII become encoded words (RFC 2047). The date is in UTC.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use super::super::visible::one_line;
use super::settings::Settings;
use crate::alerts::Mail;

/// The longest subject in characters, as keepalived has it.
const SUBJECT: usize = 255;

/// The longest line of the text in bytes; RFC 5322 allows 998.
const LINE: usize = 900;

/// The whole mail, with lines that end in LF. `number` tells mails of one moment apart.
pub(super) fn message(settings: &Settings, mail: &Mail, at: SystemTime, number: u64) -> String {
    let mut text = String::new();
    let subject = one_line(&format!("[{}] {}", settings.name, mail.subject));
    let subject: String = subject.chars().take(SUBJECT).collect();
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (seconds, nanos) = (since.as_secs(), since.subsec_nanos());
    let host: String = settings.host.chars().filter(|c| is_host(*c)).collect();
    let process = std::process::id();
    let to: Vec<String> = settings.to.iter().map(|a| encoded(&a.shown)).collect();
    let header = [
        ("Date", date(seconds)),
        ("From", encoded(&settings.from.shown)),
        ("Subject", encoded(&subject)),
        ("X-Mailer", "lvsd".to_owned()),
        ("To", to.join(",\n ")),
        (
            "Message-ID",
            format!("<{seconds}.{nanos:09}.{process}.{number}@{host}>"),
        ),
        ("Auto-Submitted", "auto-generated".to_owned()),
        ("MIME-Version", "1.0".to_owned()),
        ("Content-Type", "text/plain; charset=utf-8".to_owned()),
        ("Content-Transfer-Encoding", "8bit".to_owned()),
    ];
    for (name, value) in header {
        let _ = writeln!(text, "{name}: {value}");
    }
    text.push('\n');
    for line in mail.body.lines() {
        write_line(&mut text, &one_line(line));
    }
    text
}

/// A line of the text, on several lines if it is too long for one.
fn write_line(text: &mut String, line: &str) {
    let mut length = 0;
    for c in line.chars() {
        if length + c.len_utf8() > LINE {
            text.push('\n');
            length = 0;
        }
        text.push(c);
        length += c.len_utf8();
    }
    text.push('\n');
}

fn is_host(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '-')
}

/// What goes into a header: an address in angle brackets at its end remains, words before it that are not ASCII are
/// encoded.
fn encoded(text: &str) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    match text.rfind('<').map(|at| text.split_at(at)) {
        Some((name, address)) if address.is_ascii() && text.ends_with('>') => {
            format!("{} {address}", encoded_words(name.trim().trim_matches('"')))
        }
        _ => encoded_words(text),
    }
}

/// An encoded word may have 75 characters, of which 12 are its frame.
const WORD: usize = 75 - 12;

fn encoded_words(text: &str) -> String {
    let mut words = vec![String::new()];
    for c in text.chars() {
        let mut buffer = [0; 4];
        let mut piece = String::new();
        for byte in c.encode_utf8(&mut buffer).bytes() {
            match byte {
                b' ' => piece.push('_'),
                b if b.is_ascii_alphanumeric() => piece.push(char::from(b)),
                b => {
                    let _ = write!(piece, "={b:02X}");
                }
            }
        }
        match words.last_mut() {
            Some(word) if word.len() + piece.len() <= WORD => word.push_str(&piece),
            _ => words.push(piece),
        }
    }
    let words: Vec<String> = words.iter().map(|w| format!("=?UTF-8?Q?{w}?=")).collect();
    words.join("\n ")
}

/// Seconds since 1970 as a mail's date (RFC 5322, section 3.3), in UTC.
fn date(seconds: u64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let days = seconds / 86400;
    let (year, month, day) = civil(days);
    let weekday = DAYS[(days % 7) as usize];
    let month = MONTHS[month - 1];
    format!("{weekday}, {day} {month} {year} {} +0000", clock(seconds))
}

/// Seconds since 1970 as the time of the day, in UTC.
pub(super) fn clock(seconds: u64) -> String {
    let second = seconds % 86400;
    format!(
        "{:02}:{:02}:{:02}",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

/// The year, the month (1 to 12) and the day of the month, of a day since 1970.
fn civil(days: u64) -> (u64, usize, u64) {
    let mut year = 1970;
    let mut rest = days;
    // Eras of 400 years all have as many days.
    year += rest / 146_097 * 400;
    rest %= 146_097;
    loop {
        let length = 365 + u64::from(is_leap(year));
        if rest < length {
            break;
        }
        rest -= length;
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 1;
    for length in lengths {
        if rest < length {
            break;
        }
        rest -= length;
        month += 1;
    }
    (year, month, rest + 1)
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::alerts::mail::settings::Address;

    fn settings(name: &str) -> Settings {
        Settings {
            name: name.to_owned(),
            host: "lb1.example".to_owned(),
            from: Address::new("lb <lb@example.com>").unwrap(),
            to: vec![
                Address::new("a@example.com").unwrap(),
                Address::new("张三 <b@example.com>").unwrap(),
            ],
            ..Settings::for_tests()
        }
    }

    fn mail(subject: &str, body: &str) -> Mail {
        Mail {
            subject: subject.to_owned(),
            body: body.to_owned(),
        }
    }

    #[test]
    fn a_whole_mail() {
        let at = UNIX_EPOCH + Duration::new(1_795_259_856, 5);
        let mail = mail(
            "Realserver [10.0.0.1]:tcp:80 - DOWN",
            "=> gone <=\nand more",
        );
        let text = message(&settings("LB"), &mail, at, 7);
        let process = std::process::id();
        let wanted = format!(
            "Date: Sat, 21 Nov 2026 11:17:36 +0000
From: lb <lb@example.com>
Subject: [LB] Realserver [10.0.0.1]:tcp:80 - DOWN
X-Mailer: lvsd
To: a@example.com,
 =?UTF-8?Q?=E5=BC=A0=E4=B8=89?= <b@example.com>
Message-ID: <1795259856.000000005.{process}.7@lb1.example>
Auto-Submitted: auto-generated
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

=> gone <=
and more
"
        );
        assert_eq!(text, wanted);
    }

    #[test]
    fn nothing_is_smuggled() {
        let evil = mail("x\r\nBcc: everybody@example.com\u{b}.", "a\n\u{1b}[2J\rb");
        let text = message(&settings("L\nB"), &evil, UNIX_EPOCH, 0);
        assert!(!text.lines().any(|l| l.starts_with("Bcc")));
        assert!(text.contains("Subject: [L | B] x | Bcc: everybody@example.com\\u{b}.\n"));
        assert!(text.ends_with("\n\na\n\\u{1b}[2Jb\n"), "{text}");
    }

    #[test]
    fn long_lines_are_cut() {
        let text = message(
            &settings("L"),
            &mail(&"é".repeat(400), &"ü".repeat(1000)),
            UNIX_EPOCH,
            0,
        );
        let longest = text.lines().map(str::len).max().unwrap();
        assert_eq!(longest, LINE);
        assert_eq!(text.matches('ü').count(), 1000);
        let (head, _) = text.split_once("\n\n").unwrap();
        assert!(head.is_ascii());
        assert!(
            head.lines().all(|l| l.len() <= 78 + "Subject: ".len()),
            "{head}"
        );
        assert_eq!(head.matches("=C3=A9").count(), SUBJECT - "[L] ".len());
    }

    #[test]
    fn dates() {
        for (seconds, wanted) in [
            (0, "Thu, 1 Jan 1970 00:00:00 +0000"),
            (951_782_399, "Mon, 28 Feb 2000 23:59:59 +0000"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 +0000"),
            (1_709_251_199, "Thu, 29 Feb 2024 23:59:59 +0000"),
            (4_107_542_400, "Mon, 1 Mar 2100 00:00:00 +0000"),
            (13_574_563_200, "Tue, 29 Feb 2400 00:00:00 +0000"),
            (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 +0000"),
        ] {
            assert_eq!(date(seconds), wanted);
        }
    }
}
