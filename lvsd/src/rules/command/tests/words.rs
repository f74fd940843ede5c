//! How words are taken apart, and which of them a refusal blames.

use proptest::prelude::*;

use super::*;

const HINT: &str = "255 Try `ipvsadm -h' or 'ipvsadm --help' for more information.";

#[test]
fn a_line_begins_with_a_command() {
    for line in [
        "foo",
        "''",
        "-",
        "--",
        "-n -L",
        "-t 10.0.0.1:80 -A",
        "--timeout",
        "--bogus",
        "-Q",
        "--set=5",
        "--list=3",
        "-L=",
        "-h=",
        "--help=3",
        "-V",
        "-O",
        "--start-daemon",
        "--stop-daemon",
        "--start-daemonmaster",
        "--mark",
        "# comment",
        "net.ipv4.tcp_tw_reuse = 1",
    ] {
        assert_eq!(refusal(line), HINT, "{line}");
        assert!(read(line).is_err_and(|e| e.hint && e.word == Some(0)));
    }
    let said = read("foo").unwrap_err().said("/sbin/lvs");
    assert_eq!(
        said,
        "Try `/sbin/lvs -h' or '/sbin/lvs --help' for more information."
    );
}

#[test]
fn words_before_the_command_are_left_over() {
    for (line, said) in [
        ("word -L", "2 unexpected argument word"),
        ("- -L", "2 unexpected argument -"),
        ("one -L two", "2 unexpected argument one"),
        ("x --set 1 2 3", "2 invalid timeout value `x' specified"),
        ("word -n -L", HINT),
        ("-- -L", HINT),
    ] {
        assert_eq!(refusal(line), said, "{line}");
    }
    assert_meanings("1 --set 2 3 => --set 1 2 3\n");
}

#[test]
fn options_are_written_in_many_ways() {
    assert_meanings(
        "
-At10.0.0.1:80 -srr -p60 => -A -t 10.0.0.1:80 -s rr -p 60
-At=10.0.0.1:80 -s=rr -p=60 => -A -t 10.0.0.1:80 -s rr -p 60
-A --tcp-service=10.0.0.1:80 --scheduler rr --persistent=60 => -A -t 10.0.0.1:80 -s rr -p 60
--add-service --tcp-service 10.0.0.1:80 --persistent 60 -- => -A -t 10.0.0.1:80 -s wlc -p 60
-A -p -s rr -t 10.0.0.1:80 => -A -t 10.0.0.1:80 -s rr -p 360
-A -t 10.0.0.1:80 -s -x => -A -t 10.0.0.1:80 -s -x
-A -f 7 -6op => -A -f 7 -6 -s wlc -p 360 -o
-amt 10.0.0.1:80 -r10.0.0.2 => -a -t 10.0.0.1:80 -r 10.0.0.2:80 -m -w 1
--set -- 1 2 3 => --set 1 2 3
",
    );
}

#[test]
fn what_the_parser_cannot_read() {
    assert_refusals(
        "
-A -q => 255 -q: unknown option
-A -qx => 255 -qx: unknown option
-Aqt => 255 -Aqt: unknown option
-A-t => 255 -A-t: unknown option
-A -é => 255 -é: unknown option
-A --timeo => 255 --timeo: unknown option
-A --timeo=5 => 255 --timeo=5: unknown option
-A --- => 255 ---: unknown option
-A -t => 255 -t: missing argument
-At => 255 -At: missing argument
-A --tcp-service => 255 --tcp-service: missing argument
-A --ops=5 => 255 --ops=5: option does not take an argument
-A --ops= => 255 --ops=: option does not take an argument
-S -n=5 => 255 -n=5: option does not take an argument
-LnX= => 255 -LnX=: option does not take an argument
--set -1 2 3 => 255 -1: unknown option
-A -D => 2 invalid option `-D'
-AD => 2 invalid option `-AD'
-A --delete-service => 2 invalid option `--delete-service'
-L -Z => 2 invalid option `-Z'
-C --list=5 => 255 --list=5: option does not take an argument
-C -L= => 255 -L=: option does not take an argument
-C --start-daemon => 255 --start-daemon: missing argument
-C --start-daemon master => 2 invalid option `master'
-C --start-daemon=x => 2 invalid option `--start-daemon=x'
-C --mark 5 => 2 invalid option `5'
-C x => 2 unexpected argument x
-C - => 2 unexpected argument -
-C '' => 2 unexpected argument
-C -- -t => 2 unexpected argument -t
-R -R => 2 invalid option `-R'
",
    );
}

