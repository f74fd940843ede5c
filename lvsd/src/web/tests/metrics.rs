//! What the metrics say.

use std::collections::HashMap;

use proptest::prelude::*;

use super::super::openmetrics::{Labels, Text, Value, gauge};
use super::strict::{self, Family};
use super::*;

/// The families of an endpoint's metrics, by name.
fn metrics(bench: &Bench) -> HashMap<String, Family> {
    let (status, text) = bench.get("/metrics");
    assert_eq!(status, 200);
    let families = strict::read(&text).unwrap_or_else(|why| panic!("{why}\n{text}"));
    families.into_iter().map(|f| (f.name.clone(), f)).collect()
}

/// A family's samples as `LABEL,LABEL VALUE`, the labels' values in the order of their names.
fn samples(families: &HashMap<String, Family>, name: &str) -> Vec<String> {
    let family = families.get(name).unwrap_or_else(|| panic!("no {name}"));
    let samples = family.samples.iter().map(|(labels, value)| {
        let labels: Vec<&str> = labels.values().map(String::as_str).collect();
        format!("{} {value}", labels.join(","))
    });
    samples.collect()
}

#[test]
fn everything_is_there() {
    let peer = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = peer.local_addr().unwrap().port();
    let text = service(&format!(
        " sorry_server 10.0.0.9 80\n real_server 127.0.0.1 {port} {{\n weight 3\n TCP_CHECK {{\n }}\n \
         TCP_CHECK {{\n connect_port 1\n warmup 3000\n }}\n }}\n real_server 10.0.0.2 80 {{\n weight 2\n }}\n"
    )) + &format!(
        "virtual_server_group web {{\n 192.0.2.7 80\n 192.0.2.8 80\n}}\n\
         virtual_server group web {{\n protocol TCP\n delay_loop 1\n lvs_sched rr\n lvs_method NAT\n{}}}\n",
        checked(port)
    );
    let bench = Bench::new(&text, Limits::default());
    *bench.stage.load.lock().unwrap() = Load {
        workers: vec![
            Worker::default(),
            Worker {
                bursts: 7,
                busy: Duration::from_millis(1500),
                ..Worker::default()
            },
        ],
        interfaces: vec![Interface {
            name: "eth0".to_owned(),
            received: 9,
            lost: 2,
        }],
        threads: Vec::new(),
    };
    bench
        .stage
        .bare
        .change(&mut |draft, _| {
            let key = "192.0.2.99:53"
                .parse()
                .map(|addr| lvs_core::ServiceKey::new(lvs_core::Protocol::UDP, addr));
            draft.add_service(
                key.unwrap(),
                lvs_sched::build("sh").unwrap(),
                Default::default(),
            )?;
            Ok(())
        })
        .unwrap();
    let has_run = || !samples(&metrics(&bench), "lvsd_check_duration_seconds").is_empty();
    assert!(eventually(has_run));
    let all = metrics(&bench);
    let one = "TCP 192.0.2.1:80";
    let server = format!("127.0.0.1:{port}");
    for (name, wanted) in [
        (
            "lvsd_build",
            vec![format!("{} 1", env!("CARGO_PKG_VERSION"))],
        ),
        (
            "lvsd_configuration_reloads",
            vec!["taken 0".to_owned(), "refused 0".to_owned()],
        ),
        ("lvsd_configuration_refused", vec![" 0".to_owned()]),
        (
            "lvsd_worker_bursts",
            vec!["0 0".to_owned(), "1 7".to_owned()],
        ),
        (
            "lvsd_worker_busy_seconds",
            vec!["0 0".to_owned(), "1 1.5".to_owned()],
        ),
        ("lvsd_interface_lost_frames", vec!["eth0 2".to_owned()]),
        (
            "lvsd_service",
            vec![
                format!("wlc,{one},{one} 1"),
                "rr,TCP 192.0.2.7:80,[web]:0 1".to_owned(),
                "rr,TCP 192.0.2.8:80,[web]:0 1".to_owned(),
                "sh,UDP 192.0.2.99:53, 1".to_owned(),
            ],
        ),
        (
            "lvsd_service_quorum",
            vec![format!("{one} 1"), "[web]:0 1".to_owned()],
        ),
        (
            "lvsd_service_live_weight",
            vec![format!("{one} 5"), "[web]:0 1".to_owned()],
        ),
        (
            "lvsd_service_quorum_weight",
            vec![
                format!("gained,{one} 1"),
                format!("kept,{one} 1"),
                "gained,[web]:0 1".to_owned(),
                "kept,[web]:0 1".to_owned(),
            ],
        ),
        ("lvsd_service_sorry_serves", vec![format!("{one} 0")]),
        (
            "lvsd_server_up",
            vec![
                format!("{server},{one} 1"),
                format!("10.0.0.2:80,{one} 1"),
                format!("{server},[web]:0 1"),
            ],
        ),
        (
            "lvsd_server_configured_weight",
            vec![
                format!("{server},{one} 3"),
                format!("10.0.0.2:80,{one} 2"),
                format!("{server},[web]:0 1"),
            ],
        ),
        (
            "lvsd_server_scheduled_weight",
            vec![
                // The director's list has the newest first.
                format!("10.0.0.2:80,{one} 2"),
                format!("{server},{one} 3"),
                format!("{server},TCP 192.0.2.7:80 1"),
                format!("{server},TCP 192.0.2.8:80 1"),
            ],
        ),
        (
            "lvsd_check_up",
            vec![
                format!("TCP_CHECK,{server},{one} 1"),
                format!("TCP_CHECK 2,{server},{one} 1"),
                format!("TCP_CHECK,{server},[web]:0 1"),
            ],
        ),
        ("lvsd_checks", vec![" 3".to_owned()]),
    ] {
        assert_eq!(samples(&all, name), wanted, "{name}");
    }
    assert_eq!(all["lvsd_worker_busy_seconds"].unit, "seconds");
    assert_eq!(all["lvsd_service_bytes"].unit, "bytes");
    let reasons = all["lvsd_dropped_packets"].samples.len();
    assert_eq!(reasons, lvs_core::DropReason::ALL.len());
}

