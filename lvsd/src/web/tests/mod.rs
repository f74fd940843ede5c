//! The endpoint on loopback sockets, asked by clients good and bad.

mod hostile;
mod metrics;
mod strict;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};
use std::{fs, thread};

use lvs_core::{Director, Time};

use super::*;
use crate::alerts::Alert;
use crate::control::desk::{Change, Stop};
use crate::control::testing::Bare;
use crate::health::{Health, Herald, Keeper, Source};
use crate::keepalived::host::FakeHost;
use crate::keepalived::model::{Config, Global};
use crate::keepalived::{self, Options as LoadOptions};
use crate::rules::MarkRule;
use crate::vrrp::Vrrp;

/// Tells nobody.
#[derive(Debug)]
struct Mute;

impl Herald for Mute {
    fn tell(&mut self, _: Alert) {}

    fn configure(&mut self, _: &Global) {}

    fn stop(&mut self) {}
}

/// A director that nothing is sent by, with a configuration.
struct Stage {
    bare: Arc<Bare>,
    keeper: OnceLock<Arc<Keeper>>,
    load: Mutex<Load>,
}

impl Stage {
    fn of(text: &str) -> Arc<Self> {
        let (bare, config) = (Bare::new(), config(text));
        let health = Health::start(bare.clone(), config.clone(), Box::new(Mute), 1, |_| {});
        let source = Source {
            path: "/etc/lvsd.conf".into(),
            options: LoadOptions::default(),
        };
        let vrrp = Vrrp::start(&config, Box::new(Mute), Box::new(|_| {}), vec![], 1, |_| {});
        let keeper = Keeper::new(health.unwrap(), vrrp.unwrap(), source, config);
        let keeper = Arc::new(keeper);
        Arc::new(Self {
            bare,
            keeper: keeper.into(),
            load: Mutex::default(),
        })
    }

    fn keeper(&self) -> &Keeper {
        self.keeper.get().unwrap()
    }
}

impl Plane for Stage {
    fn director(&self) -> &Director {
        self.bare.director()
    }

    fn now(&self) -> Time {
        self.bare.now()
    }

    fn marks(&self) -> Vec<MarkRule> {
        self.bare.marks()
    }

    fn keeper(&self) -> Option<Arc<Keeper>> {
        self.keeper.get().cloned()
    }

    fn change(&self, change: Change<'_>) -> Result<(), Stop> {
        self.bare.change(change)
    }
}

fn config(text: &str) -> Config {
    let host = FakeHost::default().with_file("/etc/lvsd.conf", text);
    // Servers on the loopback interface are fine here: nothing is sent to them but checks.
    let options = LoadOptions {
        compat: true,
        ..LoadOptions::default()
    };
    let loaded = keepalived::load(Path::new("/etc/lvsd.conf"), &options, &host);
    assert!(!loaded.is_refused(), "{:?}", loaded.diagnostics);
    loaded.config
}

/// A service at 192.0.2.1:80 with these blocks in it.
fn service(blocks: &str) -> String {
    format!(
        "virtual_server 192.0.2.1 80 {{\n protocol TCP\n lvs_sched wlc\n lvs_method NAT\n \
         delay_loop 0.02\n warmup 0\n {blocks}\n}}\n"
    )
}

/// A server at a port of the loopback interface, with a check.
fn checked(port: u16) -> String {
    format!(" real_server 127.0.0.1 {port} {{\n TCP_CHECK {{\n connect_timeout 20\n }}\n }}\n")
}

/// A service whose metrics are some megabytes.
fn large() -> String {
    let servers = (0..4000).map(|n| {
        let (a, b) = (n / 200, n % 200 + 1);
        format!(" real_server 10.0.{a}.{b} 80 {{\n weight 1\n }}\n")
    });
    service(&servers.collect::<String>())
}

/// An endpoint at a port of the loopback interface.
struct Bench {
    stage: Arc<Stage>,
    addr: SocketAddr,
    endpoint: Endpoint,
}

