use std::sync::OnceLock;

use lvs_core::{Protocol, ServiceKey};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::control::testing::Desk;

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn table(lines: &str) -> Table {
    let desk = Desk::open();
    desk.apply(lines);
    desk.client().table().unwrap()
}

/// A service with this option, and servers .1 and .2.
fn two_servers(option: &str) -> Table {
    static TABLES: [OnceLock<Table>; 2] = [const { OnceLock::new() }; 2];
    let made = || {
        table(&format!(
            "-A {option} 10.0.0.1:80 -s rr\n\
             -a {option} 10.0.0.1:80 -r 10.1.0.1 -m -w 5 -x 9\n\
             -a {option} 10.0.0.1:80 -r 10.1.0.2 -m"
        ))
    };
    TABLES[usize::from(option == "-u")]
        .get_or_init(made)
        .clone()
}

/// To drain .1, by these options besides.
fn course(protocol: Protocol, change: impl Fn(&mut Options)) -> Course {
    let mut options = Options {
        service: ServiceKey::new(protocol, "10.0.0.1:80".parse().unwrap()).into(),
        server: "10.1.0.1:80".parse().unwrap(),
        deadline: Some(seconds(60)),
        move_udp: false,
        move_templates: false,
        keep: false,
        json: false,
        socket: None,
    };
    change(&mut options);
    Course::new(options)
}

/// Server .1 in the table.
fn server(table: &mut Table) -> &mut Server {
    let mut servers = table.services.iter_mut().flat_map(|s| &mut s.servers);
    let address = "10.1.0.1".parse().unwrap();
    servers.find(|s| s.address == address).unwrap()
}

fn apply(words: &str) -> Step {
    Step::Apply(words.split(' ').map(str::to_owned).collect())
}

/// Looks, and expects weight 0 to be set; does that, and gives the server connections.
fn begun(course: &mut Course, table: &mut Table, active: u64, inactive: u64, persistent: u64) {
    let first = course.look(seconds(0), table);
    assert!(matches!(first, Step::Apply(_)), "{first:?}");
    let s = server(table);
    (s.weight, s.active, s.inactive, s.persistent) = (0, active, inactive, persistent);
}

fn remove(table: &mut Table) {
    for service in &mut table.services {
        service
            .servers
            .retain(|s| s.address != "10.1.0.1".parse().unwrap());
    }
}

const QUIESCE: &str = "-e -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 0 -x 9";
const REMOVE: &str = "-d -t 10.0.0.1:80 -r 10.1.0.1:80";
const UNDO: &str = "-e -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 5 -x 9";

#[test]
fn a_server_without_connections_is_removed_once_that_has_been_so_for_a_while() {
    let (mut t, mut c) = (two_servers("-t"), course(Protocol::TCP, |_| {}));
    assert_eq!(c.look(seconds(0), &t), apply(QUIESCE));
    assert_eq!(Step::Apply(c.undo().unwrap()), apply(UNDO));
    server(&mut t).weight = 0;
    assert_eq!(c.look(seconds(0), &t), Step::Wait);
    assert_eq!(c.look(seconds(1), &t), Step::Wait);
    // One that was under way.
    server(&mut t).active = 1;
    assert_eq!(c.look(seconds(2), &t), Step::Wait);
    server(&mut t).active = 0;
    assert_eq!(c.look(seconds(3), &t), Step::Wait);
    assert_eq!(c.look(seconds(4), &t), Step::Wait);
    assert_eq!(c.look(seconds(5), &t), apply(REMOVE));
    remove(&mut t);
    assert_eq!(
        c.look(seconds(5), &t),
        Step::End(End::Removed(Left::default()))
    );
    assert_eq!(
        Step::Apply(c.undo().unwrap()),
        apply(&UNDO.replace("-e", "-a"))
    );
    assert_eq!(c.notes(), [""; 0]);
}

