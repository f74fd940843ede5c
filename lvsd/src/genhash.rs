//! `lvsd genhash`: the digest of a page, as `digest` in an HTTP_GET or SSL_GET wants it.
//!
//! The page is asked for by the same probe that checks use, so what it prints is what a check will compute.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lvs_health::check::{HttpVersion, Page, Tls};
use lvs_health::probe::http::{Get, Outcome, Recipe};
use lvs_health::probe::{Probe, Progress, Verdict, tls};
use lvs_health::{Failure, Reason};
use socket2::{Domain, Socket, Type};

use crate::arguments::{Arguments, once, printable, say, understood};
use crate::exit;

const NAME: &str = "genhash";

const USAGE: &str = "\
Usage: lvsd genhash -s ADDRESS -p PORT -u PATH [OPTION]...

Asks a web server for a page and prints the MD5 sum of its body, for `digest` in HTTP_GET and SSL_GET. The options are those
of keepalived's genhash.

Options:
  -s, --server ADDRESS        the server's address
  -p, --port PORT             its port
  -u, --url PATH              the page, with the leading slash
  -S, --use-ssl               over TLS; the certificate is not verified
  -I, --use-sni               with the name of -V in the TLS hello
  -V, --use-virtualhost HOST  the Host header (default: address and port)
  -P, --protocol VERSION      1.0, 1.0c (with `Connection: close`) or 1.1 (default 1.0)
  -t, --timeout SECONDS       how long all of it may take (default 5)
  -m, --fwmark MARK           a firewall mark for the packets
  -v, --verbose               status, length and time too
  -h, --help                  this text

Exit status: 0 the sum is printed, 1 the page could not be had, 2 wrong usage.
";

#[derive(Debug)]
struct Options {
    addr: SocketAddr,
    page: Page,
    version: HttpVersion,
    tls: Option<Tls>,
    timeout: Duration,
    mark: u32,
    verbose: bool,
}

/// Runs `lvsd genhash` with the arguments behind that word, and returns its exit status (see the usage).
pub fn run(args: &[String]) -> ExitCode {
    let options = match understood(NAME, USAGE, parse(args)) {
        Ok(options) => options,
        Err(status) => return status,
    };
    let begin = Instant::now();
    match measure(&options) {
        Ok(outcome) => {
            let text = shown(&options, &outcome, begin.elapsed());
            // Whoever closed our output does not want to read on.
            let _ = io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(failure) => {
            let why = printable(&failure.to_string());
            say(NAME, &format!("{}: {why}", options.addr));
            ExitCode::from(exit::FAILED)
        }
    }
}

fn shown(options: &Options, outcome: &Outcome, took: Duration) -> String {
    let digest = outcome.digest.map_or_else(String::new, |d| d.to_string());
    match options.verbose {
        false => format!("{digest}\n"),
        true => format!(
            "status {}\nlength {} bytes\ntime {:.1} ms\ndigest {digest}\n",
            outcome.status,
            outcome.length,
            took.as_secs_f64() * 1000.0
        ),
    }
}

fn parse(args: &[String]) -> Result<Option<Options>, String> {
    let (mut server, mut port, mut url, mut host) = (None, None, None, None);
    let (mut secure, mut named, mut verbose) = (false, false, false);
    let mut version = HttpVersion::V1_0;
    let (mut seconds, mut mark) = (5, 0);
    let mut args = Arguments::new(args);
    while let Some(name) = args.next_name() {
        match name {
            "-h" | "--help" => return Ok(None),
            "-s" | "--server" => {
                let text = args.value()?;
                let ip: Result<IpAddr, _> = text.parse();
                let ip = ip.map_err(|_| format!("{text:?} is no IP address"))?;
                once(&mut server, name, ip)?;
            }
            "-p" | "--port" => once(&mut port, name, args.number(1..=u16::MAX)?)?,
            "-u" | "--url" => once(&mut url, name, args.value()?.to_owned())?,
            "-V" | "--use-virtualhost" => once(&mut host, name, args.value()?.to_owned())?,
            "-S" | "--use-ssl" => secure = args.flag()?,
            "-I" | "--use-sni" => named = args.flag()?,
            "-P" | "--protocol" => {
                version = match args.value()? {
                    "1.0" => HttpVersion::V1_0,
                    "1.0c" | "1.0C" => HttpVersion::V1_0Close,
                    "1.1" => HttpVersion::V1_1,
                    other => return Err(format!("{other:?} is none of 1.0, 1.0c and 1.1")),
                }
            }
            "-t" | "--timeout" => seconds = args.number(1..=3600)?,
            "-m" | "--fwmark" => mark = args.number(0..=u32::MAX)?,
            "-v" | "--verbose" => verbose = args.flag()?,
            _ => return Err(args.unknown()),
        }
    }
    let ip = server.ok_or("which server (-s ADDRESS)?")?;
    let port = port.ok_or("which port (-p PORT)?")?;
    let path = url.ok_or("which page (-u PATH)?")?;
    let tls = secure.then(|| Tls {
        server_name: host.clone().filter(|_| named),
        ..Tls::default()
    });
    Ok(Some(Options {
        addr: SocketAddr::new(ip, port),
        page: Page {
            path,
            host,
            digest: None,
            status: Vec::new(),
            pattern: None,
        },
        version,
        tls,
        timeout: Duration::from_secs(seconds),
        mark,
        verbose,
    }))
}

fn measure(options: &Options) -> Result<Outcome, Failure> {
    let recipe = Recipe::new(&options.page, options.version, options.addr, None)?;
    let mut get = Get::new(Arc::new(recipe.measuring()));
    let deadline = Instant::now() + options.timeout;
    let stream = connect(options).map_err(|e| failed(&e, Reason::ConnectTimeout))?;
    match &options.tls {
        None => {
            talk(stream, &mut get, deadline)?;
            Ok(get.outcome().clone())
        }
        Some(settings) => {
            let session = tls::Library::default().session(settings, options.addr.ip())?;
            let mut wrapped = session.wrap(get);
            talk(stream, &mut wrapped, deadline)?;
            Ok(wrapped.inner().outcome().clone())
        }
    }
}

fn connect(options: &Options) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(options.addr), Type::STREAM, None)?;
    if options.mark > 0 {
        socket.set_mark(options.mark)?;
    }
    socket.connect_timeout(&options.addr.into(), options.timeout)?;
    Ok(socket.into())
}

