//! How virtual routers are as text, for people.
//!
//! A paragraph for each virtual router: first its state and why, then what that follows from. What is bad is in capitals.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::arguments::counted;
use crate::page::{Page, span};
use crate::vrrp::status::{Counted, Group, Peer, Priority, Router, Status, Watched};

/// All of it.
pub(super) fn shown(status: &Status) -> String {
    let mut page = Page::default();
    for router in &status.routers {
        self::router(&mut page, router);
        page.gap();
    }
    for group in &status.groups {
        self::group(&mut page, group);
    }
    page.line("", &summary(status));
    page.text
}

/// A virtual router in one line.
pub(crate) fn line(router: &Router) -> String {
    let Router {
        name, state, why, ..
    } = router;
    let since = span(router.for_seconds);
    format!("{name} {state} for {since}: {why}")
}

/// How many there are in which state.
pub(crate) fn summary(status: &Status) -> String {
    let routers = &status.routers;
    let all = counted(routers.len(), "virtual router");
    let states = ["MASTER", "BACKUP", "FAULT", "INIT"].into_iter();
    let states = states.filter_map(|state| {
        let count = routers.iter().filter(|r| r.state == state).count();
        (count > 0).then(|| format!("{count} {state}"))
    });
    let states: Vec<String> = states.collect();
    match states.is_empty() {
        true => all,
        false => format!(
            "{all}: {}; the thread that speaks was {} late at most",
            states.join(", "),
            milliseconds(status.worst_lateness_ms)
        ),
    }
}

fn router(page: &mut Page, router: &Router) {
    page.line("", &line(router));
    page.line("  ", &place(router));
    if let Some(why) = &router.mute {
        page.line("  ", &format!("CANNOT SPEAK: {why}"));
    }
    page.line("  ", &priority(&router.priority));
    if let Some(words) = addresses(router) {
        page.line("  ", &words);
    }
    page.line("  ", &course(router));
    for watched in &router.priority.parts {
        self::watched(page, watched);
    }
    for peer in &router.peers {
        self::peer(page, peer);
    }
    counters(page, &router.counters);
}

fn place(router: &Router) -> String {
    let mut words = format!("VRID {}, version {}", router.vrid, router.version);
    // Writing to a string cannot fail.
    if let Some(interface) = &router.interface {
        let _ = write!(words, ", on {interface}");
    }
    let _ = match router.source {
        Some(source) => write!(words, ", from {source}"),
        None => write!(words, ", from NO ADDRESS"),
    };
    if let Some(group) = &router.group {
        let _ = write!(words, ", in sync group {group}");
    }
    words
}

/// What it is made of, as far as that adds something.
fn priority(priority: &Priority) -> String {
    let mut words = format!("priority {}", priority.effective);
    let parts: Vec<&Watched> = priority.parts.iter().filter(|p| p.adds != 0).collect();
    if !parts.is_empty() || priority.effective != priority.configured {
        let _ = write!(words, ": {} configured", priority.configured);
    }
    let mut sum = i64::from(priority.configured);
    for part in parts {
        sum += i64::from(part.adds);
        let _ = write!(words, ", {:+} by {}", part.adds, part.object);
    }
    if sum != i64::from(priority.effective) {
        words.push_str(", within 1 to 254");
    }
    words
}

fn addresses(router: &Router) -> Option<String> {
    if router.addresses.is_empty() {
        return None;
    }
    let addresses = router.addresses.join(", ");
    Some(match (&*router.state, router.master) {
        ("MASTER", _) => format!("holds {addresses}"),
        (_, Some(master)) => format!("{master} should hold {addresses}"),
        (_, None) => format!("somebody else may hold {addresses}"),
    })
}

/// What comes next.
fn course(router: &Router) -> String {
    let every = milliseconds(router.interval_ms);
    match (&*router.state, router.due_in_ms) {
        ("MASTER", Some(due)) => {
            format!("speaks every {every}, next in {}", milliseconds(due))
        }
        ("MASTER", None) => format!("speaks every {every}"),
        ("BACKUP", due) => {
            let mut words = match router.master {
                Some(master) => format!("follows {master}, which speaks every {every}"),
                None => "knows no master".to_owned(),
            };
            if let Some(due) = due {
                let due = milliseconds(due);
                let _ = write!(words, "; takes over in {due} if nobody speaks");
            }
            words
        }
        _ => "takes no part".to_owned(),
    }
}

fn watched(page: &mut Page, watched: &Watched) {
    let state = match &*watched.state {
        "bad" => "BAD",
        state => state,
    };
    let mut words = watched.object.clone();
    match (watched.weight, watched.reverse) {
        (0, false) => {}
        (0, true) => words.push_str(" in reverse"),
        (weight, false) => {
            let _ = write!(words, " weight {weight}");
        }
        (weight, true) => {
            let _ = write!(words, " weight {weight} in reverse");
        }
    }
    if watched.fault {
        words.push_str(", a FAULT");
    }
    if let Some(detail) = &watched.detail {
        let _ = write!(words, ": {detail}");
    }
    page.line(&format!("  {state:<7}  "), &words);
}

