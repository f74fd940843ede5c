//! What comes of files that are right and files that are wrong.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;

use super::super::diagnostic::{Diagnostic, Severity};
use super::super::host::{FakeHost, SystemHost};
use super::super::keywords::{Body, Kind, Value, everywhere};
use super::super::source;
use super::*;

fn tree(text: &str) -> (Node, Vec<Diagnostic>) {
    let host = FakeHost::default().with_file("/k.conf", text);
    let read = source::read("/k.conf".as_ref(), &source::Options::default(), &host);
    assert_eq!(read.diagnostics, [], "{text}");
    parse(&read)
}

/// The tree of a file of which nothing is said.
fn sound(text: &str) -> Node {
    let (root, diagnostics) = tree(text);
    assert_eq!(diagnostics, [], "{text}");
    root
}

/// Codes with their lines.
fn said(text: &str) -> Vec<(&'static str, u32)> {
    let (_, diagnostics) = tree(text);
    diagnostics.iter().map(|d| (d.code, d.span.line)).collect()
}

/// The only thing that is said.
fn only(text: &str) -> Diagnostic {
    let (_, diagnostics) = tree(text);
    match <[Diagnostic; 1]>::try_from(diagnostics) {
        Ok([diagnostic]) => diagnostic,
        Err(all) => panic!("{text}\n{all:#?}"),
    }
}

const SERVICE: &str = "\
virtual_server 192.0.2.10 443 {
    delay_loop 6
    lb_algo wrr
    lvs_method TUN type gue port 6080 csum
    protocol tcp
    persistence_timeout
    quorum_up \"/bin/up 'two words' three\" nobody :nogroup
    real_server 10.0.0.1 443 {
        weight 3
        SSL_GET {
            url {
                path /a
                status_code 200-204 301
                digest 000102030405060708090a0b0c0d0e0f
            }
            url {
                path /b
                regex 'a b\"c'
            }
            connect_timeout 1.5
            enable_sni
        }
    }
    real_server 10.0.0.2 443 {
        inhibit_on_failure off
        UDP_CHECK {
            payload 01 2 ff
            require_reply 0x
        }
    }
}
";

#[test]
fn arguments_are_values() {
    let root = sound(SERVICE);
    let service = root.child("virtual_server").unwrap();
    assert_eq!(service.addr(), Some("192.0.2.10".parse().unwrap()));
    assert_eq!(service.arg("PORT").and_then(Arg::int), Some(443));
    assert_eq!(
        service.child("delay_loop").unwrap().time(),
        Some(Duration::from_secs(6))
    );
    assert_eq!(service.child("lvs_sched").unwrap().text(), Some("wrr"));
    assert_eq!(service.child("protocol").unwrap().text(), Some("TCP"));
    assert_eq!(service.child("persistence_timeout").unwrap().int(), None);
    let method = service.child("lvs_method").unwrap();
    assert_eq!(method.text(), Some("TUN"));
    assert_eq!(method.option("type").unwrap().text(), Some("gue"));
    assert_eq!(method.option("port").unwrap().int(), Some(6080));
    assert!(method.option("csum").is_some() && method.option("nocsum").is_none());
    let up = service.child("quorum_up").unwrap().command().unwrap();
    assert_eq!(up.argv, ["/bin/up", "two words", "three"]);
    let user = up.user.as_ref().unwrap();
    assert_eq!(
        (user.user.as_str(), user.group.as_deref()),
        ("nobody", Some("nogroup"))
    );
    assert!(user.supplementary);

    let servers: Vec<&Node> = service.children("real_server").collect();
    let [first, second] = servers[..] else {
        panic!()
    };
    assert_eq!(first.child("weight").unwrap().int(), Some(3));
    let check = first.child("SSL_GET").unwrap();
    assert_eq!(check.flag("enable_sni"), Some(true));
    assert_eq!(check.flag("alpha"), None);
    let pages: Vec<&Node> = check.children("url").collect();
    let codes: Vec<_> = pages[0].child("status_code").unwrap().ranges().collect();
    assert_eq!(codes, [(200, 204), (301, 301)]);
    assert_eq!(pages[0].child("digest").unwrap().bytes()[15], (15, 255));
    assert_eq!(pages[1].child("regex").unwrap().text(), Some("a b\"c"));
    assert_eq!(second.flag("inhibit_on_failure"), Some(false));
    let udp = second.child("UDP_CHECK").unwrap();
    let payload = [(1, 255), (2, 255), (255, 255)];
    assert_eq!(udp.child("payload").unwrap().bytes(), payload);
    assert_eq!(udp.child("require_reply").unwrap().bytes(), [(0, 0xf0)]);
}

