//! What programs see of a running lvsd: the HTTP endpoint, as curl and a monitoring system ask it, and `lvsd status`.

use std::collections::BTreeMap;
use std::fs;
use std::process::Output;

use serde_json::Value;
use tests::command::{eventually, lvsd, text};
use tests::daemon::{configuration, socket};
use tests::health::{Switch, real_server, virtual_server};
use tests::process::PATIENCE;
use tests::traffic::url;
use tests::{Family, Lan, Lvsd, Plan};

const V4: Family = Family::V4;

/// Two servers at port 80 of the VIP.
struct Story {
    lan: Lan,
    switches: [Switch; 2],
    daemon: Lvsd,
}

impl Story {
    /// With the endpoint at `listen`.
    fn begin(lan: Lan, listen: &str) -> Self {
        let switches = ["one", "two"].map(|name| Switch::new(&lan, name));
        let mut conf = format!("global_defs {{\n lvsd_http {listen}\n}}\n");
        conf.extend(switches.iter().map(Switch::block));
        let servers = [0, 1].map(|i| {
            // Two of the same kind.
            let [one, other] =
                [80, 8080].map(|port| format!("TCP_CHECK {{\n connect_port {port}\n }}\n"));
            real_server(lan.server(V4, i), 80, one + &other + &switches[i].check())
        });
        conf += &virtual_server(format!("{} 80", V4.vip()), "TCP", "", &servers);
        let daemon = Lvsd::configured(&lan, conf).start();
        lan.await_checked();
        Self {
            lan,
            switches,
            daemon,
        }
    }

    /// Status and body of what curl is answered.
    fn get(&self, options: &[&str], path: &str) -> (u16, String) {
        let page = format!("http://127.0.0.1:9100{path}");
        let out = self
            .lan
            .director
            .curl(&[options, &["-w", "\n%{http_code}", &page]].concat());
        let said = text(&out.stdout);
        let (body, code) = said.rsplit_once('\n').expect("the status is the last line");
        (code.parse().expect("a number"), body.to_owned())
    }

    fn metrics(&self) -> BTreeMap<String, f64> {
        let (code, page) = self.get(&[], "/metrics");
        assert_eq!(code, 200, "{page}");
        samples(&page)
    }

    fn status(&self, words: &[&str]) -> Output {
        let (lvsd, socket) = (lvsd(), socket(&self.lan));
        let socket = socket.to_str().unwrap();
        let argv = [&[&*lvsd, "status", "--socket", socket], words].concat();
        self.lan.director.output(&argv)
    }
}

fn two_servers() -> Lan {
    Plan::two_arms(2).build()
}

/// The series of an OpenMetrics page with their values. None may be there twice, or a whole page is refused by those who read it.
fn samples(page: &str) -> BTreeMap<String, f64> {
    assert!(page.ends_with("\n# EOF\n"), "{page}");
    let mut samples = BTreeMap::new();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').expect("a series and a value");
        let value: f64 = value.parse().expect("a number");
        let twice = samples.insert(series.to_owned(), value);
        assert_eq!(twice, None, "{series} twice");
    }
    samples
}

const SERVICE: &str = "service=\"TCP 10.9.0.100:80\"";

fn of_r1(metric: &str, more: &str) -> String {
    format!("{metric}{{{SERVICE},server=\"10.10.0.11:80\"{more}}}")
}

#[test]
fn metrics_follow_what_happens() {
    let story = Story::begin(two_servers(), "127.0.0.1 9100");
    let web = story.lan.web();
    let up = of_r1("lvsd_server_up", "");
    let quorum = format!("lvsd_service_quorum{{{SERVICE}}}");
    assert!(eventually(PATIENCE, || story.metrics()[&up] == 1.0));
    let before = story.metrics();
    assert_eq!(before[&quorum], 1.0);
    assert_eq!(before["lvsd_checks"], 6.0);
    assert_eq!(before["lvsd_checks_found"], 6.0);
    let both = || story.metrics()[&format!("lvsd_service_live_weight{{{SERVICE}}}")] == 2.0;
    assert!(eventually(PATIENCE, both));

    let before = story.metrics();
    let connections = format!("lvsd_service_new_connections_total{{{SERVICE}}}");
    story.lan.client.fetch(&url(V4.vip(), "/"), 10);
    let after = story.metrics();
    assert_eq!(after[&connections] - before[&connections], 10.0);
    let own = of_r1("lvsd_server_new_connections_total", "");
    assert!(after[&own] > before[&own]);
    for direction in ["in", "out"] {
        let bytes = format!("lvsd_service_bytes_total{{{SERVICE},direction=\"{direction}\"}}");
        assert!(after[&bytes] > before[&bytes] + 1000.0, "{direction}");
    }

    story.switches[0].fail();
    assert!(eventually(PATIENCE, || story.metrics()[&up] == 0.0));
    let after = story.metrics();
    let flaps = of_r1("lvsd_server_flaps_total", "");
    assert_eq!(after[&flaps] - before[&flaps], 1.0);
    assert_eq!(after[&quorum], 1.0);
    story.switches[1].fail();
    assert!(eventually(PATIENCE, || story.metrics()[&quorum] == 0.0));
    drop(web);
}

