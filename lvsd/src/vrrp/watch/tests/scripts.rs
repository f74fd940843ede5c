use super::*;
use ObjectState::{Bad, Good};

/// Whether a process of ours runs: one that has ended is a zombie until somebody waits for it.
fn runs(process: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let state = stat
        .rsplit(") ")
        .next()
        .and_then(|rest| rest.chars().next());
    !matches!(state, None | Some('Z' | 'X'))
}

/// The number that a script has left in a file.
fn number(path: &Path) -> String {
    let read = || fs::read_to_string(path).unwrap_or_default();
    until("a number is in the file", || read().ends_with('\n'));
    read().trim().to_owned()
}

fn block(name: &str, more: &str) -> String {
    format!(
        "vrrp_script {name} {{\n script \"DIR/{name}\"\n interval 0.02\n timeout 20\n{more}\n}}\n"
    )
}

fn we_are_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata("/proc/self").unwrap().uid() == 0
}

#[test]
fn good_and_bad_and_what_the_log_says() {
    let mut scene = Scene::new();
    scene.script("s_N", "test -e DIR/flag || { echo one; echo two; exit 3; }");
    fs::write(scene.path("flag"), "").unwrap();
    scene.watch(&block("s_N", "rise 2\n fall 3"), "track_script {\n s_N\n}");
    scene.until("s_N", &[Good]);
    fs::remove_file(scene.path("flag")).unwrap();
    scene.until("s_N", &[Good, Bad]);
    fs::write(scene.path("flag"), "").unwrap();
    scene.until("s_N", &[Good, Bad, Good]);
    let said = [
        "succeeded (exit status 0): good",
        "failed (exit status 3: two) 3 times in a row: bad",
        "succeeded (exit status 0) 2 times in a row: good",
    ];
    until("all is logged", || {
        scene.logged("script `s_N`: ").len() == 3
    });
    for (line, said) in scene.logged("script `s_N`: ").iter().zip(said) {
        assert!(line.ends_with(said), "{line}");
    }
}

#[test]
fn bad_until_it_has_been_good() {
    let mut scene = Scene::new();
    scene.script("s_N", "exit 0");
    let tracks = "track_script {\n s_N\n}";
    scene.watch(&block("s_N", "init_fail\n rise 2"), tracks);
    scene.until("s_N", &[Bad, Good]);
    assert!(scene.logged("script `s_N`: ")[0].contains("has not run yet"));
}

#[test]
fn only_what_is_tracked_is_run() {
    let mut scene = Scene::new();
    scene.script("used_N", "exit 0");
    scene.script("unused_N", "touch DIR/ran");
    let blocks = block("used_N", "") + &block("unused_N", "");
    scene.watch(&blocks, "track_script {\n used_N\n}");
    until("it has run often", || scene.runs("used_N").0 > 5);
    assert!(!scene.path("ran").exists());
    assert_eq!(scene.status().len(), 1);
}

#[test]
fn who_hangs_delays_nobody_and_is_killed_with_what_it_has_started() {
    let mut scene = Scene::new();
    let deaf = "trap '' TERM\nsleep 1000 & echo $! > DIR/child\nwhile :; do wait; done";
    scene.script("deaf_N", &format!("test -e DIR/child && exit 0\n{deaf}"));
    scene.script("s_N", "exit 0");
    let hangs = block("deaf_N", "").replace("timeout 20", "timeout 0.3");
    let blocks = hangs + &block("s_N", "");
    scene.watch(&blocks, "track_script {\n deaf_N\n s_N\n}");
    let child = number(&scene.path("child"));
    until("it is bad", || {
        scene.reports("deaf_N").first() == Some(&Bad)
    });
    let (before, _) = scene.runs("s_N");
    until("the other one runs", || scene.runs("s_N").0 > before + 5);
    assert!(runs(&child), "it does not listen");
    assert_eq!(scene.runs("deaf_N").0, 1);
    until("runs are left out", || scene.runs("deaf_N").1 > 5);
    until("it is killed", || !runs(&child));
    scene.until("deaf_N", &[Bad, Good]);
    let line = &scene.logged("script `deaf_N`: failed")[0];
    assert!(
        line.contains("still ran after 0.3 s, its timeout"),
        "{line}"
    );
}

#[test]
fn nothing_is_left_at_the_end() {
    let mut scene = Scene::new();
    scene.script(
        "s_N",
        "trap '' TERM\nsleep 1000 & echo $! > DIR/child\necho $$ > DIR/self\nwait",
    );
    scene.watch(&block("s_N", ""), "track_script {\n s_N\n}");
    let both = ["child", "self"].map(|file| number(&scene.path(file)));
    assert!(both.iter().all(|p| runs(p)));
    scene.watch = None;
    until("both have gone", || both.iter().all(|p| !runs(p)));
    assert!(scene.reports("s_N").is_empty(), "that says nothing of it");
}

#[test]
fn what_cannot_be_started_has_failed() {
    let mut scene = Scene::new();
    scene.watch(&block("s_N", ""), "track_script {\n s_N\n}");
    scene.until("s_N", &[Bad]);
    scene.script("s_N", "exit 0");
    scene.until("s_N", &[Bad, Good]);
    let line = &scene.logged("script `s_N`: failed")[0];
    assert!(line.contains("cannot be started: No such file"), "{line}");
}