#[test]
fn lines_and_words_are_items() {
    let (root, diagnostics) = tree(
        "vrrp_instance A {
            virtual_ipaddress {
                10.0.0.1/24 dev eth0 label eth0:1
                fd00::1 -nodad
            }
            virtual_routes {
                src 10.0.0.1 to 10.1.0.0/16 via 10.0.0.254 mtu lock 1400
                blackhole 10.2.0.0/16
                default nexthop via 10.0.0.2 weight 1 nexthop via 10.0.0.3 weight 2
            }
            track_interface {
                eth0 weight -20 reverse
            }
        }
        vrrp_sync_group G {
            group {
                A B
                C
            }
        }
        virtual_server_group V {
            10.0.0.1-3 80
            fwmark 7 inet6
        }",
    );
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    let instance = root.child("vrrp_instance").unwrap();
    assert_eq!(instance.text(), Some("A"));
    let vips = &instance.child("virtual_ipaddress").unwrap().items;
    assert_eq!(
        vips[0].args[0].value,
        Value::Prefix("10.0.0.1".parse().unwrap(), Some(24))
    );
    assert_eq!(vips[0].option("label").unwrap().text(), Some("eth0:1"));
    assert!(vips[1].option("-nodad").is_some());
    let routes = &instance.child("virtual_routes").unwrap().items;
    assert_eq!(
        routes[0].option("src").unwrap().addr(),
        Some("10.0.0.1".parse().unwrap())
    );
    assert_eq!(routes[0].option("mtu").unwrap().int(), Some(1400));
    assert!(routes[0].option("mtu").unwrap().arg("LOCK").is_some());
    assert_eq!(routes[1].text(), Some("blackhole"));
    let weights: Vec<_> = routes[2].options.iter().filter_map(Given::int).collect();
    assert_eq!(weights, [1, 2]);
    let tracked = &instance.child("track_interface").unwrap().items[0];
    let weight = tracked.option("weight").unwrap();
    assert_eq!((weight.int(), weight.text()), (Some(-20), Some("reverse")));
    let group = &root
        .child("vrrp_sync_group")
        .unwrap()
        .child("group")
        .unwrap()
        .items;
    assert_eq!(
        group.iter().map(|w| w.text().unwrap()).collect::<Vec<_>>(),
        ["A", "B", "C"]
    );
    let group = &root.child("virtual_server_group").unwrap().items;
    let addr = |text: &str| text.parse::<IpAddr>().unwrap();
    assert_eq!(
        group[0].args[0].value,
        Value::Addrs(addr("10.0.0.1"), addr("10.0.0.3"))
    );
    assert_eq!((group[1].lead(), group[1].int()), ("fwmark", Some(7)));
}

