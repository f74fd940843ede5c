//! The corpus of keepalived.conf files: what lvsd says about each, held against what was found right when it was last looked at,
//! and against what the real keepalived says.
//!
//! `UPDATE_EXPECTED=1 cargo test -p lvsd --test keepalived_corpus` writes the expectations anew: read the difference before
//! you commit it.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use lvsd::keepalived::diagnostic::{Severity, render};
use lvsd::keepalived::host::FakeHost;
use lvsd::keepalived::{Loaded, Options, load};

/// Right files, as keepalived sees them, that lvsd refuses, and why.
const DIFFERENCES: &[(&str, &str)] = &[
    (
        "valid/layout-only-comments.conf",
        "a file that says nothing is an error: keepalived idles, and its users think that it works",
    ),
    (
        "valid/include-family.conf",
        "it includes files twice, so there are services twice, of which IPVS refuses the second",
    ),
    (
        "valid/include-glob.conf",
        "it includes a file twice, so there is a service twice, of which IPVS refuses the second",
    ),
];

/// What keepalived takes and lvsd refuses even with `--keepalived-compat`, and why.
const NEVER_TAKEN: &[(&str, &str)] = &[
    (
        "bad-thresholds",
        "IPVS refuses such a server, so keepalived runs without it",
    ),
    (
        "include-loop",
        "keepalived reads it until it has no descriptors left",
    ),
    (
        "bad-regex",
        "without its pattern a check would pass whatever the page says",
    ),
    (
        "strict-unicast",
        "keepalived takes the file and refuses the instance",
    ),
];

/// Mistakes of the corpus that are none, and why.
const NO_MISTAKES: &[(&str, &str)] = &[
    (
        "broken/cross-fwmark-dr-port.conf",
        "the port is the one that checks ask",
    ),
    (
        "broken/cross-nat-mixed-in-group.conf",
        "packets keep their port; the server's is the one that checks ask",
    ),
    (
        "broken/cross-persistence-granularity-alone.conf",
        "it switches persistence on",
    ),
    (
        "broken/cross-service-all-ports-and-one.conf",
        "the service of one port takes what is its own",
    ),
    (
        "broken/parameter-multi-line-not-ended.conf",
        "a comment may end a value",
    ),
    (
        "broken/parameter-unused.conf",
        "files are shared by hosts that do not all use everything",
    ),
    (
        "broken/vrrp-track-before-definition.conf",
        "the order of blocks does not matter",
    ),
    (
        "broken/vrrp-vip-without-network.conf",
        "an address may bring its network along",
    ),
];

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keepalived")
}

/// The files of a folder, with those in folders of it, in order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => all.extend(files(&path)),
            false => all.push(path),
        }
    }
    all.sort();
    all
}

/// The host that the corpus's README describes, with the corpus at `/corpus`.
fn host() -> FakeHost {
    let mut host = FakeHost::default()
        .with_interface("lo", &["127.0.0.1/8", "::1/128"])
        .with_interface("eth0", &["192.168.80.101/24", "2001:db8::11/64"])
        .with_interface("eth1", &["10.0.0.11/24", "2001:db8:1::11/64"])
        .with_interface("eth2", &["172.16.0.11/24"])
        .with_environment("HOSTNAME", "lb1.example.com")
        .with_user("root", 0, 0)
        .with_user("daemon", 1, 1)
        .with_user("nobody", 65534, 65534)
        .with_group("root", 0)
        .with_group("daemon", 1)
        .with_group("nogroup", 65534);
    for program in [
        "/bin/true",
        "/bin/false",
        "/bin/sh",
        "/bin/cat",
        "/bin/echo",
        "/bin/sleep",
        "/bin/kill",
        "/bin/ping",
        "/usr/bin/test",
        "/usr/bin/logger",
        "/usr/bin/pgrep",
        "/usr/bin/true",
        "/usr/bin/env",
        "/usr/bin/id",
        "/usr/bin/expr",
        "/sbin/ip",
        "/usr/bin/printf",
    ] {
        host = host.with_file(program, "").with_mode(program, 0o755, 0, 0);
    }
    for file in files(&corpus()) {
        let place = Path::new("/corpus").join(file.strip_prefix(corpus()).unwrap());
        let mode = fs::metadata(&file).unwrap().permissions().mode() & 0o7777;
        let content = fs::read(&file).unwrap();
        host = host
            .with_file(&place, content)
            .with_mode(&place, mode & 0o755, 0, 0);
    }
    host
}

