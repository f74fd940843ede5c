//! What a client says.
//!
//! Only as much of HTTP/1.1 (RFC 9112) as fixed texts need: GET and HEAD, one request a connection, of 8 KiB at most. A body is not
//! read: there is nothing that one could mean.

use super::answer::Status;

/// The longest request, in bytes, all fields included.
pub const LONGEST: usize = 8 << 10;

const MOST_FIELDS: usize = 64;

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Request {
    /// The path, without a query.
    pub path: String,
    /// Only the head of the answer is wanted.
    pub head: bool,
}

/// What the bytes so far are.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there is nothing else")]
pub enum Reading {
    /// The beginning of a request.
    Partial,
    /// A request, with whatever may follow.
    Whole(Request),
    /// Nothing that is answered otherwise.
    Refused(Status),
}

/// Reads what has come so far.
pub fn read(bytes: &[u8]) -> Reading {
    let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) if length <= LONGEST => whole(&request),
        Ok(httparse::Status::Partial) if bytes.len() < LONGEST => Reading::Partial,
        Ok(_) | Err(httparse::Error::TooManyHeaders) => Reading::Refused(Status::TooLarge),
        Err(httparse::Error::Version) => Reading::Refused(Status::Version),
        Err(_) => Reading::Refused(Status::Bad),
    }
}

fn whole(request: &httparse::Request<'_, '_>) -> Reading {
    let (Some(method), Some(target), Some(version)) =
        (request.method, request.path, request.version)
    else {
        return Reading::Refused(Status::Bad);
    };
    let is_host = |h: &&httparse::Header<'_>| h.name.eq_ignore_ascii_case("host");
    let hosts = request.headers.iter().filter(is_host).count();
    // Section 3.2.
    if hosts > 1 || (version == 1 && hosts == 0) {
        return Reading::Refused(Status::Bad);
    }
    let head = match method {
        "GET" => false,
        "HEAD" => true,
        _ => return Reading::Refused(Status::Method),
    };
    match path(target) {
        Some(path) => Reading::Whole(Request {
            path: path.to_owned(),
            head,
        }),
        None => Reading::Refused(Status::Bad),
    }
}

/// The path of a target, which may be a whole URL (section 3.2.2).
fn path(target: &str) -> Option<&str> {
    let path = match target.starts_with('/') {
        true => target,
        false => {
            let (scheme, rest) = target.split_once("://")?;
            if !scheme.eq_ignore_ascii_case("http") {
                return None;
            }
            rest.find('/').map_or("/", |at| &rest[at..])
        }
    };
    path.split(['?', '#']).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(path: &str) -> Reading {
        Reading::Whole(Request {
            path: path.to_owned(),
            head: false,
        })
    }

    #[test]
    fn paths_are_what_counts() {
        for (target, wanted) in [
            ("/metrics", "/metrics"),
            ("/metrics?name=a/b", "/metrics"),
            ("//", "//"),
            ("http://localhost:9100/status.json?x", "/status.json"),
            ("HTTP://localhost", "/"),
        ] {
            let text = format!("GET {target} HTTP/1.1\r\nhost: x\r\n\r\n");
            assert_eq!(read(text.as_bytes()), get(wanted), "{target}");
        }
        let head = read(b"HEAD / HTTP/1.0\r\n\r\n");
        assert!(matches!(head, Reading::Whole(Request { head: true, .. })));
    }

    #[test]
    fn what_is_no_request_of_ours_is_refused() {
        for (text, status) in [
            ("GET / HTTP/1.1\r\n\r\n", Status::Bad), // no Host
            ("GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n", Status::Bad),
            ("GET metrics HTTP/1.0\r\n\r\n", Status::Bad),
            ("GET ftp://x/ HTTP/1.0\r\n\r\n", Status::Bad),
            ("OPTIONS * HTTP/1.0\r\n\r\n", Status::Method),
            ("POST /metrics HTTP/1.0\r\n\r\n", Status::Method),
            ("GET / HTTP/2.0\r\n\r\n", Status::Version),
            ("GET / HTTP/1.0\r\nno field\r\n\r\n", Status::Bad),
            ("\x16\x03\x01\x02", Status::Bad), // TLS
            ("\0", Status::Bad),
        ] {
            assert_eq!(read(text.as_bytes()), Reading::Refused(status), "{text:?}");
        }
    }

    #[test]
    fn a_request_is_complete_with_its_last_byte() {
        let text = b"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n";
        for end in 0..text.len() {
            assert_eq!(read(&text[..end]), Reading::Partial, "{end}");
        }
        assert_eq!(read(text), get("/metrics"));
        let more = [&text[..], b"GET / HTTP/9"].concat();
        assert_eq!(
            read(&more),
            get("/metrics"),
            "what follows is not looked at"
        );
    }

    #[test]
    fn what_is_too_long_is_not_waited_for() {
        let with = |length: usize| {
            let text = b"GET / HTTP/1.0\r\nA: ".to_vec();
            [&text[..], &vec![b'a'; length - text.len()]].concat()
        };
        assert_eq!(read(&with(LONGEST - 1)), Reading::Partial);
        assert_eq!(read(&with(LONGEST)), Reading::Refused(Status::TooLarge));
        let whole = |length| [&with(length - 4)[..], b"\r\n\r\n"].concat();
        assert_eq!(read(&whole(LONGEST)), get("/"));
        assert_eq!(
            read(&whole(LONGEST + 1)),
            Reading::Refused(Status::TooLarge)
        );
        let fields = "a: b\r\n".repeat(MOST_FIELDS + 1);
        let text = format!("GET / HTTP/1.0\r\n{fields}\r\n");
        assert_eq!(read(text.as_bytes()), Reading::Refused(Status::TooLarge));
    }
}