#[test]
fn virtual_routers_are_there() {
    let mut text = Text::default();
    super::super::metrics::vrrp::write(&mut text, &crate::routers::testing::status());
    let families = strict::read(&text.finish()).unwrap();
    let all = families.into_iter().map(|f| (f.name.clone(), f)).collect();
    for (name, wanted) in [
        (
            "lvsd_vrrp_state",
            vec![
                "web,INIT,51 0",
                "web,BACKUP,51 0",
                "web,MASTER,51 1",
                "web,FAULT,51 0",
                "inside,INIT,52 0",
                "inside,BACKUP,52 0",
                "inside,MASTER,52 0",
                "inside,FAULT,52 1",
                "v6,INIT,53 0",
                "v6,BACKUP,53 1",
                "v6,MASTER,53 0",
                "v6,FAULT,53 0",
            ],
        ),
        (
            "lvsd_vrrp_group_state",
            vec!["G,INIT 0", "G,BACKUP 0", "G,MASTER 0", "G,FAULT 1"],
        ),
        (
            "lvsd_vrrp_state_age_seconds",
            vec!["web,51 7500", "inside,52 4.25", "v6,53 1"],
        ),
        ("lvsd_vrrp_mute", vec!["web,51 0", "inside,52 1", "v6,53 0"]),
        (
            "lvsd_vrrp_interval_seconds",
            vec!["web,51 1", "inside,52 1", "v6,53 0.1"],
        ),
        (
            "lvsd_vrrp_effective_priority",
            vec!["web,51 130", "inside,52 254", "v6,53 100"],
        ),
        (
            "lvsd_vrrp_configured_priority",
            vec!["web,51 100", "inside,52 250", "v6,53 100"],
        ),
        (
            "lvsd_vrrp_rivals",
            vec!["web,51 4", "inside,52 0", "v6,53 0"],
        ),
        (
            "lvsd_vrrp_rejected_advertisements",
            vec!["password,web,51 3", "ttl,web,51 12"],
        ),
        ("lvsd_vrrp_odd_advertisements", vec!["interval,web,51 9"]),
        (
            "lvsd_vrrp_tracked_fault",
            vec![
                "script chk_nginx,web,51 0",
                "script chk_disk,web,51 0",
                "interface eth1,web,51 0",
                "script chk_nginx,inside,52 1",
                "file load,inside,52 0",
            ],
        ),
        (
            "lvsd_vrrp_tracked_priority",
            vec![
                "script chk_nginx,web,51 50",
                "script chk_disk,web,51 -20",
                "interface eth1,web,51 0",
                "script chk_nginx,inside,52 0",
                "file load,inside,52 30",
            ],
        ),
        (
            "lvsd_vrrp_peer_age_seconds",
            vec![
                "192.0.2.2,web,51 0.42",
                "192.0.2.3,web,51 0.42",
                "fe80::2,v6,53 0.42",
            ],
        ),
        (
            "lvsd_vrrp_peer_priority",
            vec!["192.0.2.3,web,51 90", "fe80::2,v6,53 150"],
        ),
        (
            "lvsd_vrrp_peer_advertisements",
            vec![
                "192.0.2.2,web,51 0",
                "192.0.2.3,web,51 3",
                "fe80::2,v6,53 1",
            ],
        ),
        ("lvsd_vrrp_worst_lateness_seconds", vec![" 0.00075"]),
    ] {
        assert_eq!(samples(&all, name), wanted, "{name}");
    }
    for (name, first, second) in [
        ("lvsd_vrrp_master_changes", "gained 2", "lost 1"),
        ("lvsd_vrrp_advertisements", "sent 7512", "received 3"),
        ("lvsd_vrrp_release_advertisements", "sent 1", "received 2"),
    ] {
        let shown = samples(&all, name);
        let told = shown[..2].iter().map(|sample| {
            let (labels, count) = sample.rsplit_once(' ').unwrap();
            let way = labels.split(',').find(|l| !["web", "51"].contains(l));
            format!("{} {count}", way.unwrap())
        });
        assert_eq!(
            told.collect::<Vec<_>>(),
            [first, second],
            "{name}: {shown:?}"
        );
        assert_eq!(shown.len(), 6, "{name}");
    }
}

