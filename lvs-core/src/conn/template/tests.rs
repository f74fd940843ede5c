use super::*;
use crate::dest::DestOptions;
use crate::dest::Method;
use crate::service::ServiceLive;

fn ep(s: &str) -> Endpoint {
    s.parse().unwrap()
}

fn packet(src: &str, dst: &str) -> Segment {
    Segment::new(Protocol::TCP, ep(src), ep(dst))
}

fn persistence(prefix: u8) -> Persistence {
    Persistence {
        timeout: Duration::from_secs(100),
        prefix,
        engine: None,
    }
}

fn key(service: &str, src: &str, dst: &str) -> TemplateKey {
    let service = ServiceKey::tcp(ep(service));
    TemplateKey::new(service, &persistence(32), &packet(src, dst))
}

fn server(addr: &str) -> Arc<DestLive> {
    let service = ServiceLive::new(ServiceKey::tcp(ep("10.9.0.100:80")), 1);
    Arc::new(DestLive::new(ep(addr), Arc::new(service), 1))
}

fn templates() -> Templates {
    Templates::new(&RandomState::with_seeds(1, 2, 3, 4))
}

fn fresh(dest: &Arc<DestLive>) -> Option<Fresh> {
    Some(Fresh {
        dest: dest.clone(),
        dest_port: dest.addr().port,
        timeout: Duration::from_secs(100),
        one_packet: false,
    })
}

fn listed(t: &Templates, now: Time) -> Vec<(String, String, u64, State)> {
    let mut all = Vec::new();
    let mut show = |c: ConnInfo| {
        all.push((
            c.virt.to_string(),
            c.dest.to_string(),
            c.expires_in.as_secs(),
            c.state,
        ));
    };
    for part in 0.. {
        if !t.list(part, now, &mut show) {
            break;
        }
    }
    all.sort();
    all
}

const KEY: (&str, &str, &str) = ("10.9.0.100:80", "10.9.1.2:1000", "10.9.0.100:80");

fn only_key() -> TemplateKey {
    key(KEY.0, KEY.1, KEY.2)
}

#[test]
fn keys_are_those_of_ipvs() {
    let find = |service: &str, src: &str, dst: &str| {
        let k = key(service, src, dst);
        (k.protocol, k.client.to_string(), k.virt.to_string(), k.port)
    };
    let client = "10.9.1.2".to_owned();
    let vip = "10.9.0.100".to_owned();
    let tcp = Protocol::TCP;
    let one = ("10.9.0.100:80", "10.9.1.2:999", "10.9.0.100:80");
    assert_eq!(
        find(one.0, one.1, one.2),
        (tcp, client.clone(), vip.clone(), 80)
    );
    let any = find("10.9.0.100:0", "10.9.1.2:999", "10.9.0.100:443");
    assert_eq!(any, (tcp, client.clone(), vip.clone(), 0));
    for port in ["21", "20", "34000"] {
        let ftp = find(
            "10.9.0.100:21",
            "10.9.1.2:999",
            &format!("10.9.0.100:{port}"),
        );
        assert_eq!(ftp, (tcp, client.clone(), vip.clone(), 0), "{port}");
    }
    for (family, shown) in [(Family::V4, "0.0.1.2"), (Family::V6, "0:102::")] {
        let mark = ServiceKey::Mark { family, mark: 258 };
        let k = TemplateKey::new(mark, &persistence(24), &packet("10.9.1.2:9", "10.9.0.7:5"));
        assert_eq!((k.protocol, k.port), (Protocol(0), 0));
        assert_eq!(
            (k.client.to_string(), k.virt.to_string()),
            ("10.9.1.0".into(), shown.into())
        );
    }
}

#[test]
fn a_template_is_followed_and_prolonged_by_each_connection() {
    let (t, a) = (templates(), server("10.10.0.11:80"));
    let b = server("10.10.0.12:80");
    let follow = |now, dest| t.follow(only_key(), Time::from_secs(now), false, || fresh(dest));
    let (dest, first) = follow(0, &a).unwrap();
    assert!(Arc::ptr_eq(&dest, &a));
    assert_eq!(a.persistent(), 1);
    let (dest, second) = follow(90, &b).unwrap();
    assert!(Arc::ptr_eq(&dest, &a), "the template, not the scheduler");
    drop((first, second));
    t.expire(Time::from_secs(189));
    assert_eq!(t.len(), 1);
    t.expire(Time::from_secs(190));
    assert_eq!((t.len(), a.persistent()), (0, 0));
    let (dest, _lease) = follow(191, &b).unwrap();
    assert!(Arc::ptr_eq(&dest, &b));
    t.follow(only_key(), Time::from_secs(192), false, || {
        unreachable!("there is one")
    });
}

#[test]
fn one_that_comes_due_while_needed_is_kept_a_minute_at_a_time() {
    let (t, a) = (templates(), server("10.10.0.11:80"));
    let at = Time::from_secs;
    let (_, lease) = t.follow(only_key(), at(0), false, || fresh(&a)).unwrap();
    t.expire(at(100));
    let left = |now| listed(&t, at(now))[0].2;
    assert_eq!(left(100), 60);
    t.expire(at(160));
    assert_eq!(left(160), 60);
    let (_, again) = t
        .follow(only_key(), at(170), false, || unreachable!())
        .unwrap();
    assert_eq!(left(170), 60, "no longer the service's timeout");
    drop((lease, again));
    t.expire(at(230));
    assert_eq!(t.len(), 0);
}