/// The configurations of a folder, each with its name in the corpus and what lvsd finds.
fn checked(folder: &str) -> BTreeMap<String, Loaded> {
    let host = host();
    let all = files(&corpus().join(folder)).into_iter();
    let own = all.filter(|f| f.extension().is_some_and(|e| e == "conf"));
    let own = own.filter(|f| f.parent().unwrap().ends_with(folder));
    let each = own.map(|file| {
        let name = file
            .strip_prefix(corpus())
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        let text = String::from_utf8_lossy(&fs::read(&file).unwrap()).into_owned();
        let words = text
            .lines()
            .next()
            .and_then(|l| l.strip_prefix("# lvsd-test: "));
        let mut options = Options::default();
        options.config_id = Some("main".to_owned());
        let mut words = words.unwrap_or_default().split_whitespace();
        while let Some(word) = words.next() {
            match word {
                "--config-id" | "-i" => options.config_id = words.next().map(str::to_owned),
                "--all-config" | "-e" => options.include_check = true,
                other => panic!("{name}: what is {other}?"),
            }
        }
        let loaded = load(&Path::new("/corpus").join(&name), &options, &host);
        (name, loaded)
    });
    each.collect()
}

fn assert_as_expected(folder: &str) {
    let update = env::var_os("UPDATE_EXPECTED").is_some();
    let mut wrong = Vec::new();
    for (name, loaded) in checked(folder) {
        let said = render(&loaded.diagnostics, &loaded.files, false);
        let path = corpus().join(&name).with_extension("expected");
        let expected = fs::read_to_string(&path).unwrap_or_default();
        if said == expected {
            continue;
        }
        match (update, said.is_empty()) {
            (true, true) => fs::remove_file(&path).unwrap(),
            (true, false) => fs::write(&path, said).unwrap(),
            (false, _) => wrong.push(format!(
                "{name}: expected\n{expected}\nand was told\n{said}"
            )),
        }
    }
    assert!(
        wrong.is_empty(),
        "{}\n{} files",
        wrong.join("\n"),
        wrong.len()
    );
}

#[test]
fn valid_files_are_told_of_as_expected() {
    assert_as_expected("valid");
}

#[test]
fn tutorials_are_told_of_as_expected() {
    assert_as_expected("tutorials");
}

#[test]
fn newer_files_are_told_of_as_expected() {
    assert_as_expected("newer");
}

#[test]
fn broken_files_are_told_of_as_expected() {
    assert_as_expected("broken");
}

/// Everything in `broken` is found, and everything else is taken, but for the differences.
#[test]
fn errors_are_where_they_should_be() {
    let mut surprises = Vec::new();
    for folder in ["valid", "tutorials", "newer"] {
        for (name, loaded) in checked(folder) {
            let is_known = DIFFERENCES.iter().any(|(file, _)| *file == name);
            if loaded.is_refused() != is_known {
                surprises.push(name);
            }
        }
    }
    for (name, loaded) in checked("broken") {
        let is_none = NO_MISTAKES.iter().any(|(file, _)| *file == name);
        if loaded.diagnostics.is_empty() != is_none {
            surprises.push(name);
        }
    }
    assert_eq!(surprises, Vec::<String>::new());
}

/// With `--keepalived-compat`, what the real program took is taken, unless there is nothing to run with.
#[test]
fn compatibility_takes_what_keepalived_takes() {
    let verdicts = fs::read_to_string(corpus().join("verdicts.txt")).unwrap();
    let mut refused = Vec::new();
    let taken: Vec<&str> = verdicts
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let mut fields = line.split('\t');
            let name = fields.next()?;
            (fields.next()? == "0").then_some(name)
        })
        .collect();
    for folder in ["valid", "tutorials", "broken"] {
        for (name, loaded) in checked(folder) {
            let errors = loaded.diagnostics.iter();
            let never = |code| NEVER_TAKEN.iter().any(|(known, _)| *known == code);
            let mut errors =
                errors.filter(|d| d.severity == Severity::Error && !d.tolerated && !never(d.code));
            if taken.contains(&&*name)
                && let Some(error) = errors.next()
            {
                refused.push(format!("{name}: {} {}", error.code, error.message));
            }
        }
    }
    assert!(
        refused.is_empty(),
        "{} files:\n{}",
        refused.len(),
        refused.join("\n")
    );
}

/// As the issue wants it: a good number of each.
#[test]
fn the_corpus_is_large() {
    for folder in ["valid", "broken"] {
        assert!(checked(folder).len() >= 60, "{folder}");
    }
}
