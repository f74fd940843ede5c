//! Files of commands: all of them, none of them, or as ipvsadm does it.

use std::sync::Arc;

use lvs_core::{Config, Service};

use super::super::names::Numbers;
use super::*;
use crate::control::testing::Desk;
use crate::rules::testing::Village;

/// What is said to a command line, and with which exit status.
pub(in super::super) struct Said {
    pub(in super::super) exit: u8,
    pub(in super::super) out: String,
    pub(in super::super) err: String,
}

/// Runs something with this on standard input.
pub(in super::super) fn with_input(
    desk: &Desk,
    input: &[u8],
    run: impl FnOnce(&mut Front<'_>) -> u8,
) -> Said {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = run(&mut Front {
        program: "ipvsadm",
        socket: desk.path().to_owned(),
        names: &Village,
        shown: &Numbers,
        input: &mut &*input,
        out: &mut out,
        err: &mut err,
    });
    Said {
        exit,
        out: String::from_utf8(out).unwrap(),
        err: String::from_utf8(err).unwrap(),
    }
}

fn restore(desk: &Desk, file: &str) -> Said {
    with_input(desk, file.as_bytes(), |front| front.command(&["-R"]))
}

fn compat(desk: &Desk, file: &str) -> Said {
    with_input(desk, file.as_bytes(), |front| {
        front.command(&["-R", "--compat"])
    })
}

fn script(desk: &Desk, file: &str) -> Said {
    with_input(desk, file.as_bytes(), |front| front.restore_script())
}

fn saved(desk: &Desk) -> String {
    with_input(desk, b"", |front| front.save_script(&["-n"])).out
}

fn services(config: &Config) -> Vec<Arc<Service>> {
    config.services().into_iter().cloned().collect()
}

const TWO: &str = "\
-A -t 10.0.0.1:80 -s wrr -p 360
-a -t 10.0.0.1:80 -r 10.1.0.1:8080 -m -w 3
-a -t 10.0.0.1:80 -r 10.1.0.2:8080 -m -w 1
-A -u 10.0.0.1:53 -s rr
-a -u 10.0.0.1:53 -r 10.1.0.3:53 -g -w 1
";

#[test]
fn a_file_is_carried_out_with_all_that_it_may_have() {
    let desk = Desk::open();
    let file = "\
# what ipvsadm would choke on
ipvsadm -A -t web:http -s wrr -p # the web\r
\t-a -t web:http -r 10.1.0.1:8080 -m -w3

-a -t 10.0.0.1:80 -r 10.1.0.2:8080 ipvsadm -m
  # and on this
net.ipv4.vs.expire_nodest_conn = 1
--set 800 0 0
--mark 7 --destination 10.0.0.9
-A -u 10.0.0.1:domain -s rr
-E -u 10.0.0.1:domain -s wrr
-a -u 10.0.0.1:domain -r 10.1.0.4
-e -u 10.0.0.1:domain -r 10.1.0.4 -w 5
-a -u 10.0.0.1:domain -r 10.1.0.3
-d -u 10.0.0.1:domain -r 10.1.0.4
-E -u 10.0.0.1:domain -s rr";
    let said = restore(&desk, file);
    assert_eq!((said.exit, &*said.err, &*said.out), (0, "", ""));
    let marked = "--clear-marks\n--mark 7 --destination 10.0.0.9\n";
    let in_order: Vec<&str> = TWO.lines().collect();
    assert_eq!(
        saved(&desk),
        marked.to_owned() + &in_order.join("\n") + "\n"
    );
    let table = desk.client().table().unwrap();
    assert_eq!(table.settings["expire_nodest_conn"], "1");
    assert_eq!(table.timeouts.tcp, 800);
    assert_eq!(restore(&desk, "").exit, 0);
    assert_eq!(restore(&desk, "\n# nothing\n").exit, 0);
}

#[test]
fn what_is_wrong_is_shown_in_its_place_and_nothing_is_done() {
    let desk = Desk::open();
    desk.apply(TWO);
    let before = services(&desk.plane.director.config());
    let said = restore(
        &desk,
        "\
-A -t 10.0.0.9:80 -s rr
-A -t 10.0.0.9:99999
-a -t 10.0.0.9:80 -r 10.1.0.1:80 -w much
-A -s rr
ipvsadm -a -t 10.0.0.9:80 -r 10.1.0.1 -q
hello there
-L -n
net.ipv4.vs.expire_nodest_conn = yes
",
    );
    assert_eq!((said.exit, &*said.out), (2, ""));
    let places: Vec<&str> = said
        .err
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("--> standard input:"))
        .collect();
    assert_eq!(
        places,
        ["2:16", "3:37", "4:9", "5:39", "6:1", "7:1", "8:34"],
        "{}",
        said.err
    );
    for part in [
        "error: You need to supply the 'service-address' option for the 'add-service' command\n",
        "error: expected a command instead of `hello`\n",
        "or let `-R --compat` do the lines one by one\n",
        "5 | ipvsadm -a -t 10.0.0.9:80 -r 10.1.0.1 -q\n  |                                       ^^\n",
        "\n7 errors: nothing has been changed\n",
    ] {
        assert!(said.err.contains(part), "{part}\nnot in\n{}", said.err);
    }
    let after = services(&desk.plane.director.config());
    assert!(before.iter().zip(&after).all(|(a, b)| Arc::ptr_eq(a, b)));
}