#[test]
fn forms_are_chosen_by_their_first_word() {
    let root = sound("global_defs {\n lvsd_http /run/x\n}\nglobal_defs {\n lvsd_http ::1 80\n}\n");
    let both: Vec<&Node> = root.children("global_defs").collect();
    assert_eq!(both[0].child("lvsd_http").unwrap().text(), Some("/run/x"));
    assert_eq!(both[1].child("lvsd_http").unwrap().int(), Some(80));
    assert_eq!(
        said("global_defs {\n lvsd_http ::1\n}\n"),
        [("missing-argument", 2)]
    );
    assert_eq!(
        said("global_defs {\n lvsd_http run/x\n}\n"),
        [("bad-value", 2)]
    );
    let (root, _) = tree("virtual_server group G {\n}\nvirtual_server fwmark 7 {\n}\n");
    let heads: Vec<&str> = root.children("virtual_server").map(|n| n.lead()).collect();
    assert_eq!(heads, ["group", "fwmark"]);
}

#[test]
fn an_unknown_block_is_skipped_and_nothing_else() {
    let (root, diagnostics) = tree(
        "virtual_server 192.0.2.1 80 {
            lvs_sched rr
            new_block {
                weight 7
                inner { quorum 9 }
            }
            quorum 2
        }
        virtual_server 192.0.2.2 80 { }",
    );
    assert_eq!(diagnostics.len(), 1);
    assert_eq!(
        (diagnostics[0].code, diagnostics[0].span.line),
        ("unknown-keyword", 3)
    );
    assert!(diagnostics[0].tolerated);
    let service = root.child("virtual_server").unwrap();
    assert_eq!(service.addr(), Some("192.0.2.2".parse().unwrap()));
    let first = root.children("virtual_server").next().unwrap();
    assert_eq!(first.child("quorum").unwrap().int(), Some(2));
    assert!(first.child("weight").is_none() && first.is_damaged());
}

#[test]
fn what_was_meant_is_guessed() {
    for (text, code, help) in [
        (
            "virtual_sever 192.0.2.1 80 {\n}\n",
            "unknown-keyword",
            "`virtual_server`",
        ),
        (
            "global_defs {\n ROUTER_ID x\n}\n",
            "unknown-keyword",
            "`router_id`",
        ),
        (
            "global_defs {\n lvs_sched rr\n}\n",
            "misplaced-keyword",
            "in `virtual_server`",
        ),
        ("router_id x\n", "misplaced-keyword", "in `global_defs`"),
        (
            "global_defs {\n include_chek read\n}\n",
            "unknown-keyword",
            "`include_check`",
        ),
        (
            "SSL {\n virtual_ruter_id 1\n}\n",
            "unknown-keyword",
            "in `vrrp_instance`",
        ),
        ("// a comment\n", "unknown-keyword", "`#`"),
    ] {
        let diagnostic = only(text);
        assert_eq!(diagnostic.code, code, "{text}");
        assert!(
            diagnostic.help.as_ref().unwrap().contains(help),
            "{diagnostic:?}"
        );
        assert_eq!(diagnostic.severity, Severity::Error);
    }
    assert_eq!(only("frobnicate\n").help, None);
}

#[test]
fn a_wrong_line_is_left_out_and_remembered() {
    let (root, diagnostics) =
        tree("virtual_server 192.0.2.1 80 {\n quorum 0\n real_sever x {\n}\n}\n");
    assert_eq!(diagnostics.len(), 2);
    let service = root.child("virtual_server").unwrap();
    assert!(service.child("quorum").is_none());
    assert!(service.tried("quorum") && service.tried("real_server") && service.is_damaged());
    assert!(!service.tried("lvs_sched"));
    // What is in a block whose head is wrong is checked all the same.
    let text = "virtual_server 192.0.2 80 {\n quorum 0\n}\n";
    assert_eq!(said(text), [("bad-value", 1), ("out-of-range", 2)]);
    let (root, _) = tree(text);
    assert!(root.tried("virtual_server") && root.child("virtual_server").is_none());
}

