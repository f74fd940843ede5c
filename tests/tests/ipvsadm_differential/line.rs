//! Command lines made up: mostly right ones, and right ones spoilt.

use crate::grammar::{
    self, ADD, ADD_SERVER, CLEAR, COMMANDS, CONNECTION, DAEMON_OPTIONS, DELETE, DELETE_SERVER,
    EDIT, EDIT_SERVER, IPV6, LIST, LIST_OPTIONS, MARK, METHODS, NUMERIC, REAL_SERVER, SAVE, SCTP,
    SERVER_OPTIONS, SERVICE_OPTIONS, SET, START, STOP, Spec, TCP, TUNNEL_OPTIONS, Takes, UDP, ZERO,
};
use crate::known::{Known, is_ipv6};
use crate::random::Random;

/// An option on a command line, with its value if it has one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Item {
    Option(Spec, Option<String>),
    /// A word as it stands.
    Word(String),
}

impl Item {
    /// Which option it is.
    pub(crate) fn spec(&self) -> Option<Spec> {
        match self {
            Self::Option(spec, _) => Some(*spec),
            Self::Word(_) => None,
        }
    }
}

/// A command line's words, without the program's name.
pub(crate) fn any(random: &mut Random, known: &mut Known) -> Vec<String> {
    let mut items = command(random, known);
    if random.percent(40) {
        for _ in 0..=random.below(2) {
            spoil(random, &mut items);
        }
    } else {
        known.learn(&items);
    }
    written(random, items)
}

/// A line that adds a service or server, most likely rightly.
pub(crate) fn setting_up(random: &mut Random, known: &mut Known) -> Vec<String> {
    let command = match known.service(random) {
        Some(_) => random.pick(&[ADD, ADD_SERVER, ADD_SERVER]),
        None => ADD,
    };
    let items = of_command(random, known, command);
    known.learn(&items);
    written(random, items)
}

fn command(random: &mut Random, known: &Known) -> Vec<Item> {
    let command = random.weighted(&[
        (16, ADD),
        (8, EDIT),
        (5, DELETE),
        (1, CLEAR),
        (22, ADD_SERVER),
        (9, EDIT_SERVER),
        (6, DELETE_SERVER),
        (22, LIST),
        (3, ZERO),
        (4, SAVE),
        (3, SET),
        (3, START),
        (2, STOP),
    ]);
    of_command(random, known, command)
}

fn of_command(random: &mut Random, known: &Known, command: Spec) -> Vec<Item> {
    let mut items = vec![option(random, command)];
    let rest = &mut items;
    match command {
        ADD | EDIT => {
            service(random, known, rest);
            some(random, rest, &SERVICE_OPTIONS, 25);
            if random.percent(80) {
                fit(rest);
            }
        }
        DELETE => service(random, known, rest),
        ADD_SERVER | EDIT_SERVER => {
            service(random, known, rest);
            server(random, known, rest);
            let method = random.weighted(&[(3, METHODS[0]), (4, METHODS[1]), (4, METHODS[2])]);
            let given = random.percent(85);
            if given {
                rest.push(option(random, method));
            }
            some(random, rest, &SERVER_OPTIONS, 25);
            if given && method.1 == "ipip" && random.percent(80) || random.percent(2) {
                tunnel(random, rest);
            }
        }
        DELETE_SERVER => {
            service(random, known, rest);
            server(random, known, rest);
        }
        LIST => {
            rest.push(option(random, NUMERIC));
            some(random, rest, &LIST_OPTIONS, 12);
            match random.below(10) {
                0 => rest.push(option(random, CONNECTION)),
                1 | 2 => service(random, known, rest),
                _ => {}
            }
        }
        ZERO if random.percent(50) => service(random, known, rest),
        SAVE => rest.push(option(random, NUMERIC)),
        SET => {
            for _ in 0..3 {
                rest.push(Item::Word(value(random, grammar::Value::Timeout)));
            }
        }
        START => some(random, rest, &DAEMON_OPTIONS, 30),
        STOP => some(random, rest, &DAEMON_OPTIONS[..1], 30),
        _ => {}
    }
    items
}

/// Names a service: most of the time one that is there, or for `-A` one that is not.
fn service(random: &mut Random, known: &Known, items: &mut Vec<Item>) {
    if random.percent(there(items, ADD))
        && let Some(key) = known.service(random)
    {
        items.extend(key);
        return;
    }
    let key = random.weighted(&[(6, TCP), (4, UDP), (1, SCTP), (3, MARK)]);
    items.push(option(random, key));
    if key == MARK && random.percent(35) {
        items.push(option(random, IPV6));
    }
}

/// Names a server of the service that is named already, most of the time one that is there, or for `-a` one that is not.
fn server(random: &mut Random, known: &Known, items: &mut Vec<Item>) {
    if random.percent(there(items, ADD_SERVER))
        && let Some(name) = known.server(random, items)
    {
        items.push(Item::Option(REAL_SERVER, Some(name)));
        return;
    }
    let mut server = option(random, REAL_SERVER);
    while is_ipv6(items) != is_ipv6(std::slice::from_ref(&server)) && random.percent(95) {
        server = option(random, REAL_SERVER);
    }
    items.push(server);
}

/// How often a command is about what is there already.
fn there(items: &[Item], adding: Spec) -> usize {
    match items.first().and_then(Item::spec) {
        Some(spec) if spec == adding => 12,
        _ => 90,
    }
}

