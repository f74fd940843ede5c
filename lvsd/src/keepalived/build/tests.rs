//! What a file says, as the model has it.

use std::path::Path;

use crate::keepalived::host::FakeHost;
use crate::keepalived::model::Config;
use crate::keepalived::{Options, load};

const FILE: &str = "/etc/keepalived/keepalived.conf";

fn config(text: &str) -> Config {
    let host = FakeHost::default().with_file(FILE, text);
    let loaded = load(Path::new(FILE), &Options::default(), &host);
    assert!(!loaded.is_refused(), "{:?}", loaded.diagnostics);
    loaded.config
}

/// Whom the checks of a server at 10.0.0.25:25 ask, from where, and how long they wait.
fn asked(check: &str) -> Vec<String> {
    let config = config(&format!(
        "virtual_server 192.0.2.10 25 {{\n protocol TCP\n real_server 10.0.0.25 25 {{\n {check}\n }}\n}}"
    ));
    let checks = config.services.iter().flat_map(|v| &v.servers);
    let checks = checks.flat_map(|s| &s.checks).map(|c| {
        let (target, timeout) = (&c.check.target, c.check.timing.timeout.as_secs());
        let source = target
            .source
            .map_or_else(|| "-".to_owned(), |ip| ip.to_string());
        format!("{} {source} {timeout} {:?}", target.addr, c.check.kind)
    });
    checks.map(|c| c.replace("helo: ", "")).collect()
}

#[test]
fn smtp_checks_ask_each_of_their_hosts() {
    for (check, expected) in [
        (
            "SMTP_CHECK {\n connect_port 26\n helo_name me\n}",
            vec!["10.0.0.25:26 - 5 Smtp { \"me\" }"],
        ),
        (
            "SMTP_CHECK {\n helo_name me\n host {\n connect_port 2525\n }\n}",
            vec!["10.0.0.25:2525 - 5 Smtp { \"me\" }"],
        ),
        (
            "SMTP_CHECK {\n helo_name me\n connect_timeout 6\n connect_ip 10.0.0.9\n bindto 10.0.0.1\n host {\n }\n \
             host {\n connect_ip 10.0.0.8\n connect_port 587\n bindto 10.0.0.2\n connect_timeout 2\n }\n}",
            vec![
                "10.0.0.9:25 10.0.0.1 6 Smtp { \"me\" }",
                "10.0.0.8:587 10.0.0.2 2 Smtp { \"me\" }",
            ],
        ),
    ] {
        assert_eq!(asked(check), expected, "{check}");
    }
}

#[test]
fn vrrp_of_the_file_that_rhel_installs() {
    let config = config(
        "global_defs {\n vrrp_garp_interval 0\n vrrp_gna_interval 0\n vrrp_strict\n}\n\
         virtual_server 192.0.2.10 25 {\n protocol TCP\n real_server 10.0.0.25 25 {\n }\n}",
    );
    assert!(config.vrrp.common.garp_interval.is_zero());
    assert!(config.vrrp.common.na_interval.is_zero());
}