#[test]
fn what_the_daemon_refuses_is_shown_in_its_place_too() {
    let desk = Desk::open();
    desk.apply(TWO);
    let file = "\
-A -t 10.0.0.2:80 -s rr
# a duplicate
  -A -t=web:http -s rr
-a -w 2 -t web:http -r=10.1.0.1:8080 -m
-A -t 10.0.0.3:80 -s nosuch
-a -t 10.0.0.3:80 -r 10.1.0.1
-a -t 10.0.0.3:80 -r 10.1.0.2
-a -t 10.0.0.4:80 -r 10.1.0.2
-a -t 10.0.0.2:80 -r 10.1.0.9 -x 1 -y 2
--start-daemon master
";
    let said = restore(&desk, file);
    assert_eq!((said.exit, &*said.out), (255, ""));
    let errors = "\
error: Service already exists
 --> standard input:3:6
  |
3 |   -A -t=web:http -s rr
  |      ^^^^^^^^^^^

error: Destination already exists
 --> standard input:4:21
  |
4 | -a -w 2 -t web:http -r=10.1.0.1:8080 -m
  |                     ^^^^^^^^^^^^^^^^

error: Scheduler or persistence engine not found
 --> standard input:5:22
  |
5 | -A -t 10.0.0.3:80 -s nosuch
  |                      ^^^^^^

error: Service not defined
 --> standard input:8:7
  |
8 | -a -t 10.0.0.4:80 -r 10.1.0.2
  |       ^^^^^^^^^^^

error: Numerical result out of range
 --> standard input:9:39
  |
9 | -a -t 10.0.0.2:80 -r 10.1.0.9 -x 1 -y 2
  |                                       ^

error: connection synchronisation is not supported yet
  --> standard input:10:1
   |
10 | --start-daemon master
   | ^^^^^^^^^^^^^^^^^^^^^

6 errors: nothing has been changed
";
    assert_eq!(said.err, errors);
    assert_eq!(saved(&desk), TWO);
}

#[test]
fn what_is_wrong_only_with_the_whole_has_the_place_of_who_is_to_blame() {
    let desk = Desk::open();
    desk.apply(TWO);
    let file = "-A -t 10.0.0.2:80\n-a -t 10.0.0.2:80 -r 10.1.0.1 --fullnat\n";
    let said = restore(&desk, file);
    assert_eq!((said.exit, &*said.out), (255, ""));
    let message = "error: server 10.1.0.1:80 of service TCP 10.0.0.2:80: ";
    assert!(said.err.starts_with(message), "{}", said.err);
    assert!(
        said.err.contains(" --> standard input:2:22\n"),
        "{}",
        said.err
    );
    assert_eq!(saved(&desk), TWO);
}

#[test]
fn bytes_that_are_no_text_are_refused_where_they_stand() {
    let desk = Desk::open();
    let said = with_input(
        &desk,
        b"-A -t 10.0.0.1:80\n-A -t \xff\xfe:80 # \xff\n\0",
        |front| front.command(&["-R"]),
    );
    assert_eq!(said.exit, 2);
    assert!(said.err.contains("standard input:2:7"), "{}", said.err);
    assert!(said.err.contains("standard input:3:1"), "{}", said.err);
    assert_eq!(saved(&desk), "");
}