#[test]
fn connections_closed_by_both_sides_are_not_waited_for() {
    let (mut t, mut c) = (two_servers("-t"), course(Protocol::TCP, |_| {}));
    begun(&mut c, &mut t, 1, 10, 0);
    assert_eq!(
        c.look(seconds(0), &t),
        Step::Wait,
        "counting changes nothing yet"
    );
    (server(&mut t).active, server(&mut t).inactive) = (0, 10);
    assert_eq!(c.look(seconds(1), &t), Step::Count);
    c.counted(seconds(1), 9, Duration::from_millis(1));
    assert_eq!(
        c.look(seconds(1), &t),
        Step::Wait,
        "one is half-closed, and counted again later"
    );
    assert_eq!(c.look(seconds(2), &t), Step::Count);
    c.counted(seconds(2), 10, Duration::from_millis(1));
    assert_eq!(c.look(seconds(2), &t), Step::Wait);
    assert_eq!(c.look(seconds(3), &t), Step::Count);
    c.counted(seconds(3), 10, Duration::from_millis(1));
    assert_eq!(c.look(seconds(3), &t), Step::Wait);
    assert_eq!(c.look(seconds(4), &t), Step::Count);
    c.counted(seconds(4), 10, Duration::from_millis(1));
    assert_eq!(c.look(seconds(4), &t), apply(REMOVE));
    assert_eq!(c.left().connections(), 0);
}

/// In a large table counting takes its time.
#[test]
fn the_daemon_is_not_kept_busy_with_counting() {
    let (mut t, mut c) = (two_servers("-t"), course(Protocol::TCP, |_| {}));
    begun(&mut c, &mut t, 0, 10, 0);
    assert_eq!(c.look(seconds(0), &t), Step::Count);
    c.counted(seconds(1), 0, Duration::from_millis(700));
    assert_eq!(c.look(seconds(7), &t), Step::Wait);
    assert_eq!(c.look(seconds(8), &t), Step::Count);
}

/// What is counted and what is in the table are not of the same moment.
#[test]
fn fewer_counted_than_there_are_means_that_some_are_open() {
    let (mut t, mut c) = (two_servers("-t"), course(Protocol::TCP, |_| {}));
    begun(&mut c, &mut t, 0, 10, 0);
    c.look(seconds(0), &t);
    c.counted(seconds(0), 10, Duration::ZERO);
    server(&mut t).inactive = 11;
    for now in 1..5 {
        let step = c.look(seconds(now), &t);
        assert_eq!(step, Step::Count, "{now}");
        c.counted(seconds(now), 10, Duration::ZERO);
        assert_eq!(c.look(seconds(now), &t), Step::Wait, "{now}");
    }
    // Nor are more closed than there are.
    server(&mut t).inactive = 3;
    c.look(seconds(5), &t);
    assert_eq!((c.left().inactive, c.left().closed), (3, 3));
}

#[test]
fn at_the_deadline_what_is_left_is_cut() {
    let (mut t, mut c) = (two_servers("-t"), course(Protocol::TCP, |_| {}));
    begun(&mut c, &mut t, 2, 5, 1);
    assert_eq!(c.look(seconds(59), &t), Step::Wait);
    assert_eq!(
        c.look(seconds(60), &t),
        Step::Move {
            udp: false,
            templates: true
        }
    );
    c.moved(seconds(60), 1);
    server(&mut t).persistent = 0;
    assert_eq!(c.look(seconds(60), &t), Step::Count);
    c.counted(seconds(60), 4, Duration::ZERO);
    assert_eq!(c.look(seconds(60), &t), apply(REMOVE));
    remove(&mut t);
    let Step::End(End::Removed(left)) = c.look(seconds(60), &t) else {
        panic!("it is over");
    };
    assert_eq!((left.active, left.inactive, left.closed), (2, 5, 4));
    assert_eq!(left.connections(), 3);
}

#[test]
fn udp_clients_go_elsewhere_at_the_deadline() {
    let (mut t, mut c) = (two_servers("-u"), course(Protocol::UDP, |_| {}));
    begun(&mut c, &mut t, 0, 5, 0);
    assert_eq!(
        c.look(seconds(30), &t),
        Step::Wait,
        "a socket is never closed"
    );
    assert_eq!(
        c.look(seconds(60), &t),
        Step::Move {
            udp: true,
            templates: false
        }
    );
    c.moved(seconds(60), 5);
    server(&mut t).inactive = 0;
    assert!(matches!(c.look(seconds(60), &t), Step::Apply(_)));
    assert_eq!(c.left().connections(), 0);
}

