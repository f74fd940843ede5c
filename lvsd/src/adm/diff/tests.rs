//! What would change, said before it does.

use lvs_core::{Protocol, Segment, TcpFlags, Time};
use proptest::prelude::*;

use super::super::restore::tests::{Said, with_input};
use super::*;
use crate::control::testing::Desk;
use crate::rules::testing::rule_set;
use crate::rules::{RuleSet, ServerRule};

fn diff(desk: &Desk, words: &[&str], file: &str) -> Said {
    with_input(desk, file.as_bytes(), |front| front.diff(words))
}

const TABLE: &str = "\
-A -t 10.0.0.1:80 -s wrr -p 360
-a -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 3
-a -t 10.0.0.1:80 -r 10.1.0.2:8080 -m -w 1
-A -u 10.0.0.1:53 -s rr
-a -u 10.0.0.1:53 -r 10.1.0.3:53 -g -w 1
";

/// A daemon with that table, and three clients of each service.
fn busy() -> Desk {
    let desk = Desk::open();
    desk.apply(TABLE);
    let mut worker = desk.plane.director.worker().unwrap();
    let mut segments = Vec::new();
    for n in 1..=3 {
        let client = format!("10.2.0.{n}:1024").parse().unwrap();
        let open = Segment {
            flags: TcpFlags::SYN,
            ..Segment::new(Protocol::TCP, client, "10.0.0.1:80".parse().unwrap())
        };
        let acknowledge = Segment {
            flags: TcpFlags::ACK,
            ..open
        };
        let ask = Segment::new(Protocol::UDP, client, "10.0.0.1:53".parse().unwrap());
        segments.extend([open, acknowledge, ask]);
    }
    let mut verdicts = Vec::new();
    worker.decide(Time::default(), &segments, &mut verdicts);
    let table = desk.client().table().unwrap();
    let held = |s: &crate::control::table::Server| (s.active, s.inactive, s.persistent);
    let mut servers: Vec<_> = table.services.iter().flat_map(|s| &s.servers).collect();
    servers.sort_by_key(|s| s.address);
    let held: Vec<_> = servers.into_iter().map(held).collect();
    assert_eq!(
        held,
        [(2, 0, 2), (1, 0, 1), (0, 3, 0)],
        "three and one, three"
    );
    desk
}

#[test]
fn of_the_same_nothing_is_said() {
    let desk = busy();
    let said = diff(&desk, &["-"], TABLE);
    assert_eq!((said.exit, &*said.out, &*said.err), (0, "", ""));
    let said = diff(&desk, &["-", "--json"], TABLE);
    let empty = "{\"different\":false,\"settings\":[],\"timeouts\":[],\"marks\":{\"removed\":[],\"added\":[],\
                 \"reordered\":false},\"services\":[],\"cut_off\":{\"active\":0,\"inactive\":0,\"templates\":0}}\n";
    assert_eq!((said.exit, &*said.out), (0, empty));
}