impl Bench {
    fn new(text: &str, limits: Limits) -> Self {
        Self::reusing(text, limits, 10)
    }

    /// With answers that serve again for so many times as long as they took to make.
    fn reusing(text: &str, limits: Limits, reuse: u32) -> Self {
        let stage = Stage::of(text);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let told = stage.clone();
        let load = move || told.load.lock().unwrap().clone();
        let mut desk = Desk::new(stage.clone(), Box::new(load));
        desk.reuse = reuse;
        let endpoint = Endpoint::at(Listener::tcp(listener).unwrap(), desk, limits).unwrap();
        Self {
            stage,
            addr,
            endpoint,
        }
    }

    fn usual() -> Self {
        Self::new(
            &service(" real_server 10.0.0.1 80 {\n }\n"),
            Limits::default(),
        )
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.addr).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        stream
    }

    /// What a client says, and everything that it is told.
    fn say(&self, text: &[u8]) -> String {
        let mut stream = self.connect();
        stream.write_all(text).unwrap();
        heard(&mut stream)
    }

    /// The status and body of the answer to a GET.
    fn get(&self, path: &str) -> (u16, String) {
        let answer = self.say(format!("GET {path} HTTP/1.1\r\nHost: lvsd\r\n\r\n").as_bytes());
        parted(&answer)
    }
}

/// Everything until the end, however it comes.
fn heard(stream: &mut impl Read) -> String {
    let mut heard = Vec::new();
    let _ = stream.read_to_end(&mut heard);
    String::from_utf8(heard).unwrap()
}

/// Status and body of a whole answer.
fn parted(answer: &str) -> (u16, String) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.strip_prefix("HTTP/1.1 ").unwrap()[..3]
        .parse()
        .unwrap();
    let length = format!("\r\nContent-Length: {}\r\n", body.len());
    assert!(head.contains(&length), "{head}");
    (status, body.to_owned())
}

/// Waits until it is so; machines may be busy.
fn eventually(what: impl Fn() -> bool) -> bool {
    let begin = Instant::now();
    while !what() {
        if begin.elapsed() > Duration::from_secs(60) {
            return false;
        }
        thread::sleep(Duration::from_millis(5));
    }
    true
}

#[test]
fn paths_have_answers() {
    let bench = Bench::usual();
    assert_eq!(bench.get("/healthz"), (200, "ok\n".to_owned()));
    assert_eq!(bench.get("/readyz"), (200, "ok\n".to_owned()));
    assert_eq!(bench.get("/").0, 200);
    for path in ["/metric", "/metrics/", "//", "/../etc/passwd", "/Metrics"] {
        assert_eq!(bench.get(path).0, 404, "{path}");
    }
    let (status, json) = bench.get("/status.json?pretty");
    assert_eq!(status, 200);
    let told: crate::health::status::Status = serde_json::from_str(&json).unwrap();
    assert_eq!(
        told.services,
        bench.stage.keeper().status().unwrap().services
    );
    assert_eq!(told.services[0].servers[0].server, "10.0.0.1:80");
    for (method, wanted) in [("POST", "405"), ("get", "405"), ("CONNECT", "405")] {
        let text = format!("{method} / HTTP/1.1\r\nHost: lvsd\r\n\r\n");
        let answer = bench.say(text.as_bytes());
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {wanted} ")),
            "{answer}"
        );
    }
}

#[test]
fn only_the_head_may_be_asked_for() {
    let bench = Bench::usual();
    let (_, body) = bench.get("/readyz");
    let answer = bench.say(b"HEAD /readyz HTTP/1.0\r\n\r\n");
    let (head, rest) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(&format!("Content-Length: {}", body.len())) && rest.is_empty());
}

