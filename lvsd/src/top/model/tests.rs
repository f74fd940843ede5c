use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::control::testing::Desk;

/// Three services, nine lines.
fn table() -> Table {
    let desk = Desk::open();
    desk.apply(
        "-A -t 10.0.0.1:80 -s wlc\n\
         -a -t 10.0.0.1:80 -r 10.1.0.1:8080 -m -w 3\n\
         -a -t 10.0.0.1:80 -r 10.1.0.2:8080 -m -x 9\n\
         -a -t 10.0.0.1:80 -r 10.1.0.3:8080 -m -w 0\n\
         -A -u 10.0.0.1:53 -s rr\n\
         -a -u 10.0.0.1:53 -r 10.1.0.1 -g\n\
         -A -f 7 -6 -s sh\n\
         -a -f 7 -6 -r 2001:db8:1111:2222:3333:4444:5555:7777 -i\n\
         -a -f 7 -6 -r fd00::1 -i -w 0",
    );
    let mut table = desk.client().table().unwrap();
    table
        .services
        .sort_by_key(|s| ServiceKey::from(s.key).to_string());
    let rates = |n: u64| Counters {
        conns: n,
        in_packets: 10 * n,
        out_packets: 12 * n,
        in_bytes: 1_000 * n,
        out_bytes: 100_000 * n,
    };
    table.rates = rates(1_700);
    (table.connections, table.templates) = (12_345_678, 4);
    for (service, n) in table.services.iter_mut().zip([200, 1_500, 0]) {
        service.rates = rates(n);
        service.servers.sort_by_key(Server::endpoint);
        for (server, n) in service.servers.iter_mut().zip([n / 2, n / 3, 0]) {
            server.rates = rates(n);
            (server.active, server.inactive) = (n, 1_000 * n);
        }
    }
    let web = &mut table.services[1].servers;
    web[1].overloaded = true;
    web[2].active = 2;
    table
}

fn model(rows: usize, columns: usize) -> Model {
    let mut model = Model::new(Size { rows, columns }, Duration::from_secs(1), Sort::Cps);
    model.answered(table());
    model
}

/// The screen as text, with a letter for each line's style.
fn screen(model: &Model) -> Vec<String> {
    let letter = |style| match style {
        Style::Plain => ' ',
        Style::Bold => 'B',
        Style::Dim => 'D',
        Style::Reverse => 'R',
        Style::Alert => 'A',
    };
    let lines = model.frame().into_iter();
    lines
        .map(|line| {
            format!("{} {}", letter(line.style), line.text)
                .trim_end()
                .to_owned()
        })
        .collect()
}

fn press(model: &mut Model, text: &str) {
    for c in text.chars() {
        assert!(model.pressed(Key::Char(c)));
    }
}

#[test]
fn eighty_columns_hold_what_matters() {
    assert_eq!(
        screen(&model(14, 80)),
        [
            "B lvsd top: 3 services by cps, every 1s",
            "  12.3M conns, 4 templates, 1700 cps, in 17000 pps 13.6M bps, out 20400 pps 1.36G",
            "R Service / server          Weight Active  InAct   CPS InBit/s OutBit/s State",
            "B TCP 10.0.0.1:80 wlc                1252  1.25M  1500   12.0M    1.20G",
            "    10.1.0.1:8080                3    750 750000   750   6.00M     600M",
            "A   10.1.0.2:8080                1    500 500000   500   4.00M     400M overloaded",
            "D   10.1.0.3:8080                0      2      0     0       0        0 quiesced",
            "B FWM 7 IPv6 sh                       166 166000   200   1.60M     160M",
            "    [2001:db8:~5555:7777]:0      1    100 100000   100    800k    80.0M",
            "D   [fd00::1]:0                  0     66  66000    66    528k    52.8M quiesced",
            "B UDP 10.0.0.1:53 rr                    0      0     0       0        0",
            "    10.1.0.1:53                  1      0      0     0       0        0",
            "",
            "D q quit  s sort  / filter  space pause  h help",
        ]
    );
}

#[test]
fn wide_terminals_hold_everything() {
    let screen = screen(&model(14, 130));
    assert_eq!(
        screen[2..5],
        [
            "R Service / server                                     Forward Weight Active  InAct   CPS  InPPS OutPPS InBit/s OutBit/s State",
            "B TCP 10.0.0.1:80 wlc                                                   1252  1.25M  1500  15000  18000   12.0M    1.20G",
            "    10.1.0.1:8080                                      Masq         3    750 750000   750   7500   9000   6.00M     600M",
        ]
    );
    assert!(
        screen[8].starts_with("    [2001:db8:1111:2222:3333:4444:5555:7777]:0     "),
        "{}",
        screen[8]
    );
}

