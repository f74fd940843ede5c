//! Checks of listeners on the loopback interface, and a director that nothing is sent by.

use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lvs_core::ServiceKey;

use super::*;
use crate::control::testing::Bare;
use crate::keepalived::host::FakeHost;
use crate::keepalived::{self, Options};

/// Keeps what is told.
#[derive(Clone, Debug, Default)]
struct Told(Arc<Mutex<Vec<Alert>>>);

impl Told {
    /// The lines for pipes so far, in order.
    fn lines(&self) -> Vec<String> {
        let told = self.0.lock().unwrap();
        told.iter()
            .filter_map(|a| Some(a.line.as_ref()?.text.clone()))
            .collect()
    }

    fn scripts(&self) -> Vec<String> {
        let told = self.0.lock().unwrap();
        let scripts = told.iter().filter_map(|a| a.script.as_ref());
        scripts.map(|s| s.command.argv.join(" ")).collect()
    }

    fn subjects(&self) -> Vec<String> {
        let told = self.0.lock().unwrap();
        let mails = told.iter().filter_map(|a| a.mail.as_ref());
        mails.map(|m| m.subject.clone()).collect()
    }
}

impl Herald for Told {
    fn tell(&mut self, alert: Alert) {
        self.0.lock().unwrap().push(alert);
    }

    fn configure(&mut self, _: &Global) {}

    fn stop(&mut self) {}
}

