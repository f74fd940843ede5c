//! Every rule of reading FTP, and hostile bytes.

use lvs_core::Shift;
use proptest::prelude::*;

use super::*;

fn ep(s: &str) -> Endpoint {
    s.parse().unwrap()
}

/// An established control connection.
fn conn(family: Family, direction: Direction, notes: u32) -> Assist {
    let [client, virt, dest] = match family {
        Family::V4 => ["10.9.1.5:40000", "10.9.0.9:21", "10.10.0.11:2121"],
        Family::V6 => ["[fd00:9::5]:40000", "[fd00:9::9]:21", "[fd00:10::11]:2121"],
    }
    .map(ep);
    Assist {
        direction,
        client,
        virt,
        dest,
        state: State::Established,
        notes,
        shift_in: Shift::default(),
        shift_out: Shift::default(),
        expected: Vec::new(),
    }
}

fn expected(client: &str, virt: &str, dest: &str) -> Expected {
    Expected {
        client: ep(client),
        virt: ep(virt),
        dest: ep(dest),
    }
}

/// What the client says, and what is expected then.
fn client_says(family: Family, line: &str) -> (u32, Vec<Expected>) {
    let mut conn = conn(family, Direction::In, 77);
    let edit = Ftp::default().look(&mut conn, line.as_bytes(), false);
    assert_eq!(edit, None, "what a client says is never changed");
    (conn.notes, conn.expected)
}

/// What the server says after a command, what becomes of it and what is expected then.
fn server_says(family: Family, notes: u32, line: &str) -> (Option<String>, Vec<Expected>) {
    let mut conn = conn(family, Direction::Out, notes);
    let edit = Ftp::default().look(&mut conn, line.as_bytes(), false);
    assert_eq!(
        conn.notes,
        if conn.expected.is_empty() {
            notes
        } else {
            NOTHING
        }
    );
    let changed = edit.map(|e| {
        let mut changed = line.as_bytes().to_vec();
        changed.splice(e.range, e.with);
        String::from_utf8(changed).unwrap()
    });
    (changed, conn.expected)
}

const V4: Family = Family::V4;
const V6: Family = Family::V6;

#[test]
fn passive_commands_are_noted_wherever_they_stand() {
    for (family, line, notes) in [
        (V4, "PASV\r\n", PASSIVE),
        (V4, "pasV\r\n", PASSIVE),
        (V4, "TYPE I\r\nPASV\r\n", PASSIVE),
        (V4, "PASV\r\nEPSV\r\n", PASSIVE),
        (V4, "EPSV\r\nPASV\r\n", EXTENDED_PASSIVE),
        (V4, "EPSV\r\n", EXTENDED_PASSIVE),
        (V6, "epsv\r\n", EXTENDED_PASSIVE),
        (V4, "EPSV 1\r\n", EXTENDED_PASSIVE),
        (V6, "EPSV 2\r\n", EXTENDED_PASSIVE),
        (V4, "PASV\n", 77),
        (V4, "PASV\r", 77),
        (V4, "PAS", 77),
        (V6, "PASV\r\n", 77),
        (V4, "EPSV 2\r\n", 77),
        (V6, "EPSV 1\r\n", 77),
        (V4, "EPSV ALL\r\n", 77),
        (V4, "EPSV 1", 77),
        (V4, "EPSV1\r\n", 77),
        (V4, "EPSV ALL\r\nPASV\r\n", 77),
    ] {
        assert_eq!(
            client_says(family, line),
            (notes, vec![]),
            "{family:?} {line:?}"
        );
    }
}

#[test]
fn active_commands_announce_a_connection_from_the_server() {
    let v4 = expected("10.9.1.5:1291", "10.9.0.9:20", "10.10.0.11:2120");
    let v6 = expected("[fd00:9::5]:1291", "[fd00:9::9]:20", "[fd00:10::11]:2120");
    for line in [
        "PORT 10,9,1,5,5,11\r\n",
        "port 010,9,1,5,5,11\r\nNOOP\r\n",
        "EPRT |1|10.9.1.5|1291|\r\n",
        "eprt !1!10.9.1.5!1291!\r\n",
        "EPRT ~1~10.9.1.5~1291~",
    ] {
        assert_eq!(client_says(V4, line), (77, vec![v4]), "{line:?}");
    }
    for line in [
        "EPRT |2|fd00:9::5|1291|\r\n",
        "EPRT $2$FD00:9:0::5$1291$\r\n",
    ] {
        assert_eq!(client_says(V6, line), (77, vec![v6]), "{line:?}");
    }
}

