//! Web and echo servers on the real servers, and clients for them.
//!
//! Every server answers with its own name, so that a test sees who served whom.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::process::Output;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use crate::certificate::Certificate;
use crate::command::{peer, run, text};
use crate::lan::Lan;
use crate::node::Node;
use crate::process::Process;
use crate::rules::Method;

impl Lan {
    /// All that real servers of `method` run: nginx, UDP echo at port 7000, and for tunnels what
    /// unwraps.
    pub fn backends(&self, method: Method) -> Vec<Process> {
        let mut running = self.web();
        running.extend(self.echo(&[7000]));
        if method == Method::Tun {
            running.extend(self.decap());
        }
        running
    }

    /// nginx on every real server, at ports 80 and 8080.
    pub fn web(&self) -> Vec<Process> {
        self.servers.iter().map(|s| s.web(&[80, 8080])).collect()
    }

    /// A UDP echo on every real server, at these ports.
    pub fn echo(&self, ports: &[u16]) -> Vec<Process> {
        let each = |s: &Node| ports.iter().map(|p| s.echo(*p)).collect::<Vec<_>>();
        self.servers.iter().flat_map(each).collect()
    }

    /// What real servers of tunnels do: unwrap. In user space, since not every kernel has ipip.
    pub fn decap(&self) -> Vec<Process> {
        self.servers.iter().map(Node::decap).collect()
    }
}

impl Node {
    /// nginx at `ports`, on every address of this host.
    ///
    /// - `GET /` answers with the host's name, one line;
    /// - `GET /who` with the client's address as the server sees it, and the server's own;
    /// - `GET /asked` with how it was asked: the Host line, the HTTP version, TLS's server name (SNI);
    /// - `PUT /files/NAME` stores a file and `GET` returns it; see [`Self::stored`].
    pub fn web(&self, ports: &[u16]) -> Process {
        self.nginx(ports, "", "")
    }

    /// The same with TLS.
    pub fn web_tls(&self, ports: &[u16], certificate: &Certificate) -> Process {
        let (chain, key) = (certificate.chain.display(), certificate.key.display());
        let tls = format!("ssl_certificate {chain}; ssl_certificate_key {key};");
        self.nginx(ports, "ssl", &tls)
    }