#[test]
fn one_whose_server_is_gone_is_put_aside_and_ages_out() {
    let (t, a) = (templates(), server("10.10.0.11:80"));
    let (b, at) = (server("10.10.0.12:80"), Time::from_secs);
    drop(t.follow(only_key(), at(0), false, || fresh(&a)));
    a.set_available(false);
    let (dest, lease) = t.follow(only_key(), at(40), false, || fresh(&b)).unwrap();
    assert!(Arc::ptr_eq(&dest, &b));
    lease.assure();
    let aside = (
        "10.9.0.100:65535".to_owned(),
        "10.10.0.11:65535".to_owned(),
        60,
        State::Template,
    );
    let new = (
        "10.9.0.100:80".to_owned(),
        "10.10.0.12:80".to_owned(),
        100,
        State::Assured,
    );
    assert_eq!(listed(&t, at(40)), [aside, new]);
    a.set_available(true);
    let (dest, _) = t
        .follow(only_key(), at(41), false, || unreachable!())
        .unwrap();
    assert!(Arc::ptr_eq(&dest, &b), "what was put aside stays there");
    t.expire(at(100));
    assert_eq!((t.len(), a.persistent(), b.persistent()), (1, 0, 1));
}

#[test]
fn a_quiesced_server_keeps_its_clients_unless_told_otherwise() {
    let (t, a) = (templates(), server("10.10.0.11:80"));
    let (b, at) = (server("10.10.0.12:80"), Time::from_secs);
    drop(t.follow(only_key(), at(0), false, || fresh(&a)));
    a.publish(&DestOptions::new(Method::Nat, 0));
    let (dest, _) = t.follow(only_key(), at(1), false, || fresh(&b)).unwrap();
    assert!(Arc::ptr_eq(&dest, &a));
    let (dest, _) = t.follow(only_key(), at(2), true, || fresh(&b)).unwrap();
    assert!(Arc::ptr_eq(&dest, &b));
}

#[test]
fn without_a_server_no_template_is_made() {
    let t = templates();
    assert!(
        t.follow(only_key(), Time::default(), false, || None)
            .is_none()
    );
    assert_eq!(t.len(), 0);
}

#[test]
fn forsaken_templates_go_and_unconfirmed_ones_in_defence() {
    let (t, a) = (templates(), server("10.10.0.11:80"));
    let at = Time::from_secs;
    let (_, lease) = t.follow(only_key(), at(0), false, || fresh(&a)).unwrap();
    let never = |_: Duration| unreachable!("only for one-packet services");
    let everywhere = |now| (0..PARTS as u64).for_each(|r| t.defend(r, never, now));
    everywhere(at(1));
    t.drop_forsaken();
    assert_eq!(t.len(), 1, "needed");
    lease.forsake();
    t.drop_forsaken();
    assert_eq!((t.len(), a.persistent()), (0, 0));
    let (_, lease) = t.follow(only_key(), at(0), false, || fresh(&a)).unwrap();
    lease.assure();
    drop(lease);
    everywhere(at(1));
    assert_eq!(t.len(), 1, "assured");
    t.expire(at(100));
    drop(t.follow(only_key(), at(101), false, || fresh(&a)));
    everywhere(at(102));
    assert_eq!((t.len(), a.persistent()), (0, 0));
}

#[test]
fn timers_left_over_do_no_harm() {
    let (t, a) = (templates(), server("10.10.0.11:80"));
    for round in 0..10 {
        let (_, lease) = t
            .follow(only_key(), Time::from_secs(round), false, || fresh(&a))
            .unwrap();
        lease.forsake();
        t.drop_forsaken();
    }
    drop(t.follow(only_key(), Time::from_secs(10), false, || fresh(&a)));
    for now in 0..110 {
        t.expire(Time::from_secs(now));
        assert_eq!(t.len(), 1, "{now}");
    }
    t.expire(Time::from_secs(110));
    assert_eq!(t.len(), 0);
    let timers: usize = t.parts.iter().map(|p| lock(p).timers.len()).sum();
    assert_eq!(timers, 0);
}

/// Whoever looks after it comes by once a second only.
#[test]
fn a_due_template_is_kept_from_the_moment_it_came_due() {
    let (t, a) = (templates(), server("10.10.0.11:80"));
    let follow = |now| t.follow(only_key(), Time::from_millis(now), false, || fresh(&a));
    let left = |now| listed(&t, Time::from_millis(now))[0].2;
    let (_, first) = follow(0).unwrap();
    assert_eq!(left(99_900), 0);
    assert_eq!(left(100_900), 59, "nobody has looked after it yet");
    t.expire(Time::from_millis(100_950));
    assert_eq!(left(101_100), 58, "counted from when it came due");
    let (_, second) = follow(161_000).unwrap();
    assert_eq!(left(161_000), 60, "late, and followed first");
    drop((first, second));
    t.expire(Time::from_millis(220_999));
    assert_eq!(t.len(), 1);
    t.expire(Time::from_millis(221_000));
    assert_eq!(t.len(), 0);
    let (_, _lease) = follow(300_000).unwrap();
    assert_eq!(left(401_000 + 60_000 * 7), 59, "rounds that nobody saw");
}
