//! What is sent: keepalived's request, byte for byte, so that servers that know it by its `User-Agent` go on doing so.

use std::net::SocketAddr;

use crate::check::{HttpVersion, Page};
use crate::probe::shown::shown;
use crate::probe::{Failure, Reason};

/// The request for a page.
///
/// # Errors
///
/// Path or host have control characters, which would make them something else than a path or a host.
pub(super) fn request(
    page: &Page,
    version: HttpVersion,
    addr: SocketAddr,
) -> Result<Vec<u8>, Failure> {
    let host = match &page.host {
        Some(host) => host.clone(),
        // Without the interface of a link-local address, which means nothing to the server.
        None => SocketAddr::new(addr.ip(), addr.port()).to_string(),
    };
    for text in [&page.path, &host] {
        if text.chars().any(char::is_control) {
            let detail = format!("not fit for a request: {}", shown(text.as_bytes()));
            return Err(Failure::new(Reason::Local, detail));
        }
    }
    let (version, connection) = match version {
        HttpVersion::V1_0 => ("1.0", ""),
        HttpVersion::V1_0Close => ("1.0", "Connection: close\r\n"),
        HttpVersion::V1_1 => ("1.1", "Connection: close\r\n"),
    };
    let path = &page.path;
    let request = format!(
        "GET {path} HTTP/{version}\r\nUser-Agent: KeepAliveClient\r\n{connection}Host: {host}\r\n\r\n"
    );
    Ok(request.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(path: &str, host: Option<&str>, version: HttpVersion, addr: &str) -> String {
        let page = Page {
            path: path.to_owned(),
            host: host.map(str::to_owned),
            digest: None,
            status: Vec::new(),
            pattern: None,
        };
        match request(&page, version, addr.parse().unwrap()) {
            Ok(bytes) => String::from_utf8(bytes).unwrap(),
            Err(failure) => failure.to_string(),
        }
    }

    #[test]
    fn requests() {
        assert_eq!(
            made("/a?b=c", None, HttpVersion::V1_0, "192.0.2.1:80"),
            "GET /a?b=c HTTP/1.0\r\nUser-Agent: KeepAliveClient\r\nHost: 192.0.2.1:80\r\n\r\n"
        );
        assert_eq!(
            made("/", Some("www"), HttpVersion::V1_1, "192.0.2.1:80"),
            "GET / HTTP/1.1\r\nUser-Agent: KeepAliveClient\r\nConnection: close\r\nHost: www\r\n\r\n"
        );
        assert_eq!(
            made("/", None, HttpVersion::V1_0Close, "[fe80::1%3]:8080"),
            "GET / HTTP/1.0\r\nUser-Agent: KeepAliveClient\r\nConnection: close\r\nHost: [fe80::1]:8080\r\n\r\n"
        );
    }

    #[test]
    fn nothing_is_smuggled() {
        for (path, host) in [
            ("/ HTTP/1.0\r\nX: y", None),
            ("/", Some("a\nb")),
            ("/\0", None),
        ] {
            let text = made(path, host, HttpVersion::V1_0, "192.0.2.1:80");
            assert!(text.starts_with("could not be asked: not fit"), "{text}");
        }
    }
}