    fn nginx(&self, ports: &[u16], option: &str, more: &str) -> Process {
        let files = self.file("www").join("files");
        let own = self.file(&format!("nginx-{}", ports[0]));
        for dir in [&files, &own] {
            fs::create_dir_all(dir).expect("the temporary folder can be written to");
        }
        let (root, name) = (self.file("www"), self.title());
        let (root, own) = (root.display(), own.display());
        let listen = |p| format!("listen {p} {option} backlog=4096; ");
        let listen: String = ports
            .iter()
            .map(|p| listen(p.to_string()) + &listen(format!("[::]:{p}")))
            .collect();
        let temp: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|kind| format!("{kind}_temp_path {own}/{kind}; "))
            .collect();
        let conf = format!(
            "daemon off; master_process off; pid {own}/pid; error_log stderr;\n\
             events {{ worker_connections 4096; }}\n\
             http {{ access_log off; client_max_body_size 0; {temp}\n\
             server {{ {listen} {more}\n\
             location = / {{ return 200 \"{name}\\n\"; }}\n\
             location = /who {{ return 200 \"$remote_addr $server_addr\\n\"; }}\n\
             location = /asked {{ return 200 \"$http_host $server_protocol $ssl_server_name\n\"; }}\n\
             location /files/ {{ root {root}; dav_methods PUT; }}\n\
             }} }}\n"
        );
        let file = self.file(&format!("nginx-{}.conf", ports[0]));
        fs::write(&file, conf).expect("the temporary folder can be written to");
        let file = file.to_str().expect("a path in UTF-8");
        let mut nginx = self.start("nginx", &["nginx", "-e", "stderr", "-c", file]);
        nginx.await_listening(self, "tcp", ports);
        nginx
    }

    /// The path of a file that [`Self::web`] has been sent, or shall hand out.
    pub fn stored(&self, name: &str) -> std::path::PathBuf {
        self.file("www").join("files").join(name)
    }

    /// A UDP echo on every address of this host: answers each datagram with this host's name, a line end, and the datagram.
    pub fn echo(&self, port: u16) -> Process {
        let (peer, port, ips) = (peer(), port.to_string(), self.addresses());
        let fixed = [&peer, "udp-echo", &port, self.title()];
        let argv: Vec<_> = fixed
            .into_iter()
            .chain(ips.iter().map(String::as_str))
            .collect();
        let mut echo = self.start("udp-echo", &argv);
        echo.await_saying("ready");
        echo
    }

    /// Unwraps IPIP addressed to this host.
    pub fn decap(&self) -> Process {
        let mut decap = self.start("decap", &[&peer(), "decap"]);
        decap.await_saying("ready");
        decap
    }

    /// `iperf3 -s`.
    pub fn iperf3_server(&self) -> Process {
        let mut server = self.start("iperf3", &["iperf3", "-s", "--forceflush"]);
        server.await_saying("Server listening");
        server
    }

    /// One iperf3 run against `ip`; returns megabits a second as the receiver counted them.
    ///
    /// # Panics
    /// If it fails.
    pub fn iperf3(&self, ip: IpAddr, options: &[&str]) -> f64 {
        let ip = ip.to_string();
        let fixed = ["iperf3", "-c", &ip, "-f", "m", "--connect-timeout", "5000"];
        let out = self.run(
            &["timeout", "60"]
                .iter()
                .chain(&fixed)
                .chain(options)
                .copied()
                .collect::<Vec<_>>(),
        );
        out.lines()
            .filter(|line| line.contains("receiver"))
            .filter_map(|line| {
                line.split("Mbits/sec")
                    .next()?
                    .split_whitespace()
                    .last()?
                    .parse()
                    .ok()
            })
            .next_back()
            .unwrap_or_else(|| panic!("no receiver's figure in: {out}"))
    }

    /// Runs curl, whatever comes of it.
    pub fn curl(&self, options: &[&str]) -> Output {
        let fixed = [
            "curl",
            "-sS",
            "-g",
            "--max-time",
            "60",
            "--connect-timeout",
            "5",
        ];
        self.output(&[fixed.as_slice(), options].concat())
    }

    /// Fetches `url` over `count` connections, one after the other; returns the lines served.
    ///
    /// # Panics
    /// If one fails.
    pub fn fetch(&self, url: &str, count: usize) -> Vec<String> {
        let options = ["-H", "Connection: close", "--fail"];
        let urls = vec![url; count];
        let out = self.curl(&[options.as_slice(), &urls].concat());
        assert!(
            out.status.success(),
            "{count} times {url}: {} after {} answers",
            text(&out.stderr).trim(),
            text(&out.stdout).lines().count()
        );
        text(&out.stdout).lines().map(str::to_owned).collect()
    }

    /// For so many seconds wrk and iperf3, and a hundred requests on connections of their own, go to `vip` while `meanwhile` is
    /// done until it is told to stop. Returns what that returns.
    ///
    /// # Panics
    /// If a request or a stream is lost.
    pub fn loses_nothing_while<R: Send>(
        &self,
        vip: IpAddr,
        seconds: u64,
        meanwhile: impl FnOnce(&AtomicBool) -> R + Send,
    ) -> R {
        let (stop, page) = (AtomicBool::new(false), url(vip, "/"));
        let (wrk_span, iperf3_span) = (format!("{seconds}s"), seconds.to_string());
        let (done, wrk, rate) = thread::scope(|scope| {
            let done = scope.spawn(|| meanwhile(&stop));
            // Also if something is lost: nobody would wait for the end otherwise.
            let stopping = StopOnDrop(&stop);
            let wrk = scope.spawn(|| self.output(&["wrk", "-t1", "-c8", "-d", &wrk_span, &page]));
            let rate = self.iperf3(vip, &["-t", &iperf3_span, "-b", "100M"]);
            assert_eq!(self.fetch(&page, 100).len(), 100);
            let wrk = wrk.join().expect("wrk is waited for");
            drop(stopping);
            (done.join().expect("it has not panicked"), wrk, rate)
        });
        let said = text(&wrk.stdout);
        assert!(
            wrk.status.success() && said.contains("requests in"),
            "{said}"
        );
        for trouble in ["Socket errors", "Non-2xx"] {
            assert!(!said.contains(trouble), "{said}");
        }
        assert!(rate > 50.0, "{rate} Mbit/s");
        done
    }
}

struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// The URL of `path` at `ip` (and another port than 80, if given as `:PORT/…`).
pub fn url(ip: IpAddr, path: &str) -> String {
    match ip {
        IpAddr::V4(ip) => format!("http://{ip}{path}"),
        IpAddr::V6(ip) => format!("http://[{ip}]{path}"),
    }
}

/// How often each answer came.
pub fn spread<T: AsRef<str>>(answers: &[T]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for answer in answers {
        *counts.entry(answer.as_ref()).or_default() += 1;
    }
    counts
}

/// The SHA-256 of a file.
///
/// # Panics
/// If it cannot be read.
pub fn sha256(file: &Path) -> String {
    let shown = run(&["sha256sum", file.to_str().expect("a path in UTF-8")]);
    shown.split(' ').next().unwrap_or_default().to_owned()
}

/// Writes `megabytes` of noise to `file`.
///
/// # Panics
/// If it cannot be written.
pub fn noise(file: &Path, megabytes: usize) {
    let of = format!("of={}", file.display());
    let count = format!("count={megabytes}");
    run(&["dd", "if=/dev/urandom", &of, "bs=1M", &count, "status=none"]);
}

/// Questions to a UDP echo.
#[derive(Clone, Debug)]
pub struct UdpAsk(Vec<String>);

impl UdpAsk {
    /// One datagram of 64 bytes from one socket to `ip`:`port`.
    pub fn new(ip: IpAddr, port: u16) -> Self {
        Self(vec![
            peer(),
            "udp-ask".to_owned(),
            ip.to_string(),
            port.to_string(),
        ])
    }

    fn with(mut self, key: &str, value: usize) -> Self {
        self.0.push(format!("{key}={value}"));
        self
    }

    /// From this many sockets, one after the other.
    #[must_use]
    pub fn flows(self, flows: usize) -> Self {
        self.with("flows", flows)
    }

    /// This many datagrams from each socket, each answered before the next.
    #[must_use]
    pub fn rounds(self, rounds: usize) -> Self {
        self.with("rounds", rounds)
    }

    /// Datagrams of this many bytes of payload.
    #[must_use]
    pub fn size(self, size: usize) -> Self {
        self.with("size", size)
    }

    /// Not to be fragmented.
    #[must_use]
    pub fn dont_fragment(self) -> Self {
        self.with("df", 1)
    }

    /// To be fragmented by the network where it is too big (IPv4: without DF).
    #[must_use]
    pub fn may_be_fragmented(self) -> Self {
        self.with("df", 0)
    }

    /// With this TTL or hop limit.
    #[must_use]
    pub fn ttl(self, ttl: usize) -> Self {
        self.with("ttl", ttl)
    }

    /// With so many milliseconds after each answer.
    #[must_use]
    pub fn pause(self, milliseconds: usize) -> Self {
        self.with("pause", milliseconds)
    }

    /// Begins to ask from `node`, beside the test, and says as it goes on who has answered: see [`Self::from`].
    pub fn start(&self, node: &Node) -> Process {
        let argv: Vec<_> = self.0.iter().map(String::as_str).collect();
        node.start("udp-ask", &argv)
    }

    /// Asks from `node`. One answer for each datagram: the name of the server whose echo came back
    /// whole, or `lost`, `damaged`, or an error by its name, such as `ECONNREFUSED`.
    pub fn from(&self, node: &Node) -> Vec<String> {
        let argv: Vec<_> = self.0.iter().map(String::as_str).collect();
        node.run(&argv).lines().map(str::to_owned).collect()
    }
}