#[test]
fn wrong_arguments_are_told_apart() {
    for (line, code, tolerated) in [
        ("delay_loop", "missing-argument", false),
        ("delay_loop x", "bad-number", true),
        ("delay_loop 0", "out-of-range", true),
        ("delay_loop 5 6", "surplus-argument", false),
        ("lvs_sched wcl", "bad-value", true),
        ("lvs_sched = rr", "bad-value", true),
        ("ha_suspend on", "surplus-argument", false),
        ("omega maybe", "surplus-argument", false),
        ("alpha maybe", "bad-value", true),
        ("lvs_method TUN typ gre", "unknown-option", true),
        ("lvs_method TUN type", "missing-argument", true),
        (
            "lvs_method TUN type gre type ipip",
            "repeated-option",
            false,
        ),
        ("lvs_method TUN type gue", "bad-tunnel", true),
        ("lvs_method TUN type gre port 5", "bad-tunnel", true),
        ("lvs_method TUN type gre remcsum", "bad-tunnel", true),
        ("lvs_method TUN csum", "bad-tunnel", true),
        ("lvs_method TUN port 5", "bad-tunnel", true),
        ("lvs_method NAT type ipip", "bad-tunnel", true),
        ("quorum_up", "missing-argument", false),
        ("quorum_up \"\"", "missing-argument", false),
        ("quorum_up '/bin/x \"'", "bad-command", true),
        ("quorum_up /bin/x a b c", "surplus-argument", false),
        ("virtualhost \"x", "unclosed-quote", true),
    ] {
        let diagnostic = only(&format!("virtual_server fwmark 1 {{\n {line}\n}}\n"));
        assert_eq!(
            (diagnostic.code, diagnostic.tolerated),
            (code, tolerated),
            "{line}"
        );
        assert_eq!(diagnostic.span.line, 2);
    }
}

#[test]
fn tunnels_that_exist_are_taken() {
    for method in [
        "NAT",
        "TUN",
        "TUN type ipip",
        "TUN type gre csum",
        "TUN type gue port 5 remcsum",
    ] {
        sound(&format!(
            "virtual_server fwmark 1 {{\n lvs_method {method}\n}}\n"
        ));
    }
}

#[test]
fn a_word_that_may_be_missing_is_not_blamed_for_the_next() {
    let line = |line: &str| format!("global_defs {{\n {line}\n}}\n");
    assert_eq!(only(&line("vrrp_garp_extra_if 86401")).code, "out-of-range");
    let (root, _) = tree(&line("vrrp_garp_extra_if all 5"));
    let extra = root
        .child("global_defs")
        .unwrap()
        .child("vrrp_garp_extra_if")
        .unwrap();
    assert_eq!((extra.text(), extra.int()), (Some("all"), Some(5)));
}

#[test]
fn nothing_is_missed_in_a_block_that_is_missing() {
    let (root, diagnostics) = tree("virtual_server fwmark 1\n");
    assert_eq!(
        (diagnostics.len(), diagnostics[0].code),
        (1, "missing-block")
    );
    let service = root.child("virtual_server").unwrap();
    assert!(service.tried("lvs_sched") && service.is_damaged());
}

#[test]
fn numbers_with_a_tail_count_as_keepalived_counts_them() {
    let (root, diagnostics) = tree("virtual_server fwmark 1 {\n quorum 10abc\n}\n");
    assert!(diagnostics[0].tolerated && diagnostics[0].code == "bad-number");
    let service = root.child("virtual_server").unwrap();
    assert_eq!(service.child("quorum").unwrap().int(), Some(10));
}

#[test]
fn what_is_given_twice_counts_once() {
    let (root, diagnostics) = tree(
        "virtual_server fwmark 1 {
            lvs_sched rr
            lb_algo wrr
            quorum_up /bin/a
            quorum_up /bin/b
        }",
    );
    let codes: Vec<_> = diagnostics.iter().map(|d| (d.code, d.span.line)).collect();
    assert_eq!(codes, [("repeated-keyword", 3), ("repeated-keyword", 5)]);
    let service = root.child("virtual_server").unwrap();
    assert_eq!(service.children("lvs_sched").count(), 1);
    assert_eq!(service.child("lvs_sched").unwrap().text(), Some("wrr"));
    assert_eq!(service.children("quorum_up").count(), 1);
    assert_eq!(
        service.child("quorum_up").unwrap().command().unwrap().argv,
        ["/bin/a"]
    );
}