#[test]
fn failures_are_counted_by_reason() {
    let peer = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = peer.local_addr().unwrap().port();
    drop(peer);
    let bench = Bench::new(&service(&checked(port)), Limits::default());
    let failed = || {
        let all = metrics(&bench);
        let reasons = samples(&all, "lvsd_check_failures");
        let [reason] = &reasons[..] else { return false };
        let (labels, count) = reason.rsplit_once(' ').unwrap();
        assert_eq!(
            labels,
            format!("TCP_CHECK,refused,127.0.0.1:{port},TCP 192.0.2.1:80")
        );
        let runs = samples(&all, "lvsd_check_runs");
        let of = |result: &str| {
            let start = format!("TCP_CHECK,{result},127.0.0.1:{port},TCP 192.0.2.1:80 ");
            runs.iter().find_map(|run| run.strip_prefix(&start))
        };
        assert_eq!(
            (of("passed"), of("failed")),
            (Some("0"), Some(count)),
            "{runs:?}"
        );
        samples(&all, "lvsd_server_up")[0].ends_with(" 0")
            && samples(&all, "lvsd_service_quorum") == ["TCP 192.0.2.1:80 0"]
            && samples(&all, "lvsd_server_scheduled_weight").is_empty()
            && samples(&all, "lvsd_server_flaps")[0].ends_with(" 1")
    };
    assert!(eventually(failed));
}

#[test]
fn an_empty_text_is_one() {
    assert_eq!(Text::default().finish(), "# EOF\n");
    for (value, text) in [
        (Value::from(f64::INFINITY), "+Inf"),
        (Value::from(f64::NAN), "NaN"),
        (Value::from(0.000_001), "0.000001"),
        (Value::from(u64::MAX), "18446744073709551615"),
        (Value::from(true), "1"),
    ] {
        assert_eq!(value.to_string(), text);
    }
}

proptest! {
    #[test]
    fn labels_of_any_text_are_read_back(values in prop::collection::vec(any::<String>(), 1..4), n in any::<f64>()) {
        let mut text = Text::default();
        let labels: Vec<Labels> = (0..).zip(&values).map(|(i, v): (u32, _)| {
            Labels::new(&[("n", &i.to_string()), ("v", v)])
        }).collect();
        text.family(gauge("a", "b"), labels.iter().map(|l| (l, Some(("more", &*values[0])), n)));
        let families = strict::read(&text.finish()).unwrap();
        let read: Vec<&str> = families[0].samples.iter().map(|(l, _)| &*l["v"]).collect();
        prop_assert_eq!(read, values.iter().map(String::as_str).collect::<Vec<_>>());
        let (first, value) = &families[0].samples[0];
        prop_assert_eq!(&first["more"], &values[0]);
        prop_assert!(*value == n || (value.is_nan() && n.is_nan()));
    }
}