#[test]
fn narrow_terminals_hold_the_state_and_activity() {
    let screen = screen(&model(8, 43));
    assert_eq!(
        screen,
        [
            "B lvsd top: 3 services by cps, every 1s, line",
            "  12.3M conns, 4 templates, 1700 cps, in 1700",
            "R Service / server          Active State",
            "B TCP 10.0.0.1:80 wlc         1252",
            "    10.1.0.1:8080              750",
            "A   10.1.0.2:8080              500 overloaded",
            "D   10.1.0.3:8080                2 quiesced",
            "D q quit  s sort  / filter  space pause  h he",
        ]
    );
}

#[test]
fn the_text_has_everything_at_full_length() {
    let text = model(0, 0).text();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 11, "{text}");
    assert_eq!(
        lines[0],
        "12.3M conns, 4 templates, 1700 cps, in 17000 pps 13.6M bps, out 20400 pps 1.36G bps"
    );
    assert!(
        lines[1].starts_with("Service / server ") && lines[1].ends_with(" State"),
        "{text}"
    );
    let long = "  [2001:db8:1111:2222:3333:4444:5555:7777]:0 Tunnel       1    100 100000   100   1000   1200    800k    80.0M";
    assert!(lines.contains(&long), "{text}");
}

/// What the lines of the table are about.
fn names(model: &Model) -> Vec<String> {
    let frame = model.frame();
    let body = frame[3..frame.len() - 1]
        .iter()
        .filter(|l| !l.text.is_empty());
    body.map(|l| {
        l.text
            .split("  ")
            .find(|s| !s.is_empty())
            .unwrap()
            .trim()
            .to_owned()
    })
    .collect()
}

#[test]
fn rows_are_sorted_by_what_is_asked_for() {
    let mut m = model(40, 80);
    let services = |m: &Model| {
        names(m)
            .into_iter()
            .filter(|n| n.contains(' '))
            .collect::<Vec<_>>()
    };
    let (web, dns, mark) = ("TCP 10.0.0.1:80 wlc", "UDP 10.0.0.1:53 rr", "FWM 7 IPv6 sh");
    for (name, wanted) in [
        ("cps", [web, mark, dns]),
        ("pps", [web, mark, dns]),
        ("bps", [web, mark, dns]),
        ("conns", [web, mark, dns]),
        ("name", [web, dns, mark]),
    ] {
        assert!(m.frame()[0].text.contains(&format!("by {name},")));
        assert_eq!(services(&m), wanted, "{name}");
        press(&mut m, "s");
    }
    assert!(m.frame()[0].text.contains("by cps,"), "and round again");
    m.pressed(Key::Left);
    assert!(m.frame()[0].text.contains("by name,"));
    m.pressed(Key::Right);
    assert!(m.frame()[0].text.contains("by cps,"));
    // Each by its own numbers.
    let mut t = table();
    for (service, n) in t.services.iter_mut().zip(1..) {
        let others = 4 - n;
        service.rates = Counters {
            conns: n,
            in_packets: others,
            in_bytes: n,
            ..Counters::default()
        };
        for server in &mut service.servers {
            (server.active, server.inactive) = (others, 0);
        }
        service.servers.truncate(1);
    }
    m.answered(t);
    for (sort, wanted) in [
        (Sort::Cps, [dns, web, mark]),
        (Sort::Pps, [mark, web, dns]),
        (Sort::Bps, [dns, web, mark]),
        (Sort::Conns, [mark, web, dns]),
    ] {
        m.sort = sort;
        assert_eq!(services(&m), wanted, "{sort:?}");
    }
}

#[test]
fn servers_are_sorted_within_their_service() {
    let mut m = model(40, 80);
    let mut t = table();
    for (server, n) in t.services[1].servers.iter_mut().zip([1, 5, 3]) {
        server.rates.conns = n;
    }
    m.answered(t);
    assert_eq!(
        names(&m)[1..4],
        ["10.1.0.2:8080", "10.1.0.3:8080", "10.1.0.1:8080"]
    );
    m.sort = Sort::Name;
    assert_eq!(
        names(&m)[1..4],
        ["10.1.0.1:8080", "10.1.0.2:8080", "10.1.0.3:8080"]
    );
}