#[test]
fn each_difference_is_named_with_those_whom_it_touches() {
    let desk = busy();
    desk.apply("--mark 1 --source 10.3.0.0/16\n--mark 2 --source 10.4.0.0/16");
    let file = "\
--clear-marks
--mark 2 --source 10.4.0.0/16
--mark 3 --source 10.5.0.0/16
net.ipv4.vs.expire_quiescent_template = 1
--set 800 0 0
-A -t 10.0.0.1:80 -s sh -b sh-port
-a -t 10.0.0.1:80 -r 10.1.0.1 -g -w 0 -x 9
-a -t 10.0.0.1:80 -r 10.1.0.4:8080 -m
-A -t 10.0.0.0:81 -s rr
-a -t 10.0.0.0:81 -r 10.1.0.4 -i
";
    let said = diff(&desk, &["-"], file);
    let text = "\
~ net.ipv4.vs.expire_quiescent_template default -> 1
~ --set: tcp 900 -> 800
- --mark 1 --source 10.3.0.0/16
+ --mark 3 --source 10.5.0.0/16
+ -A -t 10.0.0.0:81 -s rr
+ -a -t 10.0.0.0:81 -r 10.1.0.4:81 -i -w 1 --tun-type ipip
~ -t 10.0.0.1:80: scheduler wrr -> sh, flags none -> sh-port, persistence.timeout 360 -> none, persistence.prefix 32 -> none
~ -t 10.0.0.1:80 -r 10.1.0.1:80: method nat -> dr, weight 3 -> 0, upper 0 -> 9
    # no new connections; 2 active connections stay; clients of 2 templates get another server
    # 2 active connections keep the old method
- -a -t 10.0.0.1:80 -r 10.1.0.2:8080 -m -w 1
    # cuts off 1 active connection; clients of 1 template get another server
+ -a -t 10.0.0.1:80 -r 10.1.0.4:8080 -m -w 1
- -A -u 10.0.0.1:53 -s rr
- -a -u 10.0.0.1:53 -r 10.1.0.3:53 -g -w 1
    # cuts off 3 inactive connections

services: 1 added, 1 removed, 1 changed; servers: 2 added, 2 removed, 1 changed
lost with their servers: 1 active and 3 inactive connections, 1 template
";
    assert_eq!((said.exit, &*said.out, &*said.err), (1, text, ""));
    assert_eq!(
        with_input(&desk, b"", |f| f.save_script(&["-n"])).out,
        "--clear-marks\n--mark 1 --source 10.3.0.0/16\n--mark 2 --source 10.4.0.0/16\n".to_owned()
            + TABLE,
        "nothing has been done"
    );
}

/// With this file, what is said of the server 10.1.0.1.
fn said_of(desk: &Desk, line: &str) -> Vec<String> {
    let old = TABLE.lines().nth(1).unwrap();
    let said = diff(desk, &["-"], &TABLE.replace(old, line));
    assert_eq!(said.exit, 1, "{}", said.err);
    let lines = said.out.lines().take_while(|line| !line.is_empty());
    lines.map(|line| line.trim_start().to_owned()).collect()
}

#[test]
fn what_becomes_of_connections_depends_on_what_is_set() {
    let desk = busy();
    let server = "-a -t 10.0.0.1:80 -r 10.1.0.1:80";
    let name = "~ -t 10.0.0.1:80 -r 10.1.0.1:80:";
    assert_eq!(
        said_of(&desk, &format!("{server} -m -w 0")),
        [
            &*format!("{name} weight 3 -> 0"),
            "# no new connections but those of 2 templates; 2 active connections stay",
        ]
    );
    assert_eq!(
        said_of(&desk, &format!("{server} -m -w 9")),
        [format!("{name} weight 3 -> 9")]
    );
    assert_eq!(
        said_of(
            &desk,
            &format!("net.ipv4.vs.expire_nodest_conn = 1\n# {server}")
        ),
        [
            "~ net.ipv4.vs.expire_nodest_conn default -> 1",
            &*format!("- {server} -m -w 3"),
            "# ends 2 active connections; clients of 2 templates get another server",
        ]
    );
    desk.apply(&format!("-e{} -i -w 3", &server[2..]));
    assert_eq!(
        said_of(
            &desk,
            &format!("{server} -i -w 3 --tun-type gue --tun-port 6080")
        ),
        [
            &*format!("{name} tunnel.type ipip -> gue, tunnel.port none -> 6080"),
            "# 2 active connections change over",
        ]
    );
}

#[test]
fn programs_are_told_the_same() {
    let desk = busy();
    let said = diff(&desk, &["--json", "-"], &TABLE.replace("-w 3", "-w 0"));
    assert_eq!((said.exit, &*said.err), (1, ""));
    let told: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    let expected = serde_json::json!({
        "different": true,
        "settings": [],
        "timeouts": [],
        "marks": {"removed": [], "added": [], "reordered": false},
        "services": [{
            "change": "changed",
            "protocol": "tcp",
            "address": "10.0.0.1",
            "port": 80,
            "fields": [],
            "servers": [{
                "change": "changed",
                "address": "10.1.0.1",
                "port": 80,
                "fields": [{"field": "weight", "from": 3, "to": 0}],
                "connections": {"active": 2, "inactive": 0, "templates": 2},
                "effects": ["quiesced"],
            }],
        }],
        "cut_off": {"active": 0, "inactive": 0, "templates": 0},
    });
    assert_eq!(told, expected);
}