#[test]
fn signals_are_told() {
    let mut scene = Scene::new();
    scene.script("s_N", "kill -9 $$");
    scene.watch(&block("s_N", ""), "track_script {\n s_N\n}");
    scene.until("s_N", &[Bad]);
    assert!(scene.logged("script `s_N`: ")[0].contains("(killed by signal 9)"));
}

#[test]
fn whom_they_run_as() {
    if !we_are_root() {
        return;
    }
    let mut scene = Scene::new();
    scene.script("s_N", "test $(id -u) = 65534 && test \"$(id -G)\" = 65534");
    scene.script("root_N", "test $(id -u) = 0");
    let blocks = block("s_N", "user nobody nogroup") + &block("root_N", "user root");
    scene.watch(&blocks, "track_script {\n s_N\n root_N\n}");
    scene.until("s_N", &[Good]);
    scene.until("root_N", &[Good]);
}

#[test]
fn what_others_could_change_is_told_or_refused() {
    if !we_are_root() {
        return;
    }
    let mut scene = Scene::new();
    scene.script("s_N", "exit 0");
    std::os::unix::fs::chown(scene.path("s_N"), Some(65534), None).unwrap();
    let tracks = "track_script {\n s_N\n}";
    let blocks = block("s_N", "user root");
    scene.watch(&blocks, tracks);
    scene.until("s_N", &[Good]);
    let said = scene.logged("script `s_N`: runs as root, and ");
    assert!(said[0].contains("belongs to user 65534"), "{said:?}");
    let secure = format!("global_defs {{\n enable_script_security\n}}\n{blocks}");
    scene.watch(&secure, tracks);
    scene.until("s_N", &[Good, Bad]);
    let line = &scene.logged("script `s_N`: failed")[0];
    assert!(
        line.contains("`enable_script_security` forbids it"),
        "{line}"
    );
    let as_nobody = secure.replace("user root", "user nobody");
    scene.watch(&as_nobody, tracks);
    scene.until("s_N", &[Good, Bad, Good]);
}

#[test]
fn shells_take_redirections() {
    let mut scene = Scene::new();
    let script = "vrrp_script s_N {\n script \"<DIR/flag\"\n interval 0.02\n}\n";
    scene.watch(script, "track_script {\n s_N\n}");
    scene.until("s_N", &[Bad]);
    fs::write(scene.path("flag"), "").unwrap();
    scene.until("s_N", &[Bad, Good]);
}

#[test]
fn reloads_keep_what_stays() {
    let mut scene = Scene::new();
    for name in ["stays_N", "goes_N", "comes_N", "other_N"] {
        scene.script(name, "echo run >> DIR/$(basename $0).runs");
    }
    let blocks = |names: &[&str]| names.iter().map(|n| block(n, "")).collect::<String>();
    let tracks = |names: &[&str]| format!("track_script {{\n{}\n}}", names.join("\n"));
    let names = ["stays_N", "goes_N", "other_N"];
    scene.watch(&blocks(&names), &tracks(&names));
    for name in names {
        scene.until(name, &[Good]);
    }
    let names = ["stays_N", "other_N", "comes_N"];
    let changed = blocks(&names).replace("DIR/other_N", "DIR/changed_N");
    scene.script("changed_N", "exit 1");
    scene.watch(&changed, &tracks(&names));
    scene.until("comes_N", &[Good]);
    scene.until("other_N", &[Good, Bad]);
    let (before, _) = scene.runs("stays_N");
    until("it goes on", || scene.runs("stays_N").0 > before + 5);
    scene.until("stays_N", &[Good]);
    scene.until("goes_N", &[Good]);
    let gone = Object::Script(scene.filled("goes_N"));
    assert!(!scene.status().contains_key(&gone));
    let length = |scene: &Scene| fs::metadata(scene.path("goes_N.runs")).unwrap().len();
    let before = length(&scene);
    let (runs, _) = scene.runs("stays_N");
    until("others go on", || scene.runs("stays_N").0 > runs + 5);
    assert_eq!(length(&scene), before, "it does not run any more");
}

#[test]
fn talkers_are_heard_to_the_end() {
    let mut scene = Scene::new();
    scene.script(
        "s_N",
        "head -c 300000 /dev/zero | tr '\\0' x\necho\nprintf 'the \\033[1mend'\nexit 1",
    );
    scene.watch(&block("s_N", ""), "track_script {\n s_N\n}");
    scene.until("s_N", &[Bad]);
    let object = Object::Script(scene.filled("s_N"));
    let phrase = scene.status().get(&object).unwrap().to_string();
    let begin = "failed (exit status 1: the \\u{1b}[1mend)";
    assert!(phrase.starts_with(begin), "{phrase}");
    assert!(phrase.contains("; the last run failed "), "{phrase}");
    match scene.status().remove(&object).map(|w| w.detail) {
        Some(Detail::Script {
            last: Some(last), ..
        }) => {
            assert_eq!(last.said, "the \\u{1b}[1mend");
            assert_eq!((last.well, &*last.how), (false, "exit status 1"));
        }
        other => panic!("{other:?}"),
    }
}