#[test]
fn a_file_longer_than_a_request_is_refused() {
    let desk = Desk::open();
    let comment = "#".repeat(LONGEST_REQUEST + 1);
    let said = restore(&desk, &comment);
    let message = "standard input: longer than 16 MiB, more than can be done at once\n";
    assert_eq!((said.exit, &*said.err), (2, message));
    // Shorter, but not as a request.
    let word = "\"".repeat(LONGEST_REQUEST / 2);
    let sent = desk.client().apply(vec![vec![word]], false);
    let e = sent.unwrap_err();
    assert!(matches!(e, ClientError::TooLong));
    assert_eq!(
        e.to_string(),
        "this is more than can be asked for at once: over 16 MiB"
    );
}

#[test]
fn without_a_daemon_a_wrong_file_is_still_found_wrong() {
    let desk = Desk::open();
    let gone = |file: &[u8]| {
        with_input(&desk, file, |front| {
            front.socket = "/nowhere/at/all".into();
            front.command(&["-R"])
        })
    };
    let said = gone(b"-A");
    assert_eq!(said.exit, 2);
    assert!(said.err.contains("standard input:1:3"), "{}", said.err);
    let said = gone(b"-C");
    assert_eq!(said.exit, 2);
    assert!(
        said.err.starts_with("Can't initialize ipvs"),
        "{}",
        said.err
    );
}

/// Each file with what ipvsadm 1.31 was seen to do with it.
#[test]
fn line_by_line_as_ipvsadm_does_it() {
    const EXISTS: &str = "Service already exists\n";
    const HINT: &str = "Try `ipvsadm -h' or 'ipvsadm --help' for more information.\n";
    const A: &str = "-A -t 1.2.3.4:80 -s rr\n";
    const B: &str = "-A -t 1.2.3.4:81 -s rr\n";
    let both = [A, B].concat();
    for (file, exit, err, table) in [
        ("", 0, "", ""),
        (" \t \n\n ipvsadm\n", 0, "", ""),
        ("\r\n-A -t 1.2.3.4:80 -s rr\r\n", 0, "", A),
        ("ipvsadm -A ipvsadm -t 1.2.3.4:80 -s rr", 0, "", A),
        // The kernel's refusals go on.
        (&*[A, A, B].concat(), 0, EXISTS, &*both),
        (&*[A, B, B].concat(), 255, EXISTS, &*both),
        ("-D -t 1.2.3.4:9\n", 255, "No such service\n", ""),
        // The option parser's too.
        (
            &*["-A -t 1.2.3.4:9 -q\n", A].concat(),
            0,
            "-q: unknown option\n",
            A,
        ),
        ("-R -q\n", 255, "-q: unknown option\n", ""),
        (&*["-A -s\n", A].concat(), 0, "-s: missing argument\n", A),
        // What makes no sense ends it.
        (&*[A, "# a comment\n", B].concat(), 255, HINT, A),
        (&*[A, "-R\n", B].concat(), 255, HINT, A),
        (
            &*[A, "-A -t 1.2.3.4:0\n", B].concat(),
            2,
            "Zero port specified for non-persistent service\n",
            A,
        ),
        (
            &*[A, "-A -t 1.2.3.4:81 # a comment\n", B].concat(),
            2,
            "unexpected argument #\n",
            A,
        ),
        (
            &*["-A -t 1.2.3.4:80 \"-s\" rr\n", B].concat(),
            2,
            "unexpected argument \"-s\"\n",
            "",
        ),
        (
            &*[A, "-A -t 1.2.3.4:81 -D\n", B].concat(),
            2,
            "invalid option `-D'\n",
            A,
        ),
        // So does a listing that fails.
        (
            &*[A, "-Ln -u 1.2.3.4:80\n", B].concat(),
            1,
            "No such service\n",
            A,
        ),
        // And lines that are ours alone.
        (
            "net.ipv4.vs.conn_reuse_mode = 0\n-A -t 1.2.3.4:80 -s rr\n",
            255,
            HINT,
            "",
        ),
    ] {
        let desk = Desk::open();
        let said = compat(&desk, file);
        assert_eq!(
            (said.exit, &*said.err, &*said.out),
            (exit, err, ""),
            "{file}"
        );
        assert_eq!(saved(&desk), table, "{file}");
    }
}

#[test]
fn line_by_line_what_is_asked_for_is_shown() {
    let desk = Desk::open();
    let said = compat(
        &desk,
        "-A -t 1.2.3.4:80 -s rr\n-Ln\n-A -t 1.2.3.4:81\n-Sn\n",
    );
    let seen = "\
IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
TCP  1.2.3.4:80 rr
-A -t 1.2.3.4:80 -s rr
-A -t 1.2.3.4:81 -s wlc
";
    assert_eq!((said.exit, &*said.out, &*said.err), (0, seen, ""));
    for last in ["-h\n", "-v\n"] {
        let said = compat(&desk, &format!("{last}-C\n"));
        assert_eq!((said.exit, &*said.err), (0, ""));
        assert!(!said.out.is_empty());
        assert!(!saved(&desk).is_empty(), "that was the end");
    }
}

