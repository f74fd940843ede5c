//! The corpus of keepalived.conf files, asked of the real keepalived: what is recorded of its verdicts, which lvsd's are held
//! against, is still what it says.

use std::collections::BTreeMap;
use std::path::Path;

use tests::command::run;

/// Exit statuses by file, and which keepalived gave them.
fn verdicts(text: &str) -> (String, BTreeMap<String, String>) {
    let version = text.lines().next().unwrap_or_default().to_owned();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let each = lines.filter_map(|line| {
        let mut fields = line.split('\t').map(str::to_owned);
        Some((fields.next()?, fields.next()?))
    });
    (version, each.collect())
}

#[test]
fn the_real_keepalived_says_what_is_recorded() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lvsd/tests/keepalived");
    let recorded = std::fs::read_to_string(corpus.join("verdicts.txt")).unwrap();
    let (_, recorded) = verdicts(&recorded);
    let script = corpus.join("verdicts.sh");
    let (version, said) = verdicts(&run(&["sh", script.to_str().unwrap()]));
    let valid: Vec<_> = said
        .iter()
        .filter(|(f, _)| f.starts_with("valid/"))
        .collect();
    assert!(valid.len() >= 60, "{version}: {said:?}");
    for (file, status) in valid {
        assert_eq!(status, "0", "{version}: {file}");
    }
    // Other versions may think otherwise of what is wrong. A death by a signal depends on luck.
    if version == "# keepalived 2.2.7" {
        let steady = |(_, status): &(&String, &String)| *status != "crash";
        for (file, status) in said.iter().filter(steady) {
            let known = recorded.get(file).map(String::as_str);
            assert!(
                known == Some(status) || known == Some("crash"),
                "{file}: {status}, not {known:?}"
            );
        }
    }
}