#[test]
fn order_matters_where_keepalived_says_so() {
    let text = "virtual_server fwmark 1 {\n sh-port\n lvs_sched sh\n sh-fallback\n}\n";
    assert_eq!(said(text), [("order", 2)]);
}

#[test]
fn old_spellings_and_tutorials_work() {
    for (block, line, code) in [
        ("global_defs", "smtp_connection_timeout 30", "old-spelling"),
        ("global_defs", "lvs_id LVS_1", "old-spelling"),
        ("global_defs", "lvs_flush_onstop", "old-spelling"),
        (
            "virtual_server fwmark 1",
            "nat_mask 255.255.255.0",
            "removed-keyword",
        ),
        ("real_server 10.0.0.1 80", "lb_kind DR", "old-spelling"),
        ("TCP_CHECK", "nb_get_retry 3", "old-spelling"),
        ("vrrp_instance A", "debug", "removed-keyword"),
        ("vrrp_instance A", "native_ipv6", "removed-keyword"),
        ("vrrp_instance A", "vmac_garp_intvl 5", "old-spelling"),
        ("global_defs", "enable_traps", "no-effect"),
    ] {
        let around = match block {
            "real_server 10.0.0.1 80" => vec!["virtual_server fwmark 1"],
            "TCP_CHECK" => {
                vec!["virtual_server fwmark 1", "real_server 10.0.0.1 80"]
            }
            _ => vec![],
        };
        let open: String = around.iter().map(|b| format!("{b} {{\n")).collect();
        let text = format!(
            "{open}{block} {{\n{line}\n}}\n{}",
            "}\n".repeat(around.len())
        );
        let (_, diagnostics) = tree(&text);
        let warned = diagnostics
            .iter()
            .any(|d| d.code == code && d.help.is_some());
        assert!(warned, "{line}: {diagnostics:?}");
        let sound = diagnostics.iter().all(|d| d.severity == Severity::Warning);
        assert!(sound, "{line}: {diagnostics:?}");
    }
    sound("virtual_server fwmark 1 {\n lb_kind FULLNAT\n persistence_timeout 0\n}\n");
    sound(
        "virtual_server fwmark 1 {\n lvs_method FNAT\n lvsd_local_address 10.0.0.9 1024-2048\n}\n",
    );
    sound("virtual_server fwmark 1 {\n lvsd_rise 3\n lvsd_keep_flows\n}\n");
}

#[test]
fn blocks_that_are_none_are_said_to_be() {
    assert_eq!(said("SSL\n"), [("missing-block", 1)]);
    assert_eq!(
        said("SSL {\n ca x {\n key y\n }\n key z\n}\n"),
        [("unexpected-block", 2)]
    );
    assert_eq!(said("{\n key y\n}\nSSL {\n}\n"), [("unexpected-block", 1)]);
    assert_eq!(
        said("global_defs {\n notification_email {\n }\n}\n"),
        [("empty-block", 2)]
    );
    assert_eq!(said("virtual_server_group G {\n}\n"), []);
    let (root, diagnostics) = tree("SSL (\n ca x\n)\nglobal_defs {\n}\n");
    assert_eq!(diagnostics.len(), 1);
    assert_eq!(
        root.child("SSL").unwrap().child("ca").unwrap().text(),
        Some("x")
    );
    assert!(root.child("global_defs").is_some());
}

