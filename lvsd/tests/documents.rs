//! What documents show is what the program does.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use lvsd::keepalived::lint::codes;
use serde_json::Value;

mod village;
use village::Village;

fn document(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A conversation with a daemon, as the document shows it.
struct Conversation {
    stream: BufReader<UnixStream>,
}

impl Conversation {
    fn open(path: &Path) -> Self {
        let stream = UnixStream::connect(path).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let stream = BufReader::new(stream);
        Self { stream }
    }

    fn say(&mut self, request: &Value) {
        let line = format!("{request}\n");
        self.stream.get_mut().write_all(line.as_bytes()).unwrap();
    }

    fn hear(&mut self) -> Option<Value> {
        let mut line = String::new();
        match self.stream.read_line(&mut line).unwrap() {
            0 => None,
            _ => Some(serde_json::from_str(&line).unwrap()),
        }
    }
}

/// The blocks of a language in a document.
fn blocks<'a>(document: &'a str, language: &str) -> Vec<&'a str> {
    let opening = format!("```{language}\n");
    let behind = document.split(opening.as_str()).skip(1);
    behind
        .map(|rest| rest.split("\n```").next().unwrap())
        .collect()
}

/// The daemon's version changes without the document.
fn without_version(mut value: Value) -> Value {
    for pointer in ["/lvsd", "/table/lvsd"] {
        if let Some(version) = value.pointer_mut(pointer) {
            *version = "the daemon's".into();
        }
    }
    if let Some(Value::String(message)) = value.get_mut("message")
        && let Some((before, _)) = message.split_once("(lvsd ")
    {
        *message = format!("{before}(the daemon's)");
    }
    value
}

#[test]
fn the_conversations_of_control_md_happen() {
    let village = Village::of("");
    let document = document("docs/control.md");
    let mut conversation = None;
    let mut replies = 0;
    for block in blocks(&document, "json") {
        for said in serde_json::Deserializer::from_str(block).into_iter::<Value>() {
            let said = said.unwrap_or_else(|e| panic!("{e} in\n{block}"));
            if said.get("reply").is_none() {
                if said.get("request").is_none() {
                    conversation = Some(Conversation::open(village.path()));
                }
                conversation.as_mut().unwrap().say(&said);
                continue;
            }
            let heard = conversation.as_mut().unwrap().hear();
            let heard = heard.unwrap_or_else(|| panic!("the daemon has hung up before\n{said:#}"));
            let heard = without_version(heard);
            assert_eq!(
                heard,
                without_version(said),
                "the daemon says\n{heard:#}\nand not what the document says in\n{block}"
            );
            replies += 1;
        }
    }
    assert_eq!(
        conversation.unwrap().hear(),
        None,
        "the last example ends it"
    );
    assert!(replies >= 10, "{replies} replies are as good as none");
}

#[test]
fn rules_for_marks_of_migrate_md_are_taken() {
    let document = document("docs/migrate.md");
    let lines = blocks(&document, "text").join("\n");
    let rules = lines
        .lines()
        .map(str::trim)
        .filter(|l| l.starts_with("--mark"));
    let rules: Vec<&str> = rules.collect();
    assert!(rules.len() > 2, "{rules:?}");
    Village::of(&rules.join("\n"));
}