#[test]
fn moved_at_once_and_until_there_is_nothing_to_move() {
    let (mut t, mut c) = (
        two_servers("-u"),
        course(Protocol::UDP, |o| o.move_udp = true),
    );
    begun(&mut c, &mut t, 0, 5, 0);
    let step = Step::Move {
        udp: true,
        templates: false,
    };
    assert_eq!(c.look(seconds(0), &t), step);
    c.moved(seconds(0), 4);
    server(&mut t).inactive = 1;
    assert_eq!(c.look(seconds(1), &t), Step::Wait);
    assert_eq!(c.look(seconds(2), &t), step);
    c.moved(seconds(2), 0);
    assert_eq!(
        c.look(seconds(9), &t),
        Step::Wait,
        "whatever it is, it is no UDP client"
    );
}

#[test]
fn moving_is_for_what_can_be_moved() {
    let both = |o: &mut Options| (o.move_udp, o.move_templates) = (true, true);
    let (mut t, mut c) = (two_servers("-t"), course(Protocol::TCP, both));
    begun(&mut c, &mut t, 1, 1, 0);
    assert_eq!(c.look(seconds(0), &t), Step::Wait);
    let (mut t, mut c) = (two_servers("-t"), course(Protocol::TCP, both));
    begun(&mut c, &mut t, 1, 1, 1);
    assert_eq!(
        c.look(seconds(0), &t),
        Step::Move {
            udp: false,
            templates: true
        }
    );
}

/// A mark's connections can be of any protocol.
#[test]
fn udp_clients_of_a_mark_are_moved_too() {
    let mut t = table(
        "-A -f 7 -s rr\n\
         -a -f 7 -r 10.1.0.1:80 -m\n\
         -a -f 7 -r 10.1.0.2:80 -m",
    );
    let mut c = course(Protocol::TCP, |o| {
        o.service = t.services[0].key;
        o.move_udp = true;
    });
    begun(&mut c, &mut t, 0, 2, 0);
    let step = Step::Move {
        udp: true,
        templates: false,
    };
    assert_eq!(c.look(seconds(0), &t), step);
    c.moved(seconds(0), 1);
    server(&mut t).inactive = 1;
    assert_eq!(c.look(seconds(0), &t), Step::Count, "and TCP is looked at");
}

/// A persistent service with servers .1 and .2.
fn persistent() -> Table {
    table(
        "-A -t 10.0.0.1:80 -s rr -p 300\n\
         -a -t 10.0.0.1:80 -r 10.1.0.1 -m\n\
         -a -t 10.0.0.1:80 -r 10.1.0.2 -m",
    )
}

#[test]
fn clients_that_may_come_back_are_waited_for() {
    let (mut t, mut c) = (persistent(), course(Protocol::TCP, |_| {}));
    begun(&mut c, &mut t, 0, 0, 1);
    let notes = c.notes();
    assert!(
        notes.len() == 1 && notes[0].contains("--move-templates"),
        "{notes:?}"
    );
    assert_eq!(c.look(seconds(0), &t), Step::Wait);
    assert_eq!(c.look(seconds(30), &t), Step::Wait);
    server(&mut t).persistent = 0;
    assert_eq!(c.look(seconds(31), &t), Step::Wait);
    assert!(matches!(c.look(seconds(33), &t), Step::Apply(_)));
}

#[test]
fn templates_that_lead_nowhere_are_not_waited_for() {
    let (mut t, mut c) = (persistent(), course(Protocol::TCP, |_| {}));
    t.settings
        .insert("expire_quiescent_template".to_owned(), "1".to_owned());
    begun(&mut c, &mut t, 0, 0, 1);
    assert_eq!(c.notes(), [""; 0]);
    assert_eq!(c.look(seconds(0), &t), Step::Wait);
    assert!(matches!(c.look(seconds(2), &t), Step::Apply(_)));
}

/// Their templates would bring them back each time.
#[test]
fn clients_who_are_led_back_are_moved_once() {
    let mut t = table(
        "-A -u 10.0.0.1:80 -s rr -p 300\n\
         -a -u 10.0.0.1:80 -r 10.1.0.1 -m\n\
         -a -u 10.0.0.1:80 -r 10.1.0.2 -m",
    );
    let mut c = course(Protocol::UDP, |o| o.move_udp = true);
    begun(&mut c, &mut t, 0, 5, 5);
    assert_eq!(
        c.look(seconds(0), &t),
        Step::Move {
            udp: true,
            templates: false
        }
    );
    c.moved(seconds(0), 5);
    assert_eq!(c.look(seconds(10), &t), Step::Wait);
}

