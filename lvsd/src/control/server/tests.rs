use std::fs;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::sync::Barrier;
use std::time::Instant;

use super::*;
use crate::control::client::{Client, ClientError};
use crate::control::testing::Bare;

/// A socket of its own, for each test that needs other options than usual.
struct Place {
    path: PathBuf,
    plane: Arc<Bare>,
    server: Option<Server>,
}

impl Place {
    fn new(name: &str) -> Self {
        let name = format!("lvsd-server-{}-{name}.sock", std::process::id());
        Self {
            path: std::env::temp_dir().join(name),
            plane: Bare::new(),
            server: None,
        }
    }

    fn options(&self) -> Options {
        Options::new(self.path.clone())
    }

    fn start(&mut self, options: Options) -> io::Result<()> {
        self.server = Some(Server::start(options, self.plane.clone())?);
        Ok(())
    }

    fn open(name: &str) -> Self {
        let mut place = Self::new(name);
        place.start(place.options()).unwrap();
        place
    }

    fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(&self.path).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        stream
    }

    /// Says all that and no more, and returns what was answered until the daemon closed.
    fn say(&self, what: &[u8]) -> String {
        let mut stream = self.connect();
        // Whoever is cut off early cannot say all.
        let _ = stream.write_all(what);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut said = Vec::new();
        // Who closes before he has read all resets the connection; what he said is still there.
        if let Err(e) = stream.read_to_end(&mut said) {
            assert_eq!(e.kind(), ErrorKind::ConnectionReset);
        }
        String::from_utf8(said).unwrap()
    }

    fn services(&self) -> usize {
        self.plane.director().config().services().len()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(self.server.take());
        assert!(!self.path.exists(), "the socket is removed");
    }
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

const HELLO: &str = "{\"protocol\":1}\n";
const ADD: &str = "{\"request\":\"apply\",\"commands\":[[\"-A\",\"-t\",\"10.0.0.1:80\"]]}\n";

#[test]
fn rubbish_is_answered_with_an_error_and_the_end() {
    let place = Place::open("rubbish");
    let rubbish: Vec<u8> = (0..100_000_u32).map(|i| ((i * 7919) >> 3) as u8).collect();
    let request = |text: &str| format!("{HELLO}{text}{ADD}");
    for said in [
        place.say(&rubbish),
        place.say(b"\n"),
        place.say(b"{\"protocol\":1,\"more\n"),
        place.say(request("\n").as_bytes()),
        place.say(request("{}\n").as_bytes()),
        place.say(request("{\"request\":\"nonesuch\"}\n").as_bytes()),
        place.say(request("{\"request\":\"table\",\"colour\":1}\n").as_bytes()),
        place.say(request("{\"request\":\"apply\",\"commands\":[[1]]}\n").as_bytes()),
        place.say(request("\u{0}\u{7f}\u{fffd}\n").as_bytes()),
    ] {
        let last = said.lines().last().unwrap();
        assert!(
            last.starts_with("{\"reply\":\"error\",\"message\":\""),
            "{said}"
        );
        assert!(said.lines().count() <= 2, "{said}");
    }
    assert_eq!(place.services(), 0, "nothing behind the error is done");
    assert!(
        place
            .say(format!("{HELLO}{ADD}").as_bytes())
            .ends_with("{\"reply\":\"done\"}\n")
    );
}

#[test]
fn another_version_is_refused_by_name() {
    let place = Place::open("version");
    let said = place.say(format!("{{\"protocol\":2}}\n{ADD}").as_bytes());
    assert!(
        said.contains("protocol 2") && said.lines().count() == 1,
        "{said}"
    );
    assert_eq!(place.services(), 0);
}

#[test]
fn half_a_request_is_none() {
    let place = Place::open("half");
    for end in 0..ADD.len() {
        place.say(format!("{HELLO}{}", &ADD[..end]).as_bytes());
    }
    assert_eq!(place.services(), 0);
}

#[test]
fn a_request_without_end_is_cut_off() {
    let place = Place::open("endless");
    let mut stream = place.connect();
    stream.write_all(HELLO.as_bytes()).unwrap();
    let chunk = vec![b' '; 1 << 20];
    let mut sent = 0;
    while sent < 2 * LONGEST_REQUEST && stream.write_all(&chunk).is_ok() {
        sent += chunk.len();
    }
    assert!(sent < 2 * LONGEST_REQUEST, "somebody went on reading");
    assert!(
        place
            .say(format!("{HELLO}{ADD}").as_bytes())
            .contains("done")
    );
}