fn failed(error: &io::Error, late: Reason) -> Failure {
    let reason = match error.kind() {
        ErrorKind::TimedOut | ErrorKind::WouldBlock => late,
        ErrorKind::ConnectionRefused => Reason::Refused,
        ErrorKind::ConnectionReset => Reason::Reset,
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => Reason::Unreachable,
        _ => return Failure::new(Reason::Local, error.to_string()),
    };
    reason.into()
}

/// Carries bytes between a connection and a probe until that has its verdict.
fn talk(mut stream: TcpStream, probe: &mut dyn Probe, deadline: Instant) -> Verdict {
    let late = |e: io::Error| failed(&e, Reason::AnswerTimeout);
    let (mut out, mut buffer) = (Vec::new(), [0; 16 * 1024]);
    let mut progress = probe.opened(&mut out);
    loop {
        if let Progress::Done(verdict) = progress {
            return verdict;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return probe.expired();
        }
        stream.set_write_timeout(Some(left)).map_err(late)?;
        stream.write_all(&out).map_err(late)?;
        out.clear();
        stream.set_read_timeout(Some(left)).map_err(late)?;
        progress = match stream.read(&mut buffer) {
            Ok(0) => Progress::Done(probe.closed()),
            Ok(n) => probe.received(&buffer[..n], &mut out),
            Err(e) if e.kind() == ErrorKind::Interrupted => Progress::More,
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Progress::Done(probe.expired())
            }
            Err(e) => return Err(late(e)),
        };
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    fn parsed(line: &str) -> Result<Option<Options>, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse(&words)
    }

    /// A server that answers one connection with these bytes.
    fn server(answer: &'static [u8]) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).unwrap();
            stream.write_all(answer).unwrap();
        });
        port
    }

    #[test]
    fn arguments_are_those_of_genhash() {
        let line = "-s 127.0.0.1 -p 443 -u /a -S -I -V www.example.com -P 1.0c -t 2 -m 7 -v";
        let o = parsed(line).unwrap().unwrap();
        assert_eq!(o.addr, "127.0.0.1:443".parse().unwrap());
        assert_eq!(o.page.host.as_deref(), Some("www.example.com"));
        assert_eq!(
            o.tls.unwrap().server_name.as_deref(),
            Some("www.example.com")
        );
        assert_eq!((o.version, o.mark), (HttpVersion::V1_0Close, 7));
        assert_eq!((o.timeout, o.verbose), (Duration::from_secs(2), true));
        for (line, word) in [
            ("-p 80 -u /", "-s"),
            ("-s ::1 -u /", "-p"),
            ("-s ::1 -p 80", "-u"),
            ("-s localhost -p 80 -u /", "localhost"),
            ("-s ::1 -p 80 -u / -P 2", "1.0c"),
            ("-s ::1 -p 80 -u / -x", "-x"),
        ] {
            assert!(parsed(line).unwrap_err().contains(word), "{line}");
        }
    }

    /// RFC 1321 A.5: the sum of "abc".
    #[test]
    fn the_body_is_summed_whatever_the_status_is() {
        for answer in [
            &b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc"[..],
            b"HTTP/1.0 404 Not Found\r\n\r\nabc",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        ] {
            let port = server(answer);
            let line = format!("-s 127.0.0.1 -p {port} -u / -t 60");
            let outcome = measure(&parsed(&line).unwrap().unwrap()).unwrap();
            let digest = outcome.digest.unwrap().to_string();
            assert_eq!(digest, "900150983cd24fb0d6963f7d28e17f72");
        }
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        let port = server(b"SSH-2.0-OpenSSH_9.2\r\n");
        let line = format!("-s 127.0.0.1 -p {port} -u / -t 60");
        let failure = measure(&parsed(&line).unwrap().unwrap()).unwrap_err();
        assert_eq!(failure.reason, Reason::Malformed);
    }
}