#[test]
fn long_tables_are_scrolled() {
    let mut m = model(8, 80);
    let all = names(&model(40, 80));
    assert_eq!(all.len(), 9);
    let seen = |m: &Model| (names(m), m.frame()[0].text.clone());
    assert_eq!(
        seen(&m),
        (
            all[..4].to_vec(),
            "lvsd top: 3 services by cps, every 1s, lines 1-4 of 9".to_owned()
        )
    );
    for (key, first) in [
        (Key::Up, 0),
        (Key::Down, 1),
        (Key::Down, 2),
        (Key::Up, 1),
        (Key::PageDown, 5),
        (Key::PageDown, 5),
        (Key::Down, 5),
        (Key::PageUp, 1),
        (Key::End, 5),
        (Key::Home, 0),
    ] {
        m.pressed(key);
        assert_eq!(seen(&m).0, all[first..first + 4], "{key:?}");
    }
    // A larger screen stays full, and so does one whose table has shrunk.
    m.pressed(Key::End);
    m.resized(Size {
        rows: 10,
        columns: 80,
    });
    assert_eq!(seen(&m).0, all[3..]);
    let mut t = table();
    t.services.truncate(1);
    m.answered(t);
    assert_eq!(names(&m).len(), 3);
}

#[test]
fn a_filter_lets_through_what_contains_it() {
    let mut m = model(40, 80);
    press(&mut m, "/WLC");
    assert_eq!(screen(&m).last().unwrap(), "  /WLC_");
    assert_eq!(names(&m).len(), 4, "a service with all its servers");
    // Keys are text now.
    press(&mut m, "qs ");
    assert_eq!(screen(&m).last().unwrap(), "  /WLCqs _");
    assert!(names(&m).is_empty() && !m.is_paused());
    (0..6).for_each(|_| assert!(m.pressed(Key::Backspace)));
    press(&mut m, "10.1.0.1:");
    m.pressed(Key::Enter);
    assert_eq!(
        names(&m),
        [
            "TCP 10.0.0.1:80 wlc",
            "10.1.0.1:8080",
            "UDP 10.0.0.1:53 rr",
            "10.1.0.1:53"
        ]
    );
    assert!(m.frame()[0].text.ends_with("only \"10.1.0.1:\""));
    m.pressed(Key::Escape);
    assert_eq!(names(&m).len(), 9);
    // By state.
    press(&mut m, "/quiesced");
    assert_eq!(
        names(&m),
        [
            "TCP 10.0.0.1:80 wlc",
            "10.1.0.3:8080",
            "FWM 7 IPv6 sh",
            "[fd00::1]:0"
        ]
    );
    m.pressed(Key::Escape);
    assert_eq!(names(&m).len(), 9);
}

#[test]
fn keys_pause_help_and_quit() {
    let mut m = model(40, 80);
    press(&mut m, " ");
    assert!(m.is_paused() && m.frame()[0].text.ends_with(", paused"));
    press(&mut m, " ");
    assert!(!m.is_paused());
    let table = screen(&m);
    press(&mut m, "h");
    assert!(
        screen(&m)
            .iter()
            .any(|l| l.contains("averages that lvsd renews"))
    );
    press(&mut m, "x");
    assert_eq!(screen(&m), table, "any key leads back");
    for key in ['q', 'Q'] {
        assert!(!m.pressed(Key::Char(key)));
    }
    press(&mut m, "h");
    assert!(!m.pressed(Key::Char('q')), "from there too");
}

#[test]
fn troubles_are_said_and_forgotten() {
    let last = |m: &Model| screen(m).last().unwrap().clone();
    let mut m = model(40, 80);
    assert!(last(&m).starts_with("D q quit"));
    m.failed("it has \x1b[2J gone");
    assert_eq!(last(&m), "A it has \\u{1b}[2J gone; trying again");
    assert_eq!(names(&m).len(), 9, "what was is still shown");
    m.answered(table());
    assert_eq!(last(&m), "A lvsd answers again");
    for _ in 0..NOTICED {
        m.answered(table());
        assert_eq!(last(&m), "A lvsd answers again");
    }
    m.answered(table());
    assert!(last(&m).starts_with("D q quit"));
}