/// What lvsd prints when called so.
fn lvsd(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_lvsd"))
        .args(args)
        .output()
        .unwrap();
    assert!(output.status.success(), "lvsd {args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// What shells offer where the last of these words is.
fn offered(words: &[&str]) -> Vec<String> {
    let lines = lvsd(&[&["completions", "--for"], words].concat());
    let words = lines.lines().map(|l| l.split('\t').next().unwrap());
    words.map(str::to_owned).collect()
}

/// The long options that a text has.
fn options(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let words = text.split(|c| !is_part(c));
    let is_long = |w: &&str| w.len() > 3 && w.starts_with("--") && !w.ends_with('-');
    words.filter(is_long).map(str::to_owned).collect()
}

/// Whether a manual page has this option or command: `-t`, `--tcp-service`.
fn is_in_page(page: &str, option: &str) -> bool {
    let name = option.strip_prefix('-').unwrap();
    let words = |line: &str| line.split([' ', ',']).any(|word| word == name);
    let mut lines = page
        .lines()
        .filter(|line| line.starts_with(".It") || line.starts_with(".Op"));
    lines.any(words)
}

/// The lines of ipvsadm's grammar up to where options of each kind may stand.
const LINES: [&[&str]; 19] = [
    &[],
    &["-A"],
    &["-A", "-f", "1"],
    &["-E"],
    &["-D"],
    &["-C"],
    &["-a"],
    &["-a", "-t", "10.0.0.1:80"],
    &["-a", "-t", "10.0.0.1:80", "-r", "10.0.0.2:80"],
    &["-e"],
    &["-d"],
    &["-L"],
    &["-Z"],
    &["-S"],
    &["-R"],
    &["--mark", "1"],
    &["--unmark", "1"],
    &["--start-daemon", "master"],
    &["--stop-daemon", "master"],
];

#[test]
fn the_manual_page_of_ipvsadm_has_all_of_the_grammar() {
    let page = document("lvsd/man/lvsd-ipvsadm.8");
    let mut all = BTreeSet::new();
    for line in LINES {
        for dashes in ["-", "--"] {
            all.extend(offered(&[&["ipvsadm"], line, &[dashes]].concat()));
        }
    }
    assert!(all.len() > 100, "the grammar has more than {all:?}");
    for option in all {
        assert!(is_in_page(&page, &option), "{option} is not in the page");
    }
}

#[test]
fn every_option_of_every_command_is_offered_and_in_the_manual() {
    let page = document("lvsd/man/lvsd.8");
    let help = lvsd(&["--help"]);
    let commands = help
        .split("Commands:\n")
        .nth(1)
        .unwrap()
        .split("\n\n")
        .next()
        .unwrap();
    let commands = commands
        .lines()
        .map(|l| l.split_whitespace().next().unwrap());
    let commands: BTreeSet<&str> = commands.collect();
    let known = offered(&["lvsd", ""]);
    assert_eq!(commands, known.iter().map(String::as_str).collect());
    for command in commands {
        assert!(
            page.contains(&format!("\n.Ss {command}\n")),
            "{command} is not in the page"
        );
        if command == "adm" {
            continue; // ipvsadm's grammar
        }
        let help = lvsd(&[command, "--help"]);
        // What stands in quotes is not the command's own.
        let help: Vec<&str> = help.split('`').step_by(2).collect();
        let mut options = options(&help.concat());
        let offered = offered(&["lvsd", command, "--"]);
        for option in &options {
            // What only the shells' scripts use is not for fingers.
            let is_offered = offered.contains(option) || option == "--for";
            assert!(is_offered, "{command}: {option} is not offered");
        }
        options.extend(offered);
        for option in options {
            assert!(
                is_in_page(&page, &option),
                "{command}: {option} is not in the page"
            );
        }
    }
}

#[test]
fn the_manual_has_every_scheduler() {
    let page = document("lvsd/man/lvsd.8");
    let schedulers = offered(&["ipvsadm", "-A", "-f", "1", "-s", ""]);
    assert!(schedulers.len() > 10);
    for scheduler in schedulers {
        assert!(
            page.contains(&format!("\n.It Cm {scheduler}\n")),
            "{scheduler} is not in the page"
        );
    }
}

/// `UPDATE_EXPECTED=1 cargo test -p lvsd --test documents` writes the table anew.
#[test]
fn diagnostics_md_has_every_code() {
    let page = document("docs/diagnostics.md");
    let heading = "| code | meaning |\n|---|---|\n";
    let (before, _) = page.split_once(heading).expect("the table's heading");
    let mut wanted = format!("{before}{heading}");
    for code in codes() {
        let about = code.about.replace('|', "\\|");
        writeln!(wanted, "| `{}` | {about} |", code.name).unwrap();
    }
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/diagnostics.md");
        fs::write(path, &wanted).unwrap();
    } else {
        assert!(
            page == wanted,
            "the program has other codes: UPDATE_EXPECTED=1 writes them anew"
        );
    }
}

/// Whoever shares a file between keepalived and lvsd must find what only the latter understands.
#[test]
fn migrate_md_has_every_keyword_of_our_own() {
    let page = document("docs/migrate.md");
    let keywords: Value = serde_json::from_str(&lvsd(&["help-config", "--json"])).unwrap();
    let names = keywords.as_array().unwrap().iter();
    let names = names.filter_map(|k| k["keyword"].as_str());
    let own: BTreeSet<&str> = names.filter(|name| name.starts_with("lvsd_")).collect();
    assert!(own.len() >= 6, "{own:?}");
    for name in own {
        assert!(page.contains(&format!("`{name}`")), "{name} is missing");
    }
}

/// A service, so that a file has one.
const SOMETHING: &str = "
virtual_server 192.0.2.1 80 {
    protocol TCP
    real_server 192.0.2.2 80 {
        TCP_CHECK {
        }
    }
}
";

/// The configurations that documents show are right, but for what depends on the host.
#[test]
fn configurations_in_documents_are_taken() {
    let folder = std::env::temp_dir().join(format!("lvsd-documents-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let mut tried = 0;
    for name in [
        "README.md",
        "docs/migrate.md",
        "docs/operate.md",
        "docs/alerts.md",
    ] {
        for block in blocks(&document(name), "text") {
            let opens = |keyword: &str| {
                let mut lines = block.lines();
                lines.any(|l| l.starts_with(keyword) && l.ends_with('{'))
            };
            // A page may show a part of a file only.
            let rest = match (opens("virtual_server "), opens("global_defs ")) {
                (true, _) => "",
                (false, true) => SOMETHING,
                (false, false) => continue,
            };
            let path = folder.join("shown.conf");
            fs::write(&path, format!("{block}\n{rest}")).unwrap();
            let output = Command::new(env!("CARGO_BIN_EXE_lvsd"))
                .args(["check", "--json"])
                .arg(&path)
                .output()
                .unwrap();
            let report: Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(report["errors"], 0, "{name}:\n{block}\n{report:#}");
            tried += 1;
        }
    }
    fs::remove_dir_all(&folder).unwrap();
    assert!(tried >= 4, "{tried} configurations are as good as none");
}

/// The anchor of a heading, as forges make it.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter_map(|c| match c {
        ' ' | '-' => Some('-'),
        c if c.is_alphanumeric() || c == '_' => c.to_lowercase().next(),
        _ => None,
    });
    kept.collect()
}