/// A file in which every block is indented, of right keywords only.
const INDENTED: &str = "\
global_defs {
    notification_email {
        a@example.org
    }
    router_id x
}
virtual_server fwmark 1 {
    lvs_sched rr
    real_server 10.0.0.1 80 {
        weight 2
        TCP_CHECK {
            connect_port 81
        }
        HTTP_GET {
            url {
                path /
            }
            retry 2
        }
    }
    real_server 10.0.0.2 80 {
        weight 3
    }
    quorum 1
}
SSL {
    key x
}
";

#[test]
fn one_brace_too_few_is_one_error() {
    sound(INDENTED);
    for (n, line) in INDENTED.lines().enumerate() {
        let without = match line.trim() {
            "}" => String::new(),
            text if text.ends_with('{') => line.trim_end_matches('{').to_owned(),
            _ => continue,
        };
        let text: Vec<&str> = INDENTED
            .lines()
            .enumerate()
            .map(|(m, l)| if m == n { without.as_str() } else { l })
            .collect();
        let text = text.join("\n");
        let (_, diagnostics) = tree(&text);
        let codes: Vec<_> = diagnostics.iter().map(|d| d.code).collect();
        let wanted = if line.contains('}') {
            "unclosed-block"
        } else {
            "missing-block"
        };
        assert_eq!(codes, [wanted], "line {}:\n{text}\n{diagnostics:#?}", n + 1);
    }
}

#[test]
fn one_brace_too_many_is_one_error() {
    for (n, line) in INDENTED.lines().enumerate() {
        if line.trim() != "}" {
            continue;
        }
        let mut lines: Vec<&str> = INDENTED.lines().collect();
        lines.insert(n, line);
        let text = lines.join("\n");
        let (_, diagnostics) = tree(&text);
        let codes: Vec<_> = diagnostics.iter().map(|d| d.code).collect();
        assert_eq!(
            codes,
            ["surplus-brace"],
            "line {}:\n{text}\n{diagnostics:#?}",
            n + 1
        );
    }
}

#[test]
fn braces_are_guessed_without_indentation_too() {
    let flat: Vec<&str> = INDENTED.lines().map(str::trim).collect();
    for (n, line) in flat.iter().enumerate().filter(|(_, l)| **l == "}") {
        for text in [
            [&flat[..n], &flat[n + 1..]].concat(),
            [&flat[..n], &[line], &flat[n..]].concat(),
        ] {
            let text = text.join("\n");
            let (_, diagnostics) = tree(&text);
            // Not always what was meant, but never an avalanche.
            assert!(
                matches!(diagnostics.len(), 1..=3),
                "{text}\n{diagnostics:#?}"
            );
            let about_braces = ["unclosed-block", "surplus-brace"];
            assert!(
                diagnostics.iter().any(|d| about_braces.contains(&d.code)),
                "{text}"
            );
        }
    }
}

/// The texts of all files of the corpus, broken ones too.
fn corpus() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keepalived");
    let kinds = ["valid", "newer", "tutorials", "broken"].map(|kind| folder.join(kind));
    let files = kinds
        .into_iter()
        .flat_map(|k| std::fs::read_dir(k).unwrap());
    let texts = files.filter_map(|f| std::fs::read_to_string(f.unwrap().path()).ok());
    texts.filter(|text| text.len() < 10_000).collect()
}

#[test]
fn right_files_have_no_errors() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keepalived");
    let mut files = 0;
    for kind in ["valid", "newer", "tutorials"] {
        for entry in std::fs::read_dir(folder.join(kind)).unwrap() {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            // What is in the environment, nobody knows here.
            if path.extension().is_none_or(|e| e != "conf") || text.contains("${_ENV") {
                continue;
            }
            let asked = text.split_once("lvsd-test: --config-id ");
            let id = asked.and_then(|(_, rest)| rest.split_whitespace().next());
            let options = source::Options {
                config_id: id.unwrap_or("main").to_owned(),
                ..source::Options::default()
            };
            let read = source::read(&path, &options, &SystemHost);
            let (_, diagnostics) = parse(&read);
            let errors = diagnostics.iter().filter(|d| d.severity == Severity::Error);
            let errors: Vec<_> = errors.collect();
            assert!(errors.is_empty(), "{}: {errors:#?}", path.display());
            files += 1;
        }
    }
    assert!(files > 120, "{files}");
}

