//! Sessions with a server of rustls, in memory.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, date_time_ymd,
};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{HandshakeKind, ServerConfig, ServerConnection, SupportedProtocolVersion};

use super::*;
use crate::check::{HttpVersion, Page};
use crate::probe::Passed;
use crate::probe::http::{Get, Recipe};

const ADDR: &str = "192.0.2.1";

/// A folder of files that is gone afterwards.
struct Files(PathBuf);

impl Files {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("lvs-health-tls-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// For these names, from one year to another, and its key.
fn certificate(
    authority: &Authority,
    names: &[&str],
    [from, to]: [i32; 2],
    client: bool,
) -> (rcgen::Certificate, KeyPair) {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(to, 3, 1);
    if client {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    }
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, authority).unwrap(), key)
}

const VALID: [i32; 2] = [2020, 2090];

struct Server {
    config: Arc<ServerConfig>,
    answer: &'static [u8],
    /// How much the client gets at once.
    piece: usize,
    /// Whether it takes its leave of TLS.
    leave: bool,
    /// What it says after its answer.
    after: &'static [u8],
}

impl Server {
    fn new(certified: &(rcgen::Certificate, KeyPair)) -> Self {
        Self::with(certified, &[&TLS12, &TLS13], None)
    }

    /// Wants to see a certificate of this authority.
    fn with(
        (certificate, key): &(rcgen::Certificate, KeyPair),
        versions: &[&'static SupportedProtocolVersion],
        clients: Option<&Authority>,
    ) -> Self {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let roots = roots(vec![authority.der().clone()]).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        let config = builder.with_single_cert(vec![certificate.der().clone()], key);
        Self {
            config: Arc::new(config.unwrap()),
            answer: b"HTTP/1.1 200 OK\r\n\r\nhello",
            piece: usize::MAX,
            leave: true,
            after: b"",
        }
    }

    /// What a probe finds, and the name that the server was sent.
    fn probed_by(&self, probe: &mut Tls<Get>) -> (Verdict, Option<String>) {
        let mut server = ServerConnection::new(Arc::clone(&self.config)).unwrap();
        let mut to_server = Vec::new();
        let mut request = Vec::new();
        let mut progress = probe.opened(&mut to_server);
        let verdict = loop {
            if let Progress::Done(verdict) = progress {
                break verdict;
            }
            let mut rest = &to_server[..];
            let mut is_well = true;
            while !rest.is_empty() && is_well {
                server.read_tls(&mut rest).unwrap();
                is_well = server.process_new_packets().is_ok();
                let mut heard = [0; 1000];
                while let Ok(len @ 1..) = server.reader().read(&mut heard) {
                    request.extend_from_slice(&heard[..len]);
                }
            }
            to_server.clear();
            let answered = request.ends_with(b"\r\n\r\n");
            if answered {
                request.clear();
                server.writer().write_all(self.answer).unwrap();
                if self.leave {
                    server.send_close_notify();
                }
            }
            let mut to_client = Vec::new();
            while server.wants_write() {
                server.write_tls(&mut to_client).unwrap();
            }
            if answered {
                to_client.extend_from_slice(self.after);
            }
            if to_client.is_empty() {
                assert!(!self.leave, "an end that is told must be heard");
                break probe.closed();
            }
            for piece in to_client.chunks(self.piece) {
                progress = probe.received(piece, &mut to_server);
                if progress != Progress::More {
                    break;
                }
            }
        };
        assert_ne!(server.handshake_kind(), Some(HandshakeKind::Resumed));
        if verdict.is_ok() && self.leave {
            server.read_tls(&mut &to_server[..]).unwrap();
            let state = server.process_new_packets().unwrap();
            assert!(state.peer_has_closed(), "a probe takes its leave");
        }
        (verdict, server.server_name().map(str::to_owned))
    }

    fn probed(&self, tls: &check::Tls) -> Verdict {
        self.probed_by(&mut probe(tls)).0
    }
}

fn get() -> Get {
    let page = Page {
        path: "/".to_owned(),
        host: None,
        digest: None,
        status: Vec::new(),
        pattern: None,
    };
    let addr = (ADDR.parse::<IpAddr>().unwrap(), 443).into();
    let recipe = Recipe::new(&page, HttpVersion::V1_0, addr, None).unwrap();
    Get::new(Arc::new(recipe.measuring()))
}

/// A record that is wrong matters only if it is needed.
#[test]
fn rubbish_after_the_answer() {
    let own = certificate(&authority("known"), &["www.example"], VALID, false);
    let mut server = Server::new(&own);
    server.after = &[23, 3, 3, 0, 3, 1, 2, 3];
    server.leave = false;
    for piece in [usize::MAX, 1] {
        server.piece = piece;
        server.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
        assert_eq!(server.probed(&check::Tls::default()), PASSED);
        server.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello";
        let failure = server.probed(&check::Tls::default()).unwrap_err();
        assert_eq!(failure.reason, Reason::Tls);
    }
}

/// Each run is a whole handshake.
#[test]
fn nothing_is_resumed() {
    let own = certificate(&authority("known"), &["www.example"], VALID, false);
    for version in [&TLS12, &TLS13] {
        let server = Server::with(&own, &[version], None);
        let session = Library::default().session(&named("www.example"), ADDR.parse().unwrap());
        let session = session.unwrap();
        for _ in 0..2 {
            assert_eq!(server.probed_by(&mut session.wrap(get())).0, PASSED);
        }
    }
}

fn probe(tls: &check::Tls) -> Tls<Get> {
    let session = Library::default().session(tls, ADDR.parse().unwrap());
    session.unwrap().wrap(get())
}

fn named(name: &str) -> check::Tls {
    check::Tls {
        server_name: Some(name.to_owned()),
        ..check::Tls::default()
    }
}

const PASSED: Verdict = Ok(Passed::Plainly);

#[test]
fn whoever_is_there_is_asked() {
    let authority = authority("known");
    let expired = certificate(&authority, &["other.example"], [2000, 2001], false);
    for version in [&TLS12, &TLS13] {
        let mut server = Server::with(&expired, &[version], None);
        for (tls, name) in [
            (check::Tls::default(), None),
            (named("www.example"), Some("www.example".to_owned())),
        ] {
            for (piece, leave) in [(usize::MAX, true), (1, true), (7, false)] {
                (server.piece, server.leave) = (piece, leave);
                let mut probe = probe(&tls);
                assert_eq!(server.probed_by(&mut probe), (PASSED, name.clone()));
                let outcome = probe.inner().outcome();
                assert_eq!((outcome.status, outcome.length), (200, 5));
            }
        }
    }
}

#[test]
fn certificates_are_verified() {
    let [authority, impostor, stranger] = ["known", "known", "stranger"].map(authority);
    let files = Files::new();
    let known = files.write("ca.pem", &authority.pem());
    let verdict = |names: &[&str], years, by: &Authority, asked: Option<&str>| {
        let server = Server::new(&certificate(by, names, years, false));
        let verdict = server.probed(&check::Tls {
            server_name: asked.map(str::to_owned),
            verify: true,
            authorities: Some(known.clone()),
            identity: None,
        });
        verdict.map_err(|failure| failure.to_string())
    };
    let www = Some("www.example");
    assert_eq!(
        verdict(&["www.example"], VALID, &authority, www),
        Ok(Passed::Plainly)
    );
    let deep = Some("a.www.example");
    assert_eq!(
        verdict(&["*.www.example"], VALID, &authority, deep),
        Ok(Passed::Plainly)
    );
    assert_eq!(
        verdict(&[ADDR], VALID, &authority, None),
        Ok(Passed::Plainly)
    );
    for (names, years, by, asked, text) in [
        (
            &["other.example", "192.0.2.9"][..],
            VALID,
            &authority,
            www,
            r#"wrong name: for "other.example, 192.0.2.9", not www.example"#,
        ),
        (
            &["www.example"],
            VALID,
            &authority,
            None,
            r#"wrong name: for "www.example", not 192.0.2.1"#,
        ),
        (
            &["www.example"],
            [2019, 2020],
            &authority,
            www,
            "expired since 2020-03-01 00:00:00 UTC",
        ),
        (
            &["www.example"],
            [2080, 2090],
            &authority,
            www,
            "not valid before 2080-01-01 00:00:00 UTC",
        ),
        (
            &["www.example"],
            VALID,
            &stranger,
            www,
            "issued by no authority that is known here",
        ),
        (
            &["www.example"],
            VALID,
            &impostor,
            www,
            "signed with another key than its issuer's",
        ),
    ] {
        let text = format!("bad certificate: {text}");
        assert_eq!(verdict(names, years, by, asked), Err(text));
    }
}

#[test]
fn the_server_wants_to_know_us() {
    let authority = authority("known");
    let files = Files::new();
    let (ours, key) = certificate(&authority, &["lvs.example"], VALID, true);
    let identity = Some((
        files.write("cert.pem", &ours.pem()),
        files.write("key.pem", &key.serialize_pem()),
    ));
    let own = certificate(&authority, &["www.example"], VALID, false);
    for version in [&TLS12, &TLS13] {
        let server = Server::with(&own, &[version], Some(&authority));
        let known = check::Tls {
            identity: identity.clone(),
            ..check::Tls::default()
        };
        assert_eq!(server.probed(&known), PASSED);
        let failure = server.probed(&check::Tls::default()).unwrap_err();
        assert_eq!(failure.reason, Reason::Tls);
        assert!(failure.detail.contains("alert"), "{failure}");
    }
}

#[test]
fn what_is_no_session() {
    let alert = |number: u8| vec![0x15, 3, 1, 0, 2, 2, number];
    // A server's hello of TLS 1.0, with a cipher suite of then.
    let mut old = vec![0x16, 3, 1, 0, 42, 2, 0, 0, 38, 3, 1];
    old.extend_from_slice(&[7; 32]);
    old.extend_from_slice(&[0, 0, 0x2f, 0]);
    for (said, text) in [
        (
            alert(70),
            "the server offers neither TLS 1.2 nor 1.3, only what is older (alert 70)",
        ),
        (
            alert(40),
            "the server likes no cipher suite or key exchange that is offered (alert 40)",
        ),
        (alert(80), "the server sent alert 80 (InternalError)"),
        (alert(200), "the server sent alert 200"),
        (
            old,
            "the server offers neither TLS 1.2 nor 1.3, only what is older",
        ),
        (
            b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
            r#"what is said is not TLS: "HTTP/1.1 400 Bad Request\r\n\r\n""#,
        ),
        (
            b"220 mail\r\n".to_vec(),
            r#"what is said is not TLS: "220 mail\r\n""#,
        ),
        (Vec::new(), "closed in the handshake"),
        (vec![0x16, 3], "closed in the handshake"),
    ] {
        let mut probe = probe(&check::Tls::default());
        let mut out = Vec::new();
        assert_eq!(probe.opened(&mut out), Progress::More);
        let verdict = match probe.received(&said, &mut out) {
            Progress::Done(verdict) => verdict,
            Progress::More => probe.closed(),
        };
        assert_eq!(verdict, Err(Failure::new(Reason::Tls, text)));
    }
    let mut silent = probe(&check::Tls::default());
    let failure = silent.expired().unwrap_err();
    assert_eq!(failure.reason, Reason::AnswerTimeout);
}

/// Neither long handshakes nor long answers are kept.
#[test]
fn endless_handshakes() {
    // One message of 16 MiB, a little of it at a time; and records of nothing.
    let mut message = vec![0x16, 3, 3, 0x40, 0, 2, 0xff, 0xff, 0xff];
    message.resize(5 + 0x4000, 0);
    for said in [&message[..], &[0x16, 3, 3, 0, 0], &[0x14, 3, 3, 0, 1, 1]] {
        let mut probe = probe(&check::Tls::default());
        let mut out = Vec::new();
        probe.opened(&mut out);
        let verdict = (0..1000).find_map(|_| match probe.received(said, &mut out) {
            Progress::More => None,
            Progress::Done(verdict) => Some(verdict),
        });
        let failure = verdict.expect("an end").unwrap_err();
        assert_eq!(failure.reason, Reason::Tls);
    }
}

/// What a server says is changed somewhere: that is found out, or does not matter.
#[test]
fn damaged_sessions() {
    let authority = authority("known");
    let own = certificate(&authority, &["www.example"], VALID, false);
    for version in [&TLS12, &TLS13] {
        let server = Server::with(&own, &[version], None);
        let mut at = 0;
        while {
            let mut connection = ServerConnection::new(Arc::clone(&server.config)).unwrap();
            let mut probe = probe(&check::Tls::default());
            let mut to_server = Vec::new();
            probe.opened(&mut to_server);
            connection.read_tls(&mut &to_server[..]).unwrap();
            connection.process_new_packets().unwrap();
            let mut said = Vec::new();
            while connection.wants_write() {
                connection.write_tls(&mut said).unwrap();
            }
            if let Some(byte) = said.get_mut(at) {
                *byte ^= 1 << (at % 8);
            }
            let whole = at >= said.len();
            match probe.received(&said, &mut to_server) {
                Progress::More => {}
                Progress::Done(verdict) => {
                    let failure = verdict.unwrap_err();
                    assert!(!whole, "{failure}");
                    assert!(matches!(failure.reason, Reason::Tls | Reason::Certificate));
                }
            }
            at += 5;
            !whole
        } {}
        assert!(at > 500);
    }
}

#[test]
fn files_that_are_not_what_they_should() {
    let files = Files::new();
    let missing = files.0.join("missing.pem");
    let empty = files.write("empty.pem", "nothing here\n");
    let key = files.write("key.pem", &KeyPair::generate().unwrap().serialize_pem());
    let certified = authority("known");
    let certificate = files.write("certificate.pem", &certified.pem());
    let verifying = |authorities: &PathBuf| check::Tls {
        verify: true,
        authorities: Some(authorities.clone()),
        ..check::Tls::default()
    };
    let identity = |certificate: &PathBuf, key: &PathBuf| check::Tls {
        identity: Some((certificate.clone(), key.clone())),
        ..check::Tls::default()
    };
    for (tls, file) in [
        (verifying(&missing), &missing),
        (verifying(&empty), &empty),
        (verifying(&key), &key),
        (identity(&missing, &key), &missing),
        (identity(&certificate, &missing), &missing),
        (identity(&certificate, &empty), &empty),
        // A key of another certificate.
        (identity(&certificate, &key), &certificate),
    ] {
        let session = Library::default().session(&tls, ADDR.parse().unwrap());
        let failure = session.unwrap_err();
        assert_eq!(failure.reason, Reason::Local);
        let name = file.display().to_string();
        assert!(failure.detail.starts_with(&name), "{failure}");
    }
    let bad_name = Library::default().session(&named("a b"), ADDR.parse().unwrap());
    assert_eq!(bad_name.unwrap_err().reason, Reason::Local);
}

#[test]
fn what_is_alike_is_prepared_once() {
    let mut library = Library::default();
    let mut session = |tls| library.session(&tls, ADDR.parse().unwrap()).unwrap();
    let (one, two) = (session(named("one.example")), session(named("two.example")));
    assert!(Arc::ptr_eq(&one.config, &two.config));
    drop((one, two));
    let files = Files::new();
    let tls = check::Tls {
        verify: true,
        authorities: Some(files.write("ca.pem", &authority("known").pem())),
        ..check::Tls::default()
    };
    let kept = session(tls);
    assert_eq!(library.configs.len(), 1, "what is not used is not kept");
    drop(kept);
}

#[test]
fn dates() {
    for (secs, text) in [
        (0, "1970-01-01 00:00:00 UTC"),
        (951_782_400, "2000-02-29 00:00:00 UTC"),
        (1_709_251_199, "2024-02-29 23:59:59 UTC"),
        (1_735_689_600, "2025-01-01 00:00:00 UTC"),
        (4_107_542_400, "2100-03-01 00:00:00 UTC"),
        (253_402_300_799, "9999-12-31 23:59:59 UTC"),
    ] {
        let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(secs));
        assert_eq!(Date(time).to_string(), text);
    }
}