#[test]
fn what_is_no_active_command() {
    for (family, line) in [
        (V4, " PORT 10,9,1,5,5,11\r\n"),
        (V4, "NOOP\r\nPORT 10,9,1,5,5,11\r\n"),
        (V4, "PORT 10,9,1,5,5,11"),
        (V4, "PORT 10,9,1,5,5\r\n"),
        (V4, "PORT 10,9,1,5,5,\r\n"),
        (V4, "PORT 10,9,1,5,,11\r\n"),
        (V4, "PORT 10,9,1,5,256,11\r\n"),
        (V4, "PORT 10,9,1,5,5,1111111111111111111111\r\n"),
        (V4, "PORT 10,9,1,5,0,0\r\n"),
        (V4, "PORT 10.9.1.5,5,11\r\n"),
        (V4, "PORT  10,9,1,5,5,11\r\n"),
        (V4, "PORT -10,9,1,5,5,11\r\n"),
        (V6, "PORT 10,9,1,5,5,11\r\n"),
        (V4, "EPRT |1|10.9.1.5|1291\r\n"),
        (V4, "EPRT |2|10.9.1.5|1291|\r\n"),
        (V4, "EPRT |2|fd00:9::5|1291|\r\n"),
        (V6, "EPRT |1|10.9.1.5|1291|\r\n"),
        (V4, "EPRT ||10.9.1.5|1291|\r\n"),
        (V4, "EPRT |1|10.9.1|1291|\r\n"),
        (V4, "EPRT |1|10.9.1.5|0|\r\n"),
        (V4, "EPRT |1|10.9.1.5|65536|\r\n"),
        (V4, "EPRT |1|10.9.1.5|+291|\r\n"),
        (V4, "EPRT  1 10.9.1.5 1291 \r\n"),
        (V4, "EPRT \u{7f}1\u{7f}10.9.1.5\u{7f}1291\u{7f}\r\n"),
        (V4, "EPRT |1!10.9.1.5|1291|\r\n"),
    ] {
        assert_eq!(
            client_says(family, line),
            (77, vec![]),
            "{family:?} {line:?}"
        );
    }
}

#[test]
fn passive_answers_lead_to_the_vip() {
    let v4 = |port| {
        let at = |ip| format!("{ip}:{port}");
        expected("10.9.1.5:0", &at("10.9.0.9"), &at("10.10.0.11"))
    };
    for (line, changed) in [
        (
            "227 Entering Passive Mode (10,10,0,11,131,53).\r\n",
            "227 Entering Passive Mode (10,9,0,9,131,53).\r\n",
        ),
        ("227 =10,10,0,11,131,53\r\n", "227 =10,9,0,9,131,53\r\n"),
        (
            "227 ((10,010,0,11,131,053)\r\n",
            "227 ((10,9,0,9,131,53)\r\n",
        ),
    ] {
        let answered = server_says(V4, PASSIVE, line);
        assert_eq!(
            answered,
            (Some(changed.to_owned()), vec![v4(33589)]),
            "{line:?}"
        );
    }
    for line in [
        "229 Entering Extended Passive Mode (|||33589|)\r\n",
        "229 (|||33589|",
    ] {
        let answered = server_says(V4, EXTENDED_PASSIVE, line);
        assert_eq!(
            answered,
            (None, vec![v4(33589)]),
            "nothing to change in {line:?}"
        );
    }
    for (family, line) in [
        (V4, "229 Ok (|1|10.10.0.11|33589|)\r\n"),
        (V4, "229 Ok (!!!33589!)\r\n"),
        (V6, "229 Ok (|2|fd00:10::11|33589|)\r\n"),
        (V6, "229 Ok (|||033589|)\r\n"),
    ] {
        let (changed, expected) = server_says(family, EXTENDED_PASSIVE, line);
        assert_eq!(
            changed.as_deref(),
            Some("229 Ok (|||33589|)\r\n"),
            "{line:?}"
        );
        assert_eq!(expected.len(), 1);
    }
}

#[test]
fn what_is_no_passive_answer() {
    for (family, notes, line) in [
        (V4, NOTHING, "227 x (10,10,0,11,131,53).\r\n"),
        (V4, EXTENDED_PASSIVE, "227 x (10,10,0,11,131,53).\r\n"),
        (V4, NOTHING, "229 x (|||33589|)\r\n"),
        (V4, PASSIVE, "229 x (|||33589|)\r\n"),
        (V6, PASSIVE, "227 x (10,10,0,11,131,53).\r\n"),
        (V4, PASSIVE, "226 ok\r\n227 x (10,10,0,11,131,53).\r\n"),
        (V4, PASSIVE, "227-x (10,10,0,11,131,53).\r\n"),
        (V4, PASSIVE, "227 IPv4 (10,10,0,11,131,53).\r\n"),
        (V4, PASSIVE, "227 x (10,10,0,11,131,53"),
        (V4, PASSIVE, "227 x (10,10,0,11,131"),
        (V4, PASSIVE, "227 x ("),
        (V4, PASSIVE, "227 "),
        (V4, PASSIVE, "227 x (10,10,0,11,0,0)\r\n"),
        (V4, EXTENDED_PASSIVE, "229 x |||33589|\r\n"),
        (V4, EXTENDED_PASSIVE, "229 x (|||33589"),
        (V4, EXTENDED_PASSIVE, "229 x (|||65536|)\r\n"),
        (V4, EXTENDED_PASSIVE, "229 x (||33589|)\r\n"),
        (V4, EXTENDED_PASSIVE, "229 x (|1||33589|)\r\n"),
        (V4, EXTENDED_PASSIVE, "229 x (|2|fd00:10::11|33589|)\r\n"),
    ] {
        assert_eq!(server_says(family, notes, line), (None, vec![]), "{line:?}");
    }
}

