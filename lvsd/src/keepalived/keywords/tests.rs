//! What must hold of all tables.

use std::collections::HashSet;

use super::*;

/// All forms that lines with, or in, a keyword can have.
fn forms(k: &'static Keyword) -> Vec<Form> {
    let inside: Vec<Form> = match k.body {
        Body::None | Body::Block(_) => Vec::new(),
        Body::Lines(forms) => forms.to_vec(),
        Body::List(form) => vec![form],
    };
    k.forms().copied().chain(inside).collect()
}

#[test]
fn every_keyword_says_what_it_is() {
    for place in everywhere() {
        let k = place.keyword;
        assert!(
            k.about.ends_with('.') && k.about.len() > 5,
            "{}: {:?}",
            k.name,
            k.about
        );
        assert!(!k.about.contains("  "), "{}", k.name);
        for old in k.old {
            assert!(old.note.len() > 10, "{}: {}", k.name, old.name);
        }
        let reason = match k.effect {
            Effect::Works => "it does what it says",
            Effect::Later(why) if why.len() < 30 => "it waits for something",
            Effect::Later(why)
            | Effect::Nothing(why)
            | Effect::Harmless(why)
            | Effect::Removed(why) => why,
        };
        assert!(reason.len() > 12, "{}: {reason}", k.name);
    }
}

#[test]
fn names_are_unique_in_their_block() {
    let blocks = everywhere().iter().map(|p| p.keyword).chain([&WHOLE]);
    for block in blocks {
        let mut seen = HashSet::new();
        for k in block.keywords() {
            let old = k.old.iter().map(|o| o.name);
            for name in k.also.iter().copied().chain(old).chain([k.name]) {
                assert!(seen.insert(name), "{name} is twice in {}", block.name);
            }
        }
        for k in block.keywords().filter(|k| !k.after.is_empty()) {
            assert!(
                block.child(k.after).is_some(),
                "{} after {}",
                k.name,
                k.after
            );
        }
    }
}

#[test]
fn forms_can_be_told_apart_and_read() {
    for place in everywhere() {
        let k = place.keyword;
        for form in forms(k) {
            let mut names = HashSet::new();
            for option in form.options {
                for name in option.also.iter().copied().chain([option.name]) {
                    assert!(
                        names.insert(name),
                        "{name} is an option of {} twice",
                        k.name
                    );
                }
                assert!(!option.about.is_empty(), "{} of {}", option.name, k.name);
            }
            let endless = |p: &Param| matches!(p.need, Need::Many | Need::Some);
            let all_but_last = form.params.split_last().map_or(&[][..], |(_, rest)| rest);
            assert!(!all_but_last.iter().any(endless), "{}", k.name);
            let command = |p: &Param| matches!(p.kind, Kind::Command { .. });
            assert!(!form.params.iter().skip(1).any(command), "{}", k.name);
            for param in form.params {
                assert!(!param.kind.describe().is_empty(), "{}", k.name);
                assert!(!param.name.is_empty() && param.name == param.name.to_uppercase());
            }
        }
        let leads: HashSet<&str> = k.forms().map(|f| f.lead).collect();
        let unnamed = k.forms().filter(|f| f.lead.is_empty()).count();
        assert_eq!(leads.len() + unnamed - 1, k.forms().count(), "{}", k.name);
    }
}

/// Words that stand where a value could, and are none.
const PROSE: [&str; 5] = ["needed", "none", "nobody", "nowhere", "off"];

#[test]
fn defaults_are_legal_values() {
    let mut read = 0;
    for place in everywhere() {
        let k = place.keyword;
        let value = k.default.split([';', ',']).next().unwrap_or_default();
        let prose = value.is_empty() || value.contains([' ', '`']);
        if prose || PROSE.contains(&value) && !takes_bool(k) {
            continue;
        }
        let kinds: Vec<Kind> = forms(k)
            .iter()
            .flat_map(|f| f.params)
            .map(|p| p.kind)
            .collect();
        assert!(
            kinds.iter().any(|kind| kind.read(value).is_ok()),
            "{}: {value}",
            k.name
        );
        read += 1;
    }
    assert!(read > 100, "{read}");
}

fn takes_bool(k: &Keyword) -> bool {
    k.form.params.iter().any(|p| matches!(p.kind, Kind::Bool))
}

