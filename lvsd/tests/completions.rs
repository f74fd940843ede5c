//! What shells offer, asked of the shells themselves.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Stdio};

mod village;
use village::Village;

const SERVICES: &str = "\
-A -t 192.0.2.10:80 -s wrr
-a -t 192.0.2.10:80 -r 10.0.0.11:8080 -m
-a -t 192.0.2.10:80 -r 10.0.0.12:8080 -m
-A -t [2001:db8::80]:443 -s rr
-a -t [2001:db8::80]:443 -r [2001:db8:1::1]:443 -m
-A -u 192.0.2.10:53 -s rr
-a -u 192.0.2.10:53 -r 10.0.0.21:53 -m
-A -f 7 -s rr
-a -f 7 -r 10.0.0.31 -m";

/// A folder with lvsd under its names, and a daemon.
struct Bench {
    folder: PathBuf,
    village: Village,
}

impl Bench {
    fn new(name: &str) -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        for name in ["lvsd", "ipvsadm", "ipvsadm-save", "ipvsadm-restore"] {
            symlink(env!("CARGO_BIN_EXE_lvsd"), folder.join(name)).unwrap();
        }
        fs::write(folder.join("web.rules"), "").unwrap();
        let village = Village::of(SERVICES);
        Self { folder, village }
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let path = format!("{}:/usr/bin:/bin", self.folder.display());
        command
            .env("PATH", path)
            .env("LVSD_SOCKET", self.village.path())
            .env("TERM", "dumb")
            .env_remove("INPUTRC")
            .current_dir(&self.folder);
        command
    }

    /// What bash's completion function replies for this line, the cursor at its end.
    fn bash(&self, line: &str) -> Vec<String> {
        let script = r#"
            source <(lvsd completions bash)
            COMP_LINE=$1 COMP_POINT=${#1}
            _lvsd "${1%% *}"
            printf '%s\n' "${COMPREPLY[@]}""#;
        let mut command = self.command("bash");
        let output = command
            .args(["--norc", "--noprofile", "-c", script, "bash", line])
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{line}");
        let words = String::from_utf8(output.stdout).unwrap();
        words
            .lines()
            .filter(|l| !l.is_empty())
            .map(str::to_owned)
            .collect()
    }

    /// What stands on the line after these keys have been typed to a shell at a terminal.
    fn typed(&self, shell: &str, begin: &str, keys: &str) -> String {
        let mut command = self.command("script");
        command.args(["-qec", shell, "/dev/null"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut script = command.stderr(Stdio::piped()).spawn().expect("script runs");
        // Ctrl-A goes to the line's beginning: the line is printed and not run.
        let input = format!("{begin}\n{keys}\x01printf '<%s>' \nexit\n");
        let mut stdin = script.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).unwrap();
        let output = script.wait_with_output().unwrap();
        let output = String::from_utf8_lossy(&output.stdout).into_owned();
        let printed = output.lines().rfind(|l| l.starts_with('<'));
        let printed = printed.unwrap_or_else(|| panic!("nothing is printed in\n{output}"));
        let words = printed.split_inclusive('>');
        let words = words.map_while(|w| w.strip_prefix('<')?.strip_suffix('>'));
        words.collect::<Vec<_>>().join(" ")
    }
}

/// A shell that is missing is a failure, as everywhere in these tests.
fn needs(shell: &str) {
    let is_there = Command::new(shell).arg("--version").output().is_ok();
    assert!(is_there, "{shell} is missing: scripts/test installs it");
}

/// Lines typed, and what they become.
const TYPED: [(&str, &str); 6] = [
    ("lvsd repl\t--che\tweb\t", "lvsd replay --check web.rules"),
    ("lvsd run --rules=we\t", "lvsd run --rules=web.rules"),
    ("ipvsadm -D -t 192\t", "ipvsadm -D -t 192.0.2.10:80"),
    ("ipvsadm -D -t 192.0.2.10:\t", "ipvsadm -D -t 192.0.2.10:80"),
    (
        "ipvsadm -D --tcp-service=1\t",
        "ipvsadm -D --tcp-service=192.0.2.10:80",
    ),
    (
        "ipvsadm -d -u 1\t-r 10\t--\x7f\x7f",
        "ipvsadm -d -u 192.0.2.10:53 -r 10.0.0.21:53",
    ),
];

#[test]
fn bash_offers_what_may_stand_there() {
    let bench = Bench::new("bash-offers");
    let offered = |line: &str| bench.bash(line);
    assert!(offered("lvsd ").contains(&"run".to_owned()));
    assert_eq!(offered("lvsd rep"), ["replay"]);
    assert_eq!(offered("lvsd run --ru"), ["--rules"]);
    assert_eq!(offered("lvsd run --rules web"), ["web.rules"]);
    assert_eq!(offered("lvsd run --rules=web"), ["web.rules"]);
    assert_eq!(offered("ipvsadm -a "), ["-t", "-u", "--sctp-service", "-f"]);
    assert_eq!(offered("lvsd adm -A -t 192.0.2.9:80 -s wl"), ["wlc"]);
    assert_eq!(
        offered("ipvsadm -A -t 192.0.2.9:80 -s mh -b mh-p"),
        ["mh-port"]
    );
    assert_eq!(offered("ipvsadm-save -"), ["-n"]);
    assert_eq!(offered("lvsd adm di"), ["diff"]);
    assert_eq!(offered("lvsd adm --socket s diff --json we"), ["web.rules"]);
    assert_eq!(offered("ipvsadm nonsense -"), [""; 0]);
}

#[test]
fn bash_offers_services_and_servers_of_the_daemon() {
    let bench = Bench::new("bash-live");
    let offered = |line: &str| bench.bash(line);
    assert_eq!(
        offered("ipvsadm -D -t "),
        ["192.0.2.10:80", "[2001:db8::80]:443"]
    );
    assert_eq!(offered("ipvsadm -D -u "), ["192.0.2.10:53"]);
    assert_eq!(offered("ipvsadm -E -f "), ["7"]);
    // Readline has what is before the last colon already.
    assert_eq!(offered("ipvsadm -D -t 192.0.2.10:"), ["80"]);
    assert_eq!(offered("ipvsadm -D -t [2001:db8::8"), ["80]:443"]);
    assert_eq!(offered("ipvsadm -D --tcp-service=192"), ["192.0.2.10:80"]);
    let servers = ["10.0.0.11:8080", "10.0.0.12:8080"];
    assert_eq!(offered("ipvsadm -d -t 192.0.2.10:80 -r "), servers);
    assert_eq!(
        offered("lvsd adm -e -t 192.0.2.10:80 -r 10.0.0.12"),
        servers[1..]
    );
    assert_eq!(offered("ipvsadm -d -f 7 -r "), ["10.0.0.31:0"]);
    let elsewhere = ["10.0.0.21:53", "10.0.0.31:0", "[2001:db8:1::1]:443"];
    assert_eq!(offered("ipvsadm -a -t 192.0.2.10:80 -r "), elsewhere);
    // What exists cannot be added.
    assert_eq!(offered("ipvsadm -A -t "), [""; 0]);
    assert_eq!(offered("lvsd adm --socket /nonexistent -D -t "), [""; 0]);
}

#[test]
fn keys_typed_to_bash_become_whole_words() {
    let bench = Bench::new("bash-typed");
    let begin = "source <(lvsd completions bash)";
    let typed = |keys| bench.typed("bash --norc --noprofile -i", begin, keys);
    for (keys, whole) in TYPED {
        assert_eq!(typed(keys), whole, "{keys:?}");
    }
    assert_eq!(
        typed("ipvsadm -d -t [20\t-r \t"),
        "ipvsadm -d -t [2001:db8::80]:443 -r [2001:db8:1::1]:443"
    );
}

#[test]
fn keys_typed_to_zsh_become_whole_words() {
    needs("zsh");
    let bench = Bench::new("zsh-typed");
    let begin = "autoload -Uz compinit; compinit -u -D; source <(lvsd completions zsh)";
    for (keys, whole) in TYPED {
        assert_eq!(bench.typed("zsh -f -i", begin, keys), whole, "{keys:?}");
    }
}

#[test]
fn fish_offers_what_may_stand_there() {
    needs("fish");
    let bench = Bench::new("fish");
    let offered = |line: &str| {
        let script = format!("source (lvsd completions fish | psub); complete -C {line:?}");
        let mut fish = bench.command("fish");
        let output = fish.args(["--no-config", "-c", &script]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{line}");
        String::from_utf8(output.stdout).unwrap()
    };
    let about = "replay\twhat the director does with recorded traffic, and why\n";
    assert_eq!(offered("lvsd rep"), about);
    assert_eq!(offered("lvsd run --rules we"), "web.rules\n");
    assert_eq!(offered("lvsd run --rules=we"), "--rules=web.rules\n");
    let services = "192.0.2.10:80\twrr, 2 servers\n[2001:db8::80]:443\trr, 1 server\n";
    assert_eq!(offered("ipvsadm -D -t "), services);
    let server = "10.0.0.21:53\tweight 1, 0 connections\n";
    assert_eq!(offered("ipvsadm -d -u 192.0.2.10:53 -r "), server);
}