/// The bounce attack: nobody may speak for others.
#[test]
fn only_own_addresses_count() {
    for line in ["PORT 10,9,1,6,5,11\r\n", "EPRT |1|10.10.0.11|1291|\r\n"] {
        assert_eq!(client_says(V4, line).1, []);
    }
    assert_eq!(client_says(V6, "EPRT |2|fd00:9::6|1291|\r\n").1, []);
    for (notes, line) in [
        (PASSIVE, "227 x (10,10,0,12,131,53)\r\n"),
        (PASSIVE, "227 x (10,9,0,9,131,53)\r\n"),
        (EXTENDED_PASSIVE, "229 x (|1|10.10.0.12|33589|)\r\n"),
    ] {
        assert_eq!(server_says(V4, notes, line), (None, vec![]), "{line:?}");
    }
}

#[test]
fn only_an_established_connection_is_listened_to() {
    for state in State::ALL.into_iter().filter(|s| *s != State::Established) {
        let mut asking = conn(V4, Direction::In, NOTHING);
        asking.state = state;
        Ftp::default().look(&mut asking, b"PASV\r\n", false);
        Ftp::default().look(&mut asking, b"PORT 10,9,1,5,5,11\r\n", false);
        assert_eq!(
            (asking.notes, asking.expected.len()),
            (NOTHING, 0),
            "{state}"
        );
        let mut answering = conn(V4, Direction::Out, PASSIVE);
        answering.state = state;
        let line = b"227 x (10,10,0,11,131,53)\r\n";
        assert_eq!(Ftp::default().look(&mut answering, line, false), None);
    }
}

#[test]
fn what_is_sent_again_is_changed_again_whatever_has_happened_since() {
    let ftp = Ftp::default();
    for (notes, line) in [
        (PASSIVE, "227 x (10,10,0,11,131,53)\r\n"),
        (EXTENDED_PASSIVE, "229 x (|1|10.10.0.11|33589|)\r\n"),
    ] {
        let mut conn = conn(V4, Direction::Out, notes);
        let first = ftp.look(&mut conn, line.as_bytes(), false);
        assert!(first.is_some());
        assert_eq!(
            ftp.look(&mut conn, line.as_bytes(), false),
            None,
            "believed once"
        );
        conn.state = State::FinWait;
        assert_eq!(ftp.look(&mut conn, line.as_bytes(), true), first);
        assert_eq!(conn.expected.len(), 1, "announced once");
    }
}

#[test]
fn ports_without_a_data_port_announce_nothing() {
    let mut conn = conn(V4, Direction::In, NOTHING);
    conn.dest.port = 1;
    Ftp::default().look(&mut conn, b"PORT 10,9,1,5,5,11\r\n", false);
    assert_eq!(conn.expected, []);
}

proptest! {
    #[test]
    fn nothing_upsets_it(
        line in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..80),
            "(PORT |EPRT |227 |229 |PASV|EPSV)[|,()0-9. \r\n]{0,40}".prop_map(String::into_bytes),
        ],
        is_in: bool, is_v4: bool, notes in 0u32..4, again: bool,
    ) {
        let family = if is_v4 { V4 } else { V6 };
        let direction = if is_in { Direction::In } else { Direction::Out };
        let mut conn = conn(family, direction, notes);
        if let Some(edit) = Ftp::default().look(&mut conn, &line, again) {
            prop_assert!(line.get(edit.range).is_some());
            prop_assert!(!is_in);
        }
        prop_assert!(conn.expected.len() <= 1);
        for e in conn.expected {
            prop_assert_eq!(e.client.ip, conn.client.ip);
            prop_assert_eq!(e.virt.ip, conn.virt.ip);
            prop_assert_eq!(e.dest.ip, conn.dest.ip);
            prop_assert!(e.virt.port != 0 && e.dest.port != 0);
        }
    }
}