#[test]
fn all_of_the_language_is_there() {
    let all = everywhere();
    assert!(all.len() > 500, "{}", all.len());
    let blocks = all.iter().filter(|p| !matches!(p.keyword.body, Body::None));
    assert!(blocks.count() > 40);
    for (path, name) in [
        ("", "includea"),
        ("global_defs", "vrrp_netlink_cmd_rcv_bufs_force"),
        ("SSL_GET", "lvsd_tls_verify"),
        ("url", "regex_stack"),
        ("FILE_CHECK", "track_file"),
        ("auth_hmac", "anti_replay"),
        ("garp_group", "interfaces"),
        ("vrrp_sync_group", "track_bfd"),
    ] {
        let there = |p: &&Place| p.keyword.name == name;
        let block = |p: &Place| path.is_empty() || p.block().name == path;
        assert!(all.iter().filter(there).any(block), "{path}/{name}");
    }
}

#[test]
fn old_names_lead_to_new_ones() {
    for (block, old, new) in [
        ("global_defs", "lvs_id", "router_id"),
        (
            "global_defs",
            "smtp_connection_timeout",
            "smtp_connect_timeout",
        ),
        ("global_defs", "lvs_flush_onstop", "lvs_flush_on_stop"),
        ("global_defs", "vrrp_vmac_garp_intvl", "vrrp_garp_extra_if"),
        ("global_defs", "bfd_rlimit_rtime", "bfd_rlimit_rttime"),
        ("TCP_CHECK", "nb_get_retry", "retry"),
        ("MISC_CHECK", "nb_get_retry", "retry"),
        ("real_server", "nb_get_retry", "retry"),
        ("real_server", "lb_kind", "lvs_method"),
        (
            "vrrp_instance",
            "thread_timer_expired",
            "timer_expired_backup",
        ),
        (
            "vrrp_sync_group",
            "global_tracking",
            "sync_group_tracking_weight",
        ),
    ] {
        let mut found = named(old).filter(|(place, _)| place.block().name == block);
        let (place, note) = found.next().unwrap();
        assert_eq!(place.keyword.name, new);
        assert!(note.is_some(), "{old}");
    }
    // As good as the new one.
    let (_, note) = named("lb_algo").next().unwrap();
    assert!(note.is_none());
}

#[test]
fn words_are_read_as_their_kind() {
    use std::time::Duration;
    let endless = Kind::Time {
        min: 1,
        max: words::FOREVER,
        places: 6,
    };
    let v4 = |text: &str| text.parse::<std::net::IpAddr>().unwrap();
    for (kind, word, value) in [
        (words::PORT, "65535", Value::Int(65_535)),
        (endless, "1.5", Value::Time(Duration::from_millis(1_500))),
        (Kind::Bool, "yes", Value::Bool(true)),
        (Kind::Addr, "2001:db8::1", Value::Addr(v4("2001:db8::1"))),
        (
            Kind::Host,
            "mail.example.org",
            Value::Text("mail.example.org".to_owned()),
        ),
        (
            Kind::Prefix,
            "10.0.0.1/8",
            Value::Prefix(v4("10.0.0.1"), Some(8)),
        ),
        (
            Kind::Addrs,
            "10.0.0.1-9",
            Value::Addrs(v4("10.0.0.1"), v4("10.0.0.9")),
        ),
        (
            Kind::Addrs,
            "10.0.0.0/30",
            Value::Addrs(v4("10.0.0.0"), v4("10.0.0.3")),
        ),
        (
            Kind::Addrs,
            "10.0.0.1-10.0.2.0",
            Value::Addrs(v4("10.0.0.1"), v4("10.0.2.0")),
        ),
        (
            Kind::Addrs,
            "fd00::fffe-ffff",
            Value::Addrs(v4("fd00::fffe"), v4("fd00::ffff")),
        ),
        (
            Kind::Mask,
            "255.255.240.0",
            Value::Addr(v4("255.255.240.0")),
        ),
        (
            Kind::Mac,
            "02:0:5e:00:1",
            Value::Mac(vec![2, 0, 0x5e, 0, 1]),
        ),
        (Kind::AnyCase(&["TCP"]), "tcp", Value::Name("TCP")),
        (
            Kind::Hex {
                wild: false,
                bytes: 0,
            },
            "0aF 1",
            Value::Bytes(vec![(0x0a, 255), (0x0f, 255), (1, 255)]),
        ),
        (
            Kind::Hex {
                wild: true,
                bytes: 0,
            },
            "x1",
            Value::Bytes(vec![(1, 0x0f)]),
        ),
        (
            Kind::Range { min: 100, max: 599 },
            "200-299",
            Value::Range(200, 299),
        ),
        (Kind::Masked, "0x10/0xff", Value::Masked(16, Some(255))),
        (Kind::Mode, "0177", Value::Int(0o177)),
        (Kind::Mode, "IRWXG|IXOTH", Value::Int(0o071)),
        (
            Kind::Millis {
                min: 1,
                max: 10_000,
            },
            "1.5",
            Value::Time(Duration::from_micros(1_500)),
        ),
    ] {
        assert_eq!(kind.read(word), Ok(value), "{word}");
    }
}