#[test]
fn counters_that_begin_anew_are_noticed() {
    let mut counted = table();
    counted.totals.conns = 7;
    counted.services[0].totals.in_packets = 9;
    let name = ServiceKey::from(counted.services[0].key);
    let last = |m: &Model| screen(m).last().unwrap().clone();
    let mut m = model(40, 80);
    m.answered(counted.clone());
    assert!(last(&m).starts_with("D q quit"), "rising is usual");
    let mut one = counted.clone();
    one.services[0].totals.in_packets = 0;
    m.answered(one);
    assert_eq!(
        last(&m),
        format!("A the counters of {name} have begun anew")
    );
    m.answered(table());
    assert_eq!(last(&m), "A the counters have begun anew");
    m.answered(counted);
    m.failed("gone");
    m.answered(table());
    assert_eq!(
        last(&m),
        "A lvsd answers again; its counters have begun anew"
    );
}

#[test]
fn before_the_first_answer_there_is_nothing_to_show() {
    let m = Model::new(
        Size {
            rows: 6,
            columns: 80,
        },
        Duration::from_millis(500),
        Sort::Cps,
    );
    let screen = screen(&m);
    assert_eq!(
        (&*screen[0], &*screen[5]),
        ("B lvsd top", "D waiting for the first answer")
    );
}

#[test]
fn what_comes_from_outside_is_only_text() {
    let mut t = table();
    t.services[0].scheduler = "\x1b]0;x\x07\u{202e}\u{e9}".to_owned();
    let mut m = model(40, 130);
    m.answered(t);
    let frame = m.frame();
    let is_text = |line: &Line| line.text.chars().all(|c| c.is_ascii_graphic() || c == ' ');
    assert!(frame.iter().all(is_text), "{frame:?}");
    assert!(
        frame
            .iter()
            .any(|l| l.text.contains("\\u{1b}]0;x\\u{7}\\u{202e}")),
        "{frame:?}"
    );
}

#[test]
fn a_service_without_a_free_server_is_noticed() {
    let mut t = table();
    t.services.truncate(1);
    let mut m = model(9, 80);
    for (weights, overloaded, wanted) in [
        ([1, 1], [false, true], ""),
        ([0, 1], [false, false], ""),
        ([0, 1], [false, true], "no server"),
        ([0, 0], [false, false], "no server"),
    ] {
        let servers = &mut t.services[0].servers;
        for (server, (weight, full)) in servers.iter_mut().zip(weights.into_iter().zip(overloaded))
        {
            (server.weight, server.overloaded) = (weight, full);
        }
        m.answered(t.clone());
        let line = &m.frame()[3];
        assert_eq!(
            line.text.contains("no server"),
            !wanted.is_empty(),
            "{weights:?} {overloaded:?}"
        );
        assert_eq!(line.style == Style::Alert, !wanted.is_empty());
    }
}

fn any_key() -> impl Strategy<Value = Key> {
    prop_oneof![
        (b' '..=b'~')
            .prop_filter("it goes on", |c| !b"qQ".contains(c))
            .prop_map(|c| Key::Char(c.into())),
        Just(Key::Enter),
        Just(Key::Escape),
        Just(Key::Backspace),
        Just(Key::Up),
        Just(Key::Down),
        Just(Key::Left),
        Just(Key::Right),
        Just(Key::PageUp),
        Just(Key::PageDown),
        Just(Key::Home),
        Just(Key::End),
    ]
}

proptest! {
    /// Whatever is pressed and however small the screen: it is filled, never overfilled, and only with text.
    #[test]
    fn every_frame_fits_its_screen(
        rows in 1_usize..30,
        columns in 1_usize..150,
        services in 0_usize..4,
        pressed in vec(any_key(), 0..40),
    ) {
        static TABLE: std::sync::OnceLock<Table> = std::sync::OnceLock::new();
        let mut t = TABLE.get_or_init(table).clone();
        t.services.truncate(services);
        let mut m = Model::new(Size { rows, columns }, Duration::from_secs(1), Sort::Name);
        m.answered(t);
        for key in pressed {
            prop_assert!(m.pressed(key));
            let frame = m.frame();
            prop_assert_eq!(frame.len(), rows);
            for line in frame {
                prop_assert!(line.text.len() <= columns);
                prop_assert!(line.text.chars().all(|c| c.is_ascii_graphic() || c == ' '));
            }
            let text = m.text();
            prop_assert!(text.lines().count() >= 2);
        }
    }
}