#[test]
fn a_refusal_knows_its_word() {
    for (line, word) in [
        ("-A -t 10.0.0.1:80 -q", Some(3)),
        ("-A -t 10.0.0.1:80 -oq", Some(3)),
        ("-A -t 10.0.0.1:80 -t", Some(3)),
        ("-A -D", Some(1)),
        ("-A -t 10.0.0.1:80 x", Some(3)),
        ("--set 1 2 3 4", Some(4)),
        ("--set 1 x 3", Some(2)),
        ("--set 1 2", None),
        ("-A -t 80", Some(2)),
        ("-A -t=80", Some(1)),
        ("-At 80", Some(1)),
        ("-At80", Some(0)),
        ("-A -t 10.0.0.1:80 -t 10.0.0.1:80", Some(3)),
        ("-D -t 10.0.0.1:80 -s rr", Some(3)),
        ("-A -s rr", None),
        ("-A -6 -f 3", Some(1)),
        ("-A -s rr -t 10.0.0.1", Some(4)),
        ("-A -t 10.0.0.1:80 -o", Some(3)),
        ("-A -t 10.0.0.1:80 -b bogus", Some(4)),
        ("-A -t 10.0.0.1:80 -p -M 24", Some(5)),
        ("-A -t 10.0.0.1:80 --udp-timeout 5", Some(3)),
        ("-a -t 10.0.0.1:80 -r fd00::1", Some(4)),
        ("-a -t 10.0.0.1:80 -r 10.0.0.2 --tun-port 5", Some(5)),
        ("-a -t 10.0.0.1:80 -r 10.0.0.2 -i --tun-port 5", Some(6)),
        ("-L --stats -c", Some(1)),
        ("-L --timeout -c", Some(1)),
        ("--start-daemon x", Some(1)),
        ("--start-daemon=x", Some(0)),
        ("--mark x", Some(1)),
        ("--mark 1 --source x", Some(3)),
        ("net.ipv4.vs.nosuch = 1", Some(0)),
        ("net.ipv4.vs.drop_entry 1", Some(1)),
        ("net.ipv4.vs.drop_entry = x", Some(2)),
        ("net.ipv4.vs.drop_entry= x", Some(1)),
    ] {
        assert_eq!(read(line).expect_err(line).word, word, "{line}");
    }
}

#[test]
fn no_words_upset_the_parser() {
    let known = "-A -a -E -d -L -R -h -t -f -6 -r -p -M -b -i --tun-type gue --set -- - 10.0.0.1:80 [fd00::1]:80 7 mh-port \
                 mh -s -w 255.0.255.0 -x= --weight= --mark --unmark --source 10.0.0.0/8 --start-daemon master --syncid \
                 --mcast-group 224.0.0.1 net.ipv4.vs.drop_entry = 1 --pe x --json --stats -n= --local-address";
    let known: Vec<String> = known.split_whitespace().map(str::to_owned).collect();
    let word = prop_oneof![3 => proptest::sample::select(known), 1 => "\\PC{0,6}"];
    proptest!(|(words in proptest::collection::vec(word, 0..12))| {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match parse_command(&words, &Village) {
            Err(e) => {
                prop_assert!(matches!(e.exit, 2 | 255) && !e.message.is_empty());
                prop_assert!(e.word.is_none_or(|word| word < words.len()));
            }
            Ok(command) => {
                let again = command.words();
                let again: Vec<&str> = again.iter().map(String::as_str).collect();
                prop_assert_eq!(parse_command(&again, &Village), Ok(command));
            }
        }
    });
}