#[test]
fn wrong_words_are_explained() {
    let endless = Kind::Time {
        min: 1,
        max: words::FOREVER,
        places: 6,
    };
    for (kind, word, code, help) in [
        (words::PORT, "0", "out-of-range", ""),
        (words::PORT, "http", "bad-number", ""),
        (endless, "3s", "bad-number", "write `3`"),
        (endless, "500ms", "bad-number", "seconds"),
        (endless, "0", "out-of-range", ""),
        (Kind::Bool, "On", "bad-value", "`on`"),
        (Kind::Addr, "10.0.0.1:80", "bad-value", "`10.0.0.1 80`"),
        (Kind::Addr, "10.0.0.1/24", "bad-value", "`10.0.0.1`"),
        (Kind::Addr, "[fd00::1]", "bad-value", "`fd00::1`"),
        (Kind::Addr, "10.0.0.999", "bad-value", ""),
        (Kind::Host, "10.0.0.999", "bad-value", ""),
        (
            Kind::Prefix,
            "10.0.0.1/255.0.0.0",
            "bad-value",
            "`10.0.0.1/8`",
        ),
        (Kind::Prefix, "10.0.0.1/33", "bad-value", ""),
        (Kind::Addrs, "10.0.0.9-1", "bad-value", ""),
        (Kind::Addrs, "10.0.0.1/24", "bad-value", "`10.0.0.0/24`"),
        (Kind::Mask, "255.0.255.0", "bad-value", ""),
        (Kind::Mac, "02:00:5e", "bad-value", ""),
        (Kind::Interface, "eth0:1", "bad-value", "`eth0`"),
        (Kind::Interface, "10.0.0.1", "bad-value", ""),
        (Kind::Interface, "a-much-too-long-name", "bad-value", ""),
        (Kind::OneOf(&["wlc", "rr"]), "wcl", "bad-value", "`wlc`"),
        (
            Kind::Hex {
                wild: false,
                bytes: 16,
            },
            "00",
            "bad-value",
            "",
        ),
        (
            Kind::Hex {
                wild: false,
                bytes: 0,
            },
            "0x10",
            "bad-value",
            "",
        ),
        (
            Kind::Range { min: 100, max: 599 },
            "200-700",
            "out-of-range",
            "",
        ),
        (
            Kind::Range { min: 100, max: 599 },
            "299-200",
            "bad-value",
            "",
        ),
        (Kind::Mode, "0999", "bad-value", ""),
        (Kind::Path, "run/x", "bad-value", ""),
        (Kind::UrlPath, "index.html", "bad-value", "`/index.html`"),
        (Kind::UrlPath, "http://10.0.0.1/a/b", "bad-value", "`/a/b`"),
    ] {
        let fault = kind.read(word).unwrap_err();
        assert_eq!(fault.code, code, "{word}: {fault:?}");
        let told = fault.help.unwrap_or_default();
        assert!(
            told.contains(help) && told.is_empty() == help.is_empty(),
            "{word}: {told}"
        );
    }
}

#[test]
fn what_keepalived_makes_of_wrong_words_is_known() {
    let fault = words::PORT.read("80x").unwrap_err();
    assert_eq!(fault.usable.as_deref(), Some(&Value::Int(80)));
    let fault = Kind::Prefix.read("10.0.0.1/40").unwrap_err();
    assert!(matches!(
        fault.usable.as_deref(),
        Some(Value::Prefix(_, None))
    ));
    assert_eq!(words::PORT.read("70000").unwrap_err().usable, None);
}