#[test]
fn who_stands_still_is_named() {
    let bench = Bench::usual();
    let silent = |seconds| ("worker 0".to_owned(), Duration::from_secs(seconds));
    bench.stage.load.lock().unwrap().threads = vec![silent(4)];
    assert_eq!(bench.get("/healthz").0, 200);
    bench.stage.load.lock().unwrap().threads =
        vec![("control".to_owned(), Duration::ZERO), silent(7)];
    let (status, text) = bench.get("/healthz");
    assert_eq!(
        (status, &*text),
        (503, "worker 0: no sign of life for 7 s\n")
    );
}

#[test]
fn readiness_waits_for_every_check() {
    let peer = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = peer.local_addr().unwrap().port();
    let late = " real_server 10.0.0.2 81 {\n TCP_CHECK {\n warmup 3000\n }\n }\n";
    let bench = Bench::new(
        &service(&format!("{}{late}", checked(port))),
        Limits::default(),
    );
    let only_late = || {
        let (status, text) = bench.get("/readyz");
        let wanted = "TCP_CHECK of 10.0.0.2:81 for TCP 192.0.2.1:80 has found nothing yet\n";
        status == 503 && text == wanted
    };
    assert!(eventually(only_late), "{:?}", bench.get("/readyz"));
    let bench = Bench::new(&service(&checked(port)), Limits::default());
    assert!(eventually(|| bench.get("/readyz").0 == 200));
    let many: String = (0..20)
        .map(|n| late.replace("10.0.0.2", &format!("10.0.0.{}", n + 2)))
        .collect();
    let (_, text) = Bench::new(&service(&many), Limits::default()).get("/readyz");
    assert!(
        text.ends_with("yet\nand 10 more\n") && text.lines().count() == 11,
        "{text}"
    );
}

#[test]
fn without_a_configuration_nothing_is_known() {
    let stage = Arc::new(Stage {
        bare: Bare::new(),
        keeper: OnceLock::new(),
        load: Mutex::default(),
    });
    let mut desk = Desk::new(stage, Box::new(Load::default));
    let request =
        |path: &str| match request::read(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()) {
            request::Reading::Whole(request) => request,
            other => panic!("{other:?}"),
        };
    let answer = desk.answer(&request("/metrics"));
    assert_eq!(answer.status, answer::Status::Unavailable);
}

#[test]
fn a_unix_socket_is_for_its_group() {
    let path = std::env::temp_dir().join(format!("lvsd-web-{}.sock", std::process::id()));
    let own = fs::metadata("/proc/self").unwrap().gid();
    let options = Options {
        listen: Listen::Unix(path.clone()),
        group: Some(own),
        log: |line| panic!("{line}"),
    };
    let stage = Stage::of(&service(" real_server 10.0.0.1 80 {\n }\n"));
    let start = || Endpoint::start(&options, stage.clone(), Load::default);
    let endpoint = start().unwrap();
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o660
    );
    let taken = start().unwrap_err();
    assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.write_all(b"GET /healthz HTTP/1.0\r\n\r\n").unwrap();
    assert_eq!(parted(&heard(&mut stream)), (200, "ok\n".to_owned()));
    drop(endpoint);
    assert!(!path.exists());
    // One that a dead daemon has left.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    drop(start().unwrap());
    fs::write(&path, "precious").unwrap();
    assert!(start().is_err());
    assert_eq!(fs::read(&path).unwrap(), b"precious");
    fs::remove_file(&path).unwrap();
}

#[test]
fn others_are_warned_of() {
    let exposed = |addr: &str| exposed(&Listen::Tcp(addr.parse().unwrap()));
    for addr in [
        "127.0.0.1:9100",
        "127.1.2.3:1",
        "[::1]:9100",
        "[::ffff:127.0.0.1]:9100",
    ] {
        assert_eq!(exposed(addr), None);
    }
    for addr in ["0.0.0.0:9100", "[::]:9100", "192.0.2.1:9100", "[fe80::1]:1"] {
        assert!(exposed(addr).unwrap().contains(addr));
    }
    assert_eq!(super::exposed(&Listen::Unix("/run/x".into())), None);
}