/// Words that a line may consist of: names of the tables, values, rubbish.
fn words() -> impl Strategy<Value = String> {
    let mut names: Vec<&'static str> = Vec::new();
    for place in everywhere() {
        names.push(place.keyword.name);
        names.extend(place.keyword.old.iter().map(|o| o.name));
        let lines: &[Form] = match place.keyword.body {
            Body::Lines(forms) => forms,
            _ => &[],
        };
        for form in place.keyword.forms().chain(lines) {
            names.extend(form.options.iter().map(|o| o.name));
            names.extend(form.params.iter().flat_map(|p| p.kind.words()));
        }
    }
    let table = prop::sample::select(names).prop_map(str::to_owned);
    let values = prop::sample::select(vec![
        "1",
        "0",
        "-1",
        "1.5",
        "10.0.0.1",
        "fd00::1/64",
        "10.0.0.1-9",
        "{",
        "}",
        "}",
        "\"",
        "'",
        "=",
        "\u{ff5b}",
    ]);
    prop_oneof![
        8 => table,
        4 => values.prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

proptest! {
    #[test]
    fn nothing_breaks_it(lines in prop::collection::vec(prop::collection::vec(words(), 0..6), 0..60)) {
        let text: Vec<String> = lines.iter().map(|words| words.join(" ")).collect();
        let host = FakeHost::default().with_file("/k.conf", text.join("\n"));
        let read = source::read("/k.conf".as_ref(), &source::Options::default(), &host);
        let (root, diagnostics) = parse(&read);
        for d in &diagnostics {
            prop_assert!(!d.message.is_empty());
            prop_assert!(d.span.start <= d.span.end);
        }
        check(&root)?;
    }

    #[test]
    fn mutated_files_are_read_to_their_end(
        text in prop::sample::select(corpus()),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..6_u8, words()), 1..8),
    ) {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        for (index, edit, word) in edits {
            if lines.is_empty() {
                break;
            }
            let at = index.index(lines.len());
            let line = lines[at].clone();
            match edit {
                0 => { lines.remove(at); }
                1 => lines.insert(at, line),
                2 => lines.insert(at, word),
                3 => lines[at] = format!("{line} {word}"),
                4 => lines[at] = line.replace(['{', '}'], ""),
                _ => lines[at] = line.split_whitespace().rev().collect::<Vec<_>>().join(" "),
            }
        }
        let host = FakeHost::default().with_file("/k.conf", lines.join("\n"));
        let read = source::read("/k.conf".as_ref(), &source::Options::default(), &host);
        let (root, diagnostics) = parse(&read);
        check(&root)?;
        for d in &diagnostics {
            prop_assert!(d.span.line as usize <= lines.len() && d.span.start <= d.span.end, "{d:?}");
        }
    }

    #[test]
    fn nothing_breaks_the_reading_of_words(word in any::<String>()) {
        for place in everywhere() {
            for param in place.keyword.forms().flat_map(|f| f.params) {
                let _ = param.kind.read(&word);
            }
        }
    }
}

/// That what is in a tree is as the tables say.
fn check(node: &Node) -> Result<(), TestCaseError> {
    for child in &node.body {
        prop_assert!(node.keyword.child(child.keyword.name).is_some());
        for arg in &child.args {
            prop_assert!(child.form.params.iter().any(|p| p.name == arg.param.name));
            if let (Kind::Int { min, max }, Value::Int(value)) = (arg.param.kind, &arg.value) {
                prop_assert!((min..=max).contains(value));
            }
        }
        check(child)?;
    }
    Ok(())
}