#[test]
fn who_hangs_is_cut_off_and_others_are_served_meanwhile() {
    let mut place = Place::new("hang");
    let patience = Duration::from_millis(300);
    place
        .start(Options {
            patience,
            ..place.options()
        })
        .unwrap();
    let mut silent = place.connect();
    let mut half = place.connect();
    half.write_all(&HELLO.as_bytes()[..5]).unwrap();
    let begin = Instant::now();
    assert!(
        place
            .say(format!("{HELLO}{ADD}").as_bytes())
            .contains("done")
    );
    for stream in [&mut silent, &mut half] {
        let mut said = Vec::new();
        assert_eq!(stream.read_to_end(&mut said).unwrap(), 0, "{said:?}");
    }
    assert!(begin.elapsed() >= patience);
}

#[test]
fn who_does_not_listen_is_cut_off() {
    let mut place = Place::new("deaf");
    let patience = Duration::from_millis(200);
    place
        .start(Options {
            patience,
            ..place.options()
        })
        .unwrap();
    let mut deaf = place.connect();
    // More answers than fit into the socket's buffers, and none of them read.
    let ask = "{\"request\":\"table\"}\n".repeat(20_000);
    let said_all = deaf.write_all(format!("{HELLO}{ask}").as_bytes());
    assert!(said_all.is_err(), "somebody went on listening");
    let open = || lock(&place.server.as_ref().unwrap().clients.open).len();
    let end = Instant::now() + Duration::from_secs(10);
    while open() > 0 && Instant::now() < end {
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(open(), 0, "its place is free again");
}

#[test]
fn there_is_room_for_so_many_clients() {
    let place = Place::open("many");
    let mut clients: Vec<Client> = (0..CLIENTS)
        .map(|_| Client::connect(&place.path).unwrap())
        .collect();
    match Client::connect(&place.path) {
        Err(ClientError::Unsupported(message)) => {
            assert!(message.contains("64 clients"), "{message}")
        }
        other => panic!("{other:?}"),
    }
    clients.pop();
    let end = Instant::now() + Duration::from_secs(10);
    while Client::connect(&place.path).is_err() {
        assert!(
            Instant::now() < end,
            "the place of one who left is not free"
        );
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn of_many_who_want_the_same_one_gets_it() {
    let place = Place::open("race");
    let start = Barrier::new(8);
    let wins = thread::scope(|scope| {
        let one = |n: usize| {
            let (mut client, start) = (Client::connect(&place.path).unwrap(), &start);
            scope.spawn(move || {
                start.wait();
                let commands = |i| {
                    let service = format!("10.0.0.1:{}", 1000 + i);
                    vec![
                        words(&format!("-A -t {service} -s rr")),
                        words(&format!("-a -t {service} -r 10.1.0.{} -m", n + 1)),
                        words(&format!("-a -t {service} -r 10.1.1.{} -m", n + 1)),
                    ]
                };
                let won = |i| client.apply(commands(i), false).unwrap().is_ok();
                (0..50).map(won).filter(|won| *won).count()
            })
        };
        let threads: Vec<_> = (0..8).map(one).collect();
        threads
            .into_iter()
            .map(|t| t.join().unwrap())
            .sum::<usize>()
    });
    assert_eq!(wins, 50);
    let config = place.plane.director().config();
    assert_eq!(config.services().len(), 50);
    for service in config.services() {
        let last = |d: &lvs_core::Dest| d.addr().ip.as_v4().unwrap()[3];
        let [a, b] = service.dests() else {
            panic!("{service:?}")
        };
        assert_eq!(last(a), last(b), "both servers are of the one who won");
    }
}

#[test]
fn all_that_is_wrong_is_said_and_nothing_done() {
    let place = Place::open("refused");
    let mut client = Client::connect(&place.path).unwrap();
    let lines = [
        "-A -t 10.0.0.1:80 -s rr",
        "-A -t 10.0.0.1:80",
        "-D -t 10.0.0.9:9",
        "-A -t 10.0.0.2:80 -s nosuch",
    ];
    let commands: Vec<_> = lines.iter().map(|l| words(l)).collect();
    for rehearse in [true, false] {
        let refusals = client
            .apply(commands.clone(), rehearse)
            .unwrap()
            .unwrap_err();
        let said: Vec<_> = refusals
            .iter()
            .map(|r| (r.command, r.exit, r.message.as_str()))
            .collect();
        let expected = [
            (Some(1), 255, "Service already exists"),
            (Some(2), 255, "No such service"),
            (Some(3), 255, "Scheduler or persistence engine not found"),
        ];
        assert_eq!(said, expected);
        assert_eq!(place.services(), 0);
    }
    assert_eq!(client.apply(commands[..1].to_vec(), true).unwrap(), Ok(()));
    assert_eq!(place.services(), 0, "only rehearsed");
    assert_eq!(client.apply(commands[..1].to_vec(), false).unwrap(), Ok(()));
    assert_eq!(place.services(), 1);
}

#[test]
fn what_is_rehearsed_is_what_would_be_said() {
    let place = Place::open("rehearsed");
    let mut client = Client::connect(&place.path).unwrap();
    let fullnat = [
        "-A -t 10.0.0.1:80",
        "-a -t 10.0.0.1:80 -r 10.1.0.1 --fullnat",
    ];
    let local = ["-A -t 10.0.0.1:80 --local-address 10.0.0.1"];
    let both = [
        "-A -u 10.0.0.1:80 -o --local-address 10.0.0.9",
        "-a -u 10.0.0.1:80 -r 10.1.0.1 --fullnat",
    ];
    for (lines, command, word) in [
        (&fullnat[..], 1, Some(4)),
        (&local[..], 0, Some(4)),
        (&both[..], 0, Some(2)),
        (&["-A -t 10.0.0.1:80"], 0, None),
    ] {
        let commands: Vec<_> = lines.iter().map(|l| words(l)).collect();
        let foretold = client.apply(commands.clone(), true).unwrap();
        assert_eq!(place.services(), 0);
        let said = client.apply(commands, false).unwrap();
        assert_eq!(foretold, said, "{lines:?}");
        if let Err(refusals) = said {
            let [refusal] = &refusals[..] else {
                panic!("{refusals:?}")
            };
            assert_eq!(
                (refusal.command, refusal.word),
                (Some(command), word),
                "{refusal:?}"
            );
        }
    }
    assert_eq!(place.services(), 1);
}

#[test]
fn names_are_not_looked_up_by_the_daemon() {
    let place = Place::open("names");
    let mut client = Client::connect(&place.path).unwrap();
    for service in ["localhost:80", "10.0.0.1:http"] {
        let refusals = client
            .apply(vec![words(&format!("-A -t {service}"))], false)
            .unwrap();
        assert_eq!(refusals.unwrap_err()[0].exit, 2);
    }
}

#[test]
fn only_root_may_connect_unless_a_group_may_too() {
    let mode = |p: &Place| fs::metadata(&p.path).unwrap().mode() & 0o777;
    let place = Place::open("root");
    assert_eq!(mode(&place), 0o600);
    let mut place = Place::new("group");
    // Whoever runs this may give a file to its own group.
    let own = fs::metadata("/proc/self").unwrap().gid();
    place
        .start(Options {
            group: Some(own),
            ..place.options()
        })
        .unwrap();
    assert_eq!(mode(&place), 0o660);
    assert_eq!(fs::metadata(&place.path).unwrap().gid(), own);
}

#[test]
fn a_dead_ones_socket_is_replaced_and_nobody_elses() {
    let mut place = Place::new("stale");
    drop(UnixListener::bind(&place.path).unwrap());
    place.start(place.options()).unwrap();
    let mut second = Place::new("stale");
    let e = second.start(second.options()).unwrap_err();
    assert!(e.to_string().contains("another lvsd"), "{e}");
    assert!(
        place
            .say(format!("{HELLO}{ADD}").as_bytes())
            .contains("done"),
        "the first is unharmed"
    );
    drop(place);

    let mut third = Place::new("stale");
    fs::write(&third.path, "precious").unwrap();
    let e = third.start(third.options()).unwrap_err();
    assert!(e.to_string().contains("no socket"), "{e}");
    assert_eq!(fs::read(&third.path).unwrap(), b"precious");
    fs::remove_file(&third.path).unwrap();
}

#[test]
fn it_ends_while_clients_are_connected() {
    let mut place = Place::open("end");
    let mut client = Client::connect(&place.path).unwrap();
    drop(place.server.take());
    assert!(matches!(client.table(), Err(ClientError::Broken(..))));
    assert!(matches!(
        Client::connect(&place.path),
        Err(ClientError::Connect(..))
    ));
}

#[test]
fn what_would_take_too_much_memory_is_refused() {
    let place = Place::open("memory");
    let of = |commands: &str| {
        let request = format!("{{\"request\":\"apply\",\"commands\":[{commands}]}}\n");
        place.say(format!("{HELLO}{request}").as_bytes())
    };
    let said = of(&vec!["[]"; MOST_VALUES / 2].join(","));
    assert!(said.contains("are too many") && said.len() < 1000, "{said}");
    // As many as may be asked for, all of them wrong, and a short answer.
    let said = of(&vec!["[]"; MOST_VALUES / 2 - 10].join(","));
    let others = MOST_VALUES / 2 - 10 + 1 - 1000;
    assert!(
        said.contains(&format!("and {others} more are refused")),
        "{}",
        said.len()
    );
    assert!(said.len() < 200_000, "{}", said.len());
}