#[test]
fn a_restored_table_is_the_files_and_what_is_the_same_was_never_gone() {
    let desk = Desk::open();
    desk.apply("-A -t 10.0.0.7:70 -s rr");
    desk.apply(TWO);
    let before = services(&desk.plane.director.config());
    let said = script(&desk, &format!("# kept\n{}", TWO.replace("-w 3", "-w 9")));
    assert_eq!((said.exit, &*said.err), (0, ""));
    assert_eq!(saved(&desk), TWO.replace("-w 3", "-w 9"));
    let after = services(&desk.plane.director.config());
    let find = |services: &[Arc<Service>], key: &str| {
        let found = services.iter().find(|s| s.key().to_string() == key);
        found.unwrap().clone()
    };
    for (key, same) in [("TCP 10.0.0.1:80", false), ("UDP 10.0.0.1:53", true)] {
        let (old, new) = (find(&before, key), find(&after, key));
        assert_eq!(Arc::ptr_eq(&old, &new), same, "{key}");
        assert!(Arc::ptr_eq(old.live(), new.live()));
        for (old, new) in old.dests().iter().zip(new.dests()) {
            assert!(Arc::ptr_eq(old.live(), new.live()));
        }
    }
    let said = script(&desk, "-A -t 10.0.0.1:80\n-A -t 10.0.0.1:80\n");
    assert_eq!(said.exit, 255);
    assert_eq!(
        saved(&desk),
        TWO.replace("-w 3", "-w 9"),
        "nothing happened"
    );
    assert_eq!(script(&desk, "").exit, 0);
    assert_eq!(saved(&desk), "");
}

#[test]
fn the_script_that_saves_takes_one_option() {
    let desk = Desk::open();
    desk.apply(TWO);
    let save = |words: &[&str]| with_input(&desk, b"", |front| front.save_script(words));
    for words in [&["-n"][..], &["-n", "-n"], &["-n", "what"], &["what"], &[]] {
        let said = save(words);
        assert_eq!(
            (said.exit, &*said.err, &*said.out),
            (0, "", TWO),
            "{words:?}"
        );
    }
    for words in [
        &["-x"][..],
        &["-n", "-h"],
        &["what", "--"],
        &["-"],
        &["-nn"],
    ] {
        let said = save(words);
        assert_eq!((said.exit, &*said.out), (1, ""), "{words:?}");
        assert_eq!(said.err.lines().count(), 2);
    }
}

#[test]
fn a_files_marks_take_the_place_of_those_there_are() {
    let desk = Desk::open();
    let file = "--mark 7 --destination 10.0.0.9\n-A -f 7 -s rr\n";
    for _ in 0..2 {
        assert_eq!(script(&desk, file).exit, 0);
        assert_eq!(saved(&desk), format!("--clear-marks\n{file}"));
    }
    // A file that ipvsadm has saved says nothing about them.
    assert_eq!(script(&desk, "-A -f 7 -s wrr\n").exit, 0);
    let said = "--clear-marks\n--mark 7 --destination 10.0.0.9\n-A -f 7 -s wrr\n";
    assert_eq!(saved(&desk), said);
}

#[test]
fn line_by_line_a_line_ends_at_a_zero_byte() {
    let desk = Desk::open();
    let file = "-A -t 10.0.0.1:80 -s rr\0junk\n\0-C\n-A\0 -t\n";
    let said = compat(&desk, file);
    assert_eq!(saved(&desk), "-A -t 10.0.0.1:80 -s rr\n");
    assert_eq!(said.exit, 2, "{}", said.err);
}

#[test]
fn line_by_line_a_last_line_that_ends_in_two_blanks_and_no_newline_is_forgotten() {
    for (end, services) in [("", 2), (" ", 2), ("  ", 1), (" \t", 1), ("  \n", 2)] {
        let desk = Desk::open();
        let file = format!("-A -t 10.0.0.1:80 -s rr\n-A -t 10.0.0.2:80 -s rr{end}");
        let said = compat(&desk, &file);
        assert_eq!((said.exit, said.err.as_str()), (0, ""), "{end:?}");
        assert_eq!(saved(&desk).lines().count(), services, "{end:?}");
    }
}