fn config(text: &str) -> Config {
    let path = Path::new("/etc/keepalived.conf");
    let host = FakeHost::default().with_file("/etc/keepalived.conf", text);
    let loaded = keepalived::load(path, &Options::default(), &host);
    assert!(!loaded.is_refused(), "{:?}", loaded.diagnostics);
    loaded.config
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

/// A director, its checks, and what is told.
struct Scene {
    plane: Arc<Bare>,
    health: Health,
    told: Told,
}

impl Scene {
    fn new(text: &str) -> Self {
        let (plane, told) = (Bare::new(), Told::default());
        let herald = Box::new(told.clone());
        let health = Health::start(plane.clone(), config(text), herald, 1, |_| {}).unwrap();
        let scene = Self {
            plane,
            health,
            told,
        };
        // From then on failures are forgiven.
        let found = || {
            let checks = scene.health.status().unwrap().checks;
            checks.found == checks.total
        };
        assert!(eventually(found));
        scene
    }

    /// The servers of the only service, in the order in which they were added, as `PORT/WEIGHT`.
    fn servers(&self) -> Vec<String> {
        let config = self.plane.director.config();
        let [service] = config.services()[..] else {
            return vec!["no single service".to_owned()];
        };
        let dests = service.dests().iter().rev();
        dests
            .map(|d| format!("{}/{}", d.addr().port, d.weight()))
            .collect()
    }

    #[track_caller]
    fn await_servers(&self, wanted: &[&str]) {
        let came = eventually(|| self.servers() == wanted);
        assert!(came, "{:?} instead of {wanted:?}", self.servers());
    }
}

/// A listener and its port.
fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// A service with a server at each port that has a quick check, and further lines.
fn service(ports: &[u16], more: &str) -> String {
    let servers: String = ports
        .iter()
        .map(|port| {
            format!(
                "real_server 127.0.0.1 {port} {{\n TCP_CHECK {{\n connect_timeout 20\n }}\n }}\n"
            )
        })
        .collect();
    format!(
        "virtual_server 192.0.2.1 80 {{\n protocol TCP\n lvs_sched rr\n lvs_method NAT\n \
         delay_loop 0.02\n delay_before_retry 0.02\n warmup 0\n {more}\n {servers}}}\n"
    )
}

#[test]
fn who_fails_is_taken_out_and_comes_back() {
    let ((a, port_a), (_b, port_b)) = (listener(), listener());
    let more = "quorum 2\n quorum_up \"/bin/up\"\n quorum_down \"/bin/down\"\n smtp_alert";
    let scene = Scene::new(&service(&[port_a, port_b], more));
    let (in_a, in_b) = (format!("{port_a}/1"), format!("{port_b}/1"));
    scene.await_servers(&[&in_a, &in_b]);
    drop(a);
    scene.await_servers(&[&in_b]);
    let _a = TcpListener::bind(("127.0.0.1", port_a)).unwrap();
    scene.await_servers(&[&in_b, &in_a]);
    let of = "[192.0.2.1]:tcp:80";
    let server = format!("RS [127.0.0.1]:tcp:{port_a} {of}");
    let lines = [
        format!("VS {of} UP"),
        format!("{server} DOWN"),
        format!("VS {of} DOWN"),
        format!("{server} UP"),
        format!("VS {of} UP"),
    ];
    assert!(
        eventually(|| scene.told.lines() == lines),
        "{:?}",
        scene.told
    );
    assert_eq!(scene.told.scripts(), ["/bin/up", "/bin/down", "/bin/up"]);
    let subjects = scene.told.subjects();
    assert_eq!(subjects.len(), 5, "{subjects:?}"); // of the quorum 3 times, of the check twice
    let status = scene.health.status().unwrap();
    let first = &status.services[0].servers[0];
    assert!(first.up && first.flaps == 2, "{first:?}");
    let failures: u64 = first.checks[0].failures.values().sum();
    assert!(failures >= 2, "one is forgiven: {first:?}");
}

#[test]
fn the_sorry_server_serves_when_nobody_else_does() {
    let (a, port) = listener();
    let scene = Scene::new(&service(&[port], "sorry_server 127.0.0.9 99"));
    scene.await_servers(&[&format!("{port}/1")]);
    drop(a);
    scene.await_servers(&["99/1"]);
    assert!(
        scene.health.status().unwrap().services[0]
            .sorry
            .as_ref()
            .unwrap()
            .serves
    );
    let _a = TcpListener::bind(("127.0.0.1", port)).unwrap();
    scene.await_servers(&[&format!("{port}/1")]);
}

#[test]
fn inhibited_servers_stay_with_weight_0() {
    let (a, port) = listener();
    let scene = Scene::new(&service(&[port], "inhibit_on_failure"));
    scene.await_servers(&[&format!("{port}/1")]);
    drop(a);
    scene.await_servers(&[&format!("{port}/0")]);
}

#[test]
fn the_same_configuration_again_changes_nothing() {
    let ((_a, port_a), (b, port_b)) = (listener(), listener());
    let text = service(&[port_a, port_b], "");
    let scene = Scene::new(&text);
    drop(b);
    scene.await_servers(&[&format!("{port_a}/1")]);
    let counted = |s: &Status| s.services[0].servers[1].checks[0].flaps;
    assert!(eventually(|| scene.told.lines().len() == 2));
    let (before, told) = (scene.plane.director.config(), scene.told.lines());
    let flaps = counted(&scene.health.status().unwrap());
    scene.health.reload(config(&text), false).unwrap();
    let live = |c: &lvs_core::Config| Arc::as_ptr(c.services()[0].live());
    assert_eq!(live(&before), live(&scene.plane.director.config()));
    assert_eq!(scene.servers(), [format!("{port_a}/1")]);
    assert_eq!(scene.told.lines(), told);
    assert_eq!(counted(&scene.health.status().unwrap()), flaps);
}

#[test]
fn a_reload_keeps_what_stays_and_tells_who_goes() {
    let ((_a, port_a), (b, port_b), (_c, port_c)) = (listener(), listener(), listener());
    let scene = Scene::new(&service(&[port_a, port_b], ""));
    drop(b);
    scene.await_servers(&[&format!("{port_a}/1")]);
    // The failed server stays out, the first is gone, another one is new.
    let next = service(&[port_b, port_c], "");
    scene.health.reload(config(&next), true).unwrap();
    scene.await_servers(&[&format!("{port_a}/1")]);
    scene.health.reload(config(&next), false).unwrap();
    assert_eq!(scene.servers(), [format!("{port_c}/1")]);
    let gone = format!("RS [127.0.0.1]:tcp:{port_a} [192.0.2.1]:tcp:80 DOWN");
    assert!(
        scene.told.lines().contains(&gone),
        "{:?}",
        scene.told.lines()
    );
}

#[test]
fn a_reload_that_the_director_refuses_changes_nothing() {
    let (_a, port) = listener();
    let text = service(&[port], "");
    let scene = Scene::new(&text);
    let mut bad = config(&text);
    let server = &mut bad.services[0].servers[0];
    server.options.lower = server.options.upper + 1;
    let refused = scene.health.reload(bad, false).unwrap_err();
    assert!(!refused.is_empty());
    assert_eq!(scene.servers(), [format!("{port}/1")]);
    assert_eq!(scene.health.status().unwrap().services.len(), 1);
}

/// What people do by hand stays, until the same server is concerned.
#[test]
fn changes_by_hand_are_left_alone() {
    let ((a, port_a), (_b, port_b)) = (listener(), listener());
    let scene = Scene::new(&service(&[port_a, port_b], ""));
    let key = ServiceKey::tcp("192.0.2.1:80".parse().unwrap());
    let addr = format!("127.0.0.1:{port_b}").parse().unwrap();
    let director = &scene.plane.director;
    let by_hand = lvs_core::DestOptions::new(lvs_core::Method::Nat, 7);
    let edited: Result<(), lvs_core::ConfigError> =
        director.edit(|draft| draft.edit_dest(key, addr, &by_hand));
    edited.unwrap();
    drop(a);
    scene.await_servers(&[&format!("{port_b}/7")]);
}

/// What is removed by hand is there again with the next reload, whole; and whole too when one of its servers is concerned first.
#[test]
fn a_service_removed_by_hand_comes_back_whole() {
    let ((a, port_a), (_b, port_b)) = (listener(), listener());
    let text = service(&[port_a, port_b], "");
    let scene = Scene::new(&text);
    let remove = || {
        let key = ServiceKey::tcp("192.0.2.1:80".parse().unwrap());
        let edited: Result<(), lvs_core::ConfigError> =
            scene.plane.director.edit(|draft| draft.remove_service(key));
        edited.unwrap();
    };
    let both = [format!("{port_a}/1"), format!("{port_b}/1")];
    remove();
    assert_eq!(scene.health.reload(config(&text), true), Ok(1));
    assert_eq!(scene.health.reload(config(&text), false), Ok(1));
    assert_eq!(scene.servers(), both);
    assert_eq!(scene.health.reload(config(&text), false), Ok(0));
    drop(a);
    scene.await_servers(&[&both[1]]);
    remove();
    let _a = TcpListener::bind(("127.0.0.1", port_a)).unwrap();
    scene.await_servers(&[&both[0], &both[1]]);
}

/// Where something stands in a file is no part of what it says.
#[test]
fn lines_that_move_change_nothing() {
    let text = service(&[81, 82], "quorum_up \"/bin/up\"");
    let moved = format!(
        "# a comment\n\n{}",
        text.replace(" lvs_sched", "\n    lvs_sched")
    );
    let (old, new) = (config(&text), config(&moved));
    assert_eq!(difference::between(&old, &new), []);
    let more = config(&text.replace("quorum_up", "quorum 2\n quorum_up"));
    assert_eq!(difference::between(&old, &more).len(), 1);
}