#[test]
fn links_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let docs = fs::read_dir(root.join("docs")).unwrap();
    let mut pages: Vec<_> = docs.map(|page| page.unwrap().path()).collect();
    pages.extend(["README.md", "DESIGN.md"].map(|name| root.join(name)));
    let mut tried = 0;
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        for link in text.split("](").skip(1) {
            let link = link.split(')').next().unwrap();
            if link.contains("://") {
                continue;
            }
            let (file, place) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => page.clone(),
                _ => page.parent().unwrap().join(file),
            };
            assert!(target.exists(), "{}: {link} is not there", page.display());
            if !place.is_empty() {
                let text = fs::read_to_string(&target).unwrap();
                let mut headings = text.lines().filter(|l| l.starts_with('#'));
                let is_it = |l: &str| anchor(l.trim_start_matches('#').trim()) == place;
                assert!(
                    headings.any(is_it),
                    "{}: {link} is no heading",
                    page.display()
                );
            }
            tried += 1;
        }
    }
    assert!(tried > 20, "{tried} links are as good as none");
}

/// Warnings about pages that need not be installed are none.
#[test]
fn manual_pages_are_well_formed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("man");
    for page in fs::read_dir(folder).unwrap() {
        let page = page.unwrap().path();
        let output = Command::new("mandoc")
            .args(["-T", "lint"])
            .arg(&page)
            .output()
            .unwrap_or_else(|e| panic!("mandoc: {e}; scripts/test installs it"));
        let said = String::from_utf8_lossy(&output.stdout);
        let mut complaints = said
            .lines()
            .filter(|l| !l.contains("referenced manual not found"));
        assert_eq!(complaints.next(), None, "{}", page.display());
    }
}