fn peer(page: &mut Page, peer: &Peer) {
    let Peer {
        address,
        priority,
        advertisements,
        ..
    } = peer;
    let every = milliseconds(peer.interval_ms);
    let ago = span(peer.heard_ago);
    let words = match advertisements {
        0 => format!("{address}: nothing of it counts"),
        1 => format!("{address} priority {priority} every {every}, heard once, {ago} ago"),
        n => format!("{address} priority {priority} every {every}, heard {n} times, {ago} ago"),
    };
    page.line("  peer     ", &words);
    if let Some(trouble) = &peer.trouble {
        let words = format!("{} ago: {}", span(trouble.ago), trouble.text);
        // What needs no cure is as it should be.
        match &trouble.cure {
            None => page.line("  note     ", &words),
            Some(cure) => {
                page.line("  TROUBLE  ", &words);
                page.line("  cure     ", cure);
            }
        }
    }
}

fn counters(page: &mut Page, counters: &Counted) {
    let mut words = format!(
        "{} sent, {} received; {}x became master, {}x gave it up",
        counters.sent, counters.received, counters.became_master, counters.released_master
    );
    if counters.zero_sent + counters.zero_received > 0 {
        let (sent, received) = (counters.zero_sent, counters.zero_received);
        let _ = write!(words, "; {sent} sent and {received} received to step down");
    }
    page.line("  counted  ", &words);
    if counters.rivals > 0 {
        let words = format!("{}x another MASTER of lower priority", counters.rivals);
        page.line("  rivals   ", &words);
    }
    if !counters.rejected.is_empty() {
        page.line("  DROPPED  ", &listed(&counters.rejected));
    }
    if !counters.noted.is_empty() {
        page.line("  odd      ", &listed(&counters.noted));
    }
}

fn listed(counts: &BTreeMap<String, u64>) -> String {
    let each = counts.iter().map(|(what, count)| format!("{count} {what}"));
    each.collect::<Vec<String>>().join(", ")
}

fn group(page: &mut Page, group: &Group) {
    let members = group.members.join(", ");
    page.line(
        "",
        &format!("sync group {} {}: {members}", group.name, group.state),
    );
}

/// Of so many milliseconds: in them if they are few.
fn milliseconds(ms: f64) -> String {
    match ms {
        ..10.0 => format!("{ms:.1}ms"),
        10.0..1000.0 => format!("{ms:.0}ms"),
        _ => span(ms / 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;
    use crate::page::WIDTH;

    #[test]
    fn everything_is_shown_in_80_columns() {
        let text = shown(&testing::status());
        let wanted = "\
web MASTER for 2h05m: no advertisement from 192.0.2.2 (priority 150) for 3.61 s
  VRID 51, version 2, on eth0, from 192.0.2.1, in sync group G
  priority 130: 100 configured, +50 by script chk_nginx, -20 by script chk_disk
  holds 192.0.2.10
  speaks every 1.0s, next in 712ms
  good     script chk_nginx weight 50
  BAD      script chk_disk weight -20: failed (exit status 1) 3 times in a row
           (\\u{1b}[31m no)
  good     interface eth1
  peer     192.0.2.2: nothing of it counts
  TROUBLE  12s ago: dropped: its TTL is 64 instead of 255
  cure     Look for a router in between.
  peer     192.0.2.3 priority 90 every 1.0s, heard 3 times, 0.4s ago
  note     12s ago: it is master with priority 90, below our 130
  counted  7512 sent, 3 received; 2x became master, 1x gave it up; 1 sent and 2
           received to step down
  rivals   4x another MASTER of lower priority
  DROPPED  3 password, 12 ttl
  odd      9 interval

inside FAULT for 4.2s: script chk_nginx is bad, there is no address to send from
  VRID 52, version 2, from NO ADDRESS, in sync group G
  CANNOT SPEAK: eth1 is not there
  priority 254: 250 configured, +30 by file load, within 1 to 254
  somebody else may hold 192.0.2.10
  takes no part
  BAD      script chk_nginx in reverse, a FAULT
  3        file load weight 10
  counted  0 sent, 0 received; 0x became master, 0x gave it up

v6 BACKUP for 1.0s: it has been started
  VRID 53, version 3, on eth0, from fe80::1
  priority 100
  fe80::2 should hold fe80::10, 2001:db8::10
  follows fe80::2, which speaks every 100ms; takes over in 312ms if nobody
  speaks
  peer     fe80::2 priority 150 every 100ms, heard once, 0.4s ago
  counted  0 sent, 0 received; 0x became master, 0x gave it up

sync group G FAULT: web, inside
3 virtual routers: 1 MASTER, 1 BACKUP, 1 FAULT; the thread that speaks was 0.8ms
late at most
";
        assert_eq!(text, wanted);
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH));
    }

    #[test]
    fn without_routers_there_is_a_summary() {
        assert_eq!(shown(&Status::default()), "0 virtual routers\n");
    }
}