#[test]
fn status_and_health_over_http() {
    let story = Story::begin(two_servers(), "127.0.0.1 9100");
    let _web = story.lan.web();
    assert_eq!(story.get(&[], "/healthz"), (200, "ok\n".to_owned()));
    assert_eq!(story.get(&[], "/readyz"), (200, "ok\n".to_owned()));
    assert_eq!(story.get(&[], "/nothing").0, 404);
    assert_eq!(story.get(&["-d", "x"], "/metrics").0, 405);
    let head = story
        .lan
        .director
        .curl(&["-I", "http://127.0.0.1:9100/metrics"]);
    let head = text(&head.stdout);
    assert!(
        head.starts_with("HTTP/1.1 200 ")
            && head.contains("application/openmetrics-text; version=1.0.0"),
        "{head}"
    );
    let status = || -> Value { serde_json::from_str(&story.get(&[], "/status.json").1).unwrap() };
    let server = |i: usize| status()["services"][0]["servers"][i].clone();
    assert!(eventually(PATIENCE, || server(0)["up"] == true));
    story.switches[0].fail();
    assert!(eventually(PATIENCE, || server(0)["up"] == false));
    let down = server(0);
    assert_eq!(down["server"], "10.10.0.11:80");
    assert_eq!(down["scheduled"], Value::Null);
    let file = &down["checks"][2];
    assert_eq!(file["kind"], "FILE_CHECK");
    assert_eq!(file["last"]["reason"], "file");
    assert_eq!(file["last"]["text"], "file says no: 1");
    // Nobody is served from other hosts.
    let out = story
        .lan
        .client
        .curl(&["-m", "3", "http://10.9.0.1:9100/metrics"]);
    assert_eq!(out.status.code(), Some(7), "{}", text(&out.stderr));
}

/// At a Unix socket; several clients at a time, some of which say nothing.
#[test]
fn the_endpoint_at_a_unix_socket() {
    let lan = two_servers();
    let file = lan.director.file("http.sock");
    let path = file.to_str().unwrap();
    let story = Story::begin(lan, path);
    let silent: Vec<_> = (0..20)
        .map(|_| std::os::unix::net::UnixStream::connect(path).unwrap())
        .collect();
    let out = story
        .lan
        .director
        .curl(&["--unix-socket", path, "http://lvsd/metrics"]);
    assert!(samples(&text(&out.stdout)).contains_key("lvsd_checks"));
    drop(silent);
    let (status, said) = story.daemon.stop("TERM");
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(!file.exists(), "the socket's file is removed");
}

/// What has happened is told by exit statuses, words and JSON.
#[test]
fn status_on_the_command_line() {
    let story = Story::begin(two_servers(), "127.0.0.1 9100");
    let _web = story.lan.web();
    let exits = |code: i32| {
        let exits = || story.status(&[]).status.code() == Some(code);
        assert!(eventually(PATIENCE, exits), "{:?}", story.status(&[]));
    };
    exits(0);
    let none_down = text(&story.status(&["--down"]).stdout);
    assert!(!none_down.contains("10.10.0.11"), "{none_down}");
    story.switches[0].fail();
    exits(3);
    let shown = text(&story.status(&["--down"]).stdout);
    assert!(
        shown.contains("10.10.0.11:80") && !shown.contains("10.10.0.12:80"),
        "{shown}"
    );
    assert!(
        shown.contains("DOWN  FILE_CHECK") && shown.contains("file says no:"),
        "{shown}"
    );
    let one = story.status(&["--server", "10.10.0.12", "10.9.0.100:80"]);
    assert_eq!(one.status.code(), Some(0), "{one:?}");
    story.switches[1].fail();
    exits(4);
    let json: Value = serde_json::from_slice(&story.status(&["--json"]).stdout).unwrap();
    let service = &json["services"][0];
    assert_eq!(service["quorum"]["up"], false);
    assert_eq!(service["servers"][1]["up"], false);
    story.switches.iter().for_each(Switch::recover);
    exits(0);

    // A reload that is refused shows until the next one.
    let good = fs::read_to_string(configuration(&story.lan)).unwrap();
    let refusals = |count: u64, is_refused: bool| {
        let json: Value = serde_json::from_slice(&story.status(&["--json"]).stdout).unwrap();
        let configuration = &json["configuration"];
        configuration["refusals"] == count && configuration["refused"].is_string() == is_refused
    };
    for (text, count, is_refused) in [("nonsense {", 1, true), (&*good, 1, false)] {
        fs::write(configuration(&story.lan), text).unwrap();
        story.daemon.signal("HUP");
        let so = || refusals(count, is_refused);
        assert!(eventually(PATIENCE, so), "{:?}", story.status(&["--json"]));
    }
    let missing = story.status(&["192.0.2.1"]);
    assert_eq!(missing.status.code(), Some(1), "{missing:?}");
}