#[test]
fn kept_it_stays_at_weight_0() {
    let (mut t, mut c) = (two_servers("-t"), course(Protocol::TCP, |o| o.keep = true));
    begun(&mut c, &mut t, 0, 0, 0);
    assert_eq!(c.look(seconds(0), &t), Step::Wait);
    let left = Left::default();
    assert_eq!(
        c.look(seconds(2), &t),
        Step::End(End::Kept {
            left,
            is_drained: true
        })
    );
    assert_eq!(Step::Apply(c.undo().unwrap()), apply(UNDO));
    assert_eq!(Step::Apply(c.removal().unwrap()), apply(REMOVE));
    // With something left at the deadline, nothing is moved or cut.
    let (mut t, mut c) = (two_servers("-t"), course(Protocol::TCP, |o| o.keep = true));
    begun(&mut c, &mut t, 2, 0, 1);
    let left = Left {
        active: 2,
        persistent: 1,
        ..Left::default()
    };
    assert_eq!(
        c.look(seconds(60), &t),
        Step::End(End::Kept {
            left,
            is_drained: false
        })
    );
}

#[test]
fn without_a_deadline_it_waits() {
    let (mut t, mut c) = (
        two_servers("-t"),
        course(Protocol::TCP, |o| o.deadline = None),
    );
    begun(&mut c, &mut t, 1, 0, 0);
    assert_eq!(c.look(seconds(1_000_000), &t), Step::Wait);
}

#[test]
fn what_others_do_is_theirs() {
    // A weight.
    let (mut t, mut c) = (two_servers("-t"), course(Protocol::TCP, |_| {}));
    begun(&mut c, &mut t, 0, 0, 0);
    assert_eq!(c.look(seconds(0), &t), Step::Wait);
    server(&mut t).weight = 7;
    assert_eq!(c.look(seconds(2), &t), Step::End(End::CalledOff(7)));
    // Other options.
    let (mut t, mut c) = (two_servers("-t"), course(Protocol::TCP, |_| {}));
    begun(&mut c, &mut t, 1, 0, 0);
    server(&mut t).upper = 20;
    assert_eq!(c.look(seconds(0), &t), Step::Wait);
    assert_eq!(c.look(seconds(1), &t), Step::Wait);
    let notes = c.notes();
    assert!(
        notes.len() == 1 && notes[0].contains("somebody else"),
        "{notes:?}"
    );
    assert_eq!(
        Step::Apply(c.undo().unwrap()),
        apply(&UNDO.replace('9', "20"))
    );
    // The server removed, or the service.
    let left = Left {
        active: 1,
        ..Left::default()
    };
    for whole in [false, true] {
        let (mut t, mut c) = (two_servers("-t"), course(Protocol::TCP, |_| {}));
        begun(&mut c, &mut t, 1, 0, 0);
        assert_eq!(c.look(seconds(1), &t), Step::Wait);
        match whole {
            true => t.services.clear(),
            false => remove(&mut t),
        }
        assert_eq!(c.look(seconds(2), &t), Step::End(End::Gone(left)));
    }
}

/// The removal is refused, since somebody else was quicker; or is carried out, and somebody adds the server again.
#[test]
fn a_removal_may_be_overtaken() {
    let removing = || {
        let (mut t, mut c) = (two_servers("-t"), course(Protocol::TCP, |_| {}));
        begun(&mut c, &mut t, 0, 0, 0);
        c.look(seconds(0), &t);
        assert_eq!(c.look(seconds(2), &t), apply(REMOVE));
        (t, c)
    };
    let (mut t, mut c) = removing();
    c.refused();
    remove(&mut t);
    assert_eq!(
        c.look(seconds(2), &t),
        Step::End(End::Gone(Left::default()))
    );
    let (mut t, mut c) = removing();
    server(&mut t).weight = 3;
    assert_eq!(
        c.look(seconds(2), &t),
        Step::End(End::Removed(Left::default()))
    );
}