#[test]
fn trouble_is_no_difference() {
    let desk = busy();
    let said = diff(
        &desk,
        &["-"],
        "-A -t 10.0.0.1:80 -s rr\n-A -t 10.0.0.1:80\n",
    );
    assert_eq!((said.exit, &*said.out), (2, ""));
    assert!(
        said.err
            .contains("error: Service already exists\n --> standard input:2:7\n")
    );
    let said = diff(&desk, &["-"], "-A -t 10.0.0.1:80 -w 3");
    assert!(said.exit == 2 && said.err.contains(":1:"), "{}", said.err);
    let said = diff(&desk, &["/no/such/file"], "");
    assert!(said.exit == 2 && said.err.starts_with("/no/such/file: No such file"));
    for words in [&[][..], &["--json"], &["a", "b"], &["--what"]] {
        let said = diff(&desk, words, "");
        assert!(
            said.exit == 2 && said.err.starts_with("Usage: "),
            "{words:?}"
        );
    }
    assert_eq!(diff(&desk, &["--help"], "").exit, 0);
    let said = with_input(&desk, b"", |front| {
        front.socket = "/no/such/socket".into();
        front.diff(&["-"])
    });
    assert_eq!((said.exit, &*said.out), (2, ""));
}

/// The commands that make a director's rules these.
fn commands(rules: &RuleSet) -> Vec<Command> {
    let mut commands = vec![Command::ClearMarks, Command::SetTimeouts(rules.timeouts)];
    commands.extend(rules.marks.iter().cloned().map(Command::Mark));
    for service in &rules.services {
        let mut alone = service.clone();
        let servers: Vec<ServerRule> = std::mem::take(&mut alone.servers);
        commands.push(Command::AddService(alone));
        let server = |server| Command::AddServer(service.key, server);
        commands.extend(servers.into_iter().map(server));
    }
    commands
}

/// All that is configured, as text.
fn configured(table: &Table) -> Vec<String> {
    let mut table = table.clone();
    super::super::listing::sort(&mut table.services);
    let mut lines = super::super::save::lines(&table, &super::super::names::Numbers);
    lines.push(format!("{:?} {:?}", table.timeouts, table.settings));
    lines
}

proptest! {
    /// Something is different if, and only if, the tables are saved differently.
    #[test]
    fn whatever_is_saved_is_compared(first in rule_set(), second in rule_set()) {
        let empty = Table::of(&Director::new(&Settings::default()), &[]);
        let before = restored(&empty, &commands(&first)).unwrap();
        let after = restored(&before, &commands(&second)).unwrap();
        let again = restored(&after, &commands(&second)).unwrap();
        let d = Difference::between(&before, &after);
        prop_assert_eq!(d.different, configured(&before) != configured(&after));
        prop_assert!(!Difference::between(&after, &again).different);
        let mut text = Vec::new();
        text::write(&mut text, &d, &before, &after).unwrap();
        prop_assert_eq!(text.is_empty(), !d.different);
        // Each part alone, too: of everything that two services may have, some is the same.
        for (one, other) in first.services.iter().zip(&second.services) {
            let mut like = other.clone();
            like.key = one.key;
            let tables = [one, &like].map(|rule| {
                let rules = RuleSet { services: vec![rule.clone()], ..RuleSet::default() };
                restored(&empty, &commands(&rules))
            });
            if let [Ok(one), Ok(other)] = tables {
                let different = Difference::between(&one, &other).different;
                prop_assert_eq!(different, configured(&one) != configured(&other));
            }
        }
    }
}