/// Makes a service's options fit together.
fn fit(items: &mut Vec<Item>) {
    let ipv6 = is_ipv6(items);
    let udp = items.iter().any(|item| item.spec() == Some(UDP));
    let mut hash = None;
    let mut portless = false;
    items.retain(|item| match item {
        Item::Option((_, "ops", _), _) => udp,
        Item::Option((_, "netmask", _), Some(mask)) => mask.contains('.') != ipv6,
        Item::Option((_, "sched-flags", _), Some(flags)) => {
            // Those of sh and mh begin with its name.
            hash = flags.split_once("h-").map(|(start, _)| format!("{start}h"));
            true
        }
        Item::Option((_, name, _), Some(value)) if name.ends_with("p-service") => {
            portless = value.ends_with(":0") || !value.contains(':');
            true
        }
        _ => true,
    });
    let [scheduler, persistent, ..] = SERVICE_OPTIONS;
    if let Some(name) = hash {
        items.retain(|item| item.spec() != Some(scheduler));
        items.push(Item::Option(scheduler, Some(name)));
    }
    if portless && !items.iter().any(|item| item.spec() == Some(persistent)) {
        items.push(Item::Option(persistent, Some("300".to_owned())));
    }
}

/// Options that fit together, most of the time.
fn tunnel(random: &mut Random, items: &mut Vec<Item>) {
    let [kind, port, sums @ ..] = &TUNNEL_OPTIONS;
    let name = random.pick(&["ipip", "gue", "gue", "gre", "gre"]);
    items.push(Item::Option(*kind, Some(name.to_owned())));
    let odd = random.percent(10);
    if (name == "gue") != odd {
        items.push(option(random, *port));
    }
    if (name != "ipip") != odd && random.percent(85) {
        let sum = random.pick(&sums[..if name == "gue" { 3 } else { 2 }]);
        items.push(option(random, sum));
    }
}

/// Each of these, so many times out of a hundred.
fn some(random: &mut Random, items: &mut Vec<Item>, from: &[Spec], chance: usize) {
    for spec in from {
        if random.percent(chance) {
            items.push(option(random, *spec));
        }
    }
}

fn option(random: &mut Random, spec: Spec) -> Item {
    let value = match spec.2 {
        Takes::Nothing => None,
        Takes::Value(kind) => Some(value(random, kind)),
        Takes::Maybe(kind) => random.percent(70).then(|| value(random, kind)),
    };
    Item::Option(spec, value)
}

/// Mostly right: a line has several, and one that is wrong hides the others.
fn value(random: &mut Random, kind: grammar::Value) -> String {
    if random.percent(8) {
        grammar::doubtful(random, kind)
    } else {
        grammar::right(random, kind)
    }
}

/// Makes a line doubtful in one respect.
fn spoil(random: &mut Random, items: &mut Vec<Item>) {
    let at = random.below(items.len());
    match random.below(10) {
        // Something is missing,
        0 => drop(items.remove(at)),
        // twice there,
        1 => items.insert(random.below(items.len() + 1), items[at].clone()),
        // in another order (what makes the command mostly stays first),
        2 => {
            let kept = usize::from(random.percent(80)).min(items.len());
            random.shuffle(&mut items[kept..]);
        }
        // of another command,
        3 => {
            let foreign = random.pick(&grammar::all_options());
            items.insert(random.below(items.len()) + 1, option(random, foreign));
        }
        4 => {
            let second = random.pick(&COMMANDS);
            let second = option(random, second);
            match random.percent(50) {
                true => items[0] = second,
                false => items.insert(random.below(items.len()) + 1, second),
            }
        }
        // of a doubtful value,
        5..=7 => {
            let kinds = items.iter().enumerate().filter_map(|(i, item)| match item {
                Item::Option((_, _, Takes::Value(kind) | Takes::Maybe(kind)), _) => {
                    Some((i, *kind))
                }
                _ => None,
            });
            let kinds: Vec<_> = kinds.collect();
            if let Some(&(i, kind)) = kinds.get(random.below(kinds.len().max(1)))
                && let Item::Option(_, value) = &mut items[i]
            {
                *value = random.percent(95).then(|| grammar::doubtful(random, kind));
            }
        }
        // or something that is nothing.
        _ => {
            const WORDS: [&str; 17] = [
                "word",
                "-",
                "--",
                "--bogus",
                "-q",
                "-nq",
                "--timeo",
                "--stats=1",
                "--numeric=",
                "-6",
                "#",
                "-5",
                "--scheduler",
                "-p",
                "-h",
                "--exact=x",
                "ipvsadm",
            ];
            let word = random.pick(&WORDS).to_string();
            items.insert(random.below(items.len() + 1), Item::Word(word));
        }
    }
    if items.is_empty() {
        items.push(Item::Word("--list".to_owned()));
    }
}

/// The words of a line, each option in one of the ways it may be written.
fn written(random: &mut Random, items: Vec<Item>) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    // Whether the last word is a bundle of letters that takes another.
    let mut open = false;
    for item in items {
        let (letter, name, value) = match item {
            Item::Word(word) => {
                words.push(word);
                open = false;
                continue;
            }
            Item::Option((letter, name, _), value) => (letter, name, value),
        };
        let letter = letter.filter(|_| random.percent(80));
        match letter {
            Some(letter) if open && random.percent(40) => {
                words.last_mut().expect("it is open").push(letter);
            }
            Some(letter) => words.push(format!("-{letter}")),
            None => words.push(format!("--{name}")),
        }
        open = letter.is_some() && value.is_none();
        let Some(value) = value else { continue };
        match letter {
            Some(_) if random.percent(15) => words.last_mut().expect("pushed").push_str(&value),
            None if random.percent(30) => {
                words
                    .last_mut()
                    .expect("pushed")
                    .push_str(&format!("={value}"));
            }
            _ => words.push(value),
        }
    }
    words
}