#[test]
fn what_is_not_there_is_not_drained() {
    let (mut t, mut c) = (two_servers("-u"), course(Protocol::TCP, |_| {}));
    assert_eq!(c.look(seconds(0), &t), Step::End(End::NoService));
    assert_eq!(c.undo(), None);
    let mut c2 = course(Protocol::UDP, |_| {});
    remove(&mut t);
    let other = "10.1.0.2:80".parse().unwrap();
    assert_eq!(
        c2.look(seconds(0), &t),
        Step::End(End::NoServer(vec![other]))
    );
    // The port counts.
    c = course(Protocol::UDP, |o| {
        o.server = "10.1.0.2:8080".parse().unwrap()
    });
    assert_eq!(
        c.look(seconds(0), &t),
        Step::End(End::NoServer(vec![other]))
    );
}

#[test]
fn a_server_of_weight_0_is_only_waited_for() {
    let (mut t, mut c) = (two_servers("-t"), course(Protocol::TCP, |_| {}));
    server(&mut t).weight = 0;
    assert_eq!(c.look(seconds(0), &t), Step::Wait);
    assert_eq!(c.notes(), ["the server has weight 0 already"]);
    assert_eq!(c.undo(), None, "nobody knows what it was");
    assert_eq!(c.look(seconds(1), &t), Step::Wait);
    assert_eq!(c.look(seconds(3), &t), apply(REMOVE));
}

#[test]
fn the_last_server_is_warned_of() {
    let (mut t, mut c) = (two_servers("-t"), course(Protocol::TCP, |_| {}));
    t.services[0]
        .servers
        .iter_mut()
        .for_each(|s| s.weight = u32::from(s.weight == 5));
    assert_eq!(c.look(seconds(0), &t), apply(&QUIESCE.replace('5', "1")));
    let notes = c.notes();
    assert!(
        notes.len() == 1 && notes[0].contains("refused"),
        "{notes:?}"
    );
}

proptest! {
    /// Whatever the numbers do: nothing is cut before the deadline, the deadline is kept, and nothing but weight 0 and
    /// the removal is ever sent.
    #[test]
    fn nothing_is_cut_early_and_the_deadline_is_kept(
        looks in vec((0_u64..3, 0_u64..3, 0_u64..2, 0_u64..4, 0_u64..1500), 1..120),
        protocol in prop_oneof![Just("-t"), Just("-u")],
        (move_udp, move_templates, keep) in any::<(bool, bool, bool)>(),
    ) {
        let deadline = seconds(30);
        let mut t = two_servers(protocol);
        let of = if protocol == "-t" { Protocol::TCP } else { Protocol::UDP };
        let mut c = course(of, |o| {
            (o.move_udp, o.move_templates, o.keep) = (move_udp, move_templates, keep);
            o.deadline = Some(deadline);
        });
        begun(&mut c, &mut t, 0, 0, 0);
        let mut now = seconds(0);
        let mut busy = seconds(0);
        for (active, inactive, persistent, closed, pause) in looks {
            let s = server(&mut t);
            (s.active, s.inactive, s.persistent) = (active, inactive, persistent);
            if active > 0 || persistent > 0 || of == Protocol::UDP && inactive > 0 {
                busy = now;
            }
            // What can be done without waiting is done.
            for round in 0.. {
                prop_assert!(round < 5, "it goes round in circles");
                match c.look(now, &t) {
                    Step::Wait => {
                        prop_assert!(now < deadline);
                        break;
                    }
                    Step::Count => c.counted(now, closed, Duration::ZERO),
                    Step::Move { udp, templates } => {
                        prop_assert!(udp && of == Protocol::UDP || templates);
                        prop_assert!(move_udp && udp || move_templates && templates || now >= deadline);
                        c.moved(now, 1);
                    }
                    Step::Apply(words) => {
                        prop_assert_eq!(&words[0], "-d");
                        prop_assert!(!keep && (now >= deadline || now >= busy + SETTLE));
                        prop_assert!(now >= deadline || c.left().connections() == 0);
                        return Ok(());
                    }
                    Step::End(end) => {
                        let is_kept = matches!(end, End::Kept { .. });
                        prop_assert!(is_kept && keep);
                        prop_assert!(now >= deadline || now >= busy + SETTLE);
                        return Ok(());
                    }
                }
            }
            now += Duration::from_millis(pause);
        }
    }
}
