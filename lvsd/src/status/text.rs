//! A status as text, for people.
//!
//! A line for each service, server and check, the latter two further in, with what is bad in capitals. What does not fit into 80
//! columns goes on in the next line; addresses are never broken.

use std::fmt::Write as _;
use std::time::Duration;

use super::select::Tally;
use crate::arguments::counted;
use crate::health::status::{Check, Checks, Configuration, Quorum, Run, Server, Service, Status};
use crate::page::{Page, span};
use crate::routers;
use crate::span::short;
use crate::vrrp;

/// The status, and a summary of what there was before the filters. `now` is in seconds since 1970.
pub(super) fn shown(status: &Status, tally: &Tally, now: u64) -> String {
    let mut page = Page::default();
    configuration(&mut page, &status.configuration, now);
    for service in &status.services {
        page.gap();
        self::service(&mut page, service);
    }
    virtual_routers(&mut page, &status.vrrp);
    page.gap();
    summary(&mut page, tally, &status.checks);
    page.text
}

fn configuration(page: &mut Page, configuration: &Configuration, now: u64) {
    let age = Duration::from_secs(now.saturating_sub(configuration.read_at));
    let reloads = match configuration.reloads {
        0 => String::new(),
        n => format!(", {}", counted(n as usize, "reload")),
    };
    let file = configuration.file.display();
    page.line("", &format!("{file}: read {} ago{reloads}", short(age)));
    if let Some(why) = &configuration.refused {
        page.line("", &format!("the last reload was REFUSED: {why}"));
    }
}

fn virtual_routers(page: &mut Page, vrrp: &vrrp::status::Status) {
    if !vrrp.routers.is_empty() {
        page.gap();
    }
    for router in &vrrp.routers {
        page.line("VRRP ", &routers::text::line(router));
    }
}

fn service(page: &mut Page, service: &Service) {
    let name = match &service.services[..] {
        [only] => only,
        _ => &service.name,
    };
    let head = format!("{name} {}: {}", service.scheduler, quorum(&service.quorum));
    page.line("", &head);
    if service.services.len() > 1 {
        page.line("  ", &format!("for {}", service.services.join(", ")));
    }
    if service.suspended {
        page.line("  ", "its checks rest: its address is not on this host");
    }
    if let Some(sorry) = &service.sorry {
        let role = match sorry.serves {
            true => "SERVES",
            false => "is not needed",
        };
        page.line("  ", &format!("sorry server {} {role}", sorry.server));
    }
    for server in &service.servers {
        self::server(page, server);
    }
}

fn quorum(quorum: &Quorum) -> String {
    let Quorum {
        live,
        gained_at,
        lost_below,
        ..
    } = quorum;
    match quorum.up {
        true => format!("quorum, weight {live} lives, lost below {lost_below}"),
        false => format!("NO QUORUM, weight {live} lives, gained at {gained_at}"),
    }
}

fn server(page: &mut Page, server: &Server) {
    let state = if server.up { "up  " } else { "DOWN" };
    let mut words = format!("{} weight {}", server.server, server.weight);
    if server.effective_weight != server.weight {
        let _ = write!(words, ", {} by its checks", server.effective_weight);
    }
    match server.scheduled {
        None => words.push_str(", out"),
        Some(weight) if weight != server.effective_weight => {
            let _ = write!(words, ", {weight} in the list");
        }
        Some(_) => {}
    }
    page.line(&format!("  {state}  "), &words);
    for check in &server.checks {
        self::check(page, check, &server.server);
    }
}

fn check(page: &mut Page, check: &Check, server: &str) {
    let state = if check.up { "up  " } else { "DOWN" };
    let target = match check.target == server {
        true => String::new(),
        false => format!(" {}", check.target),
    };
    let mut words = format!("{}{target}: {}", check.kind, last(check.last.as_ref()));
    if check.forgiven > 0 {
        let _ = write!(words, ", forgiven {} of {}", check.forgiven, check.retries);
    }
    if let Some(ago) = check.changed_ago {
        let changes = counted(check.flaps as usize, "change");
        let _ = write!(words, "; {changes}, the last {} ago", span(ago));
    }
    page.line(&format!("        {state}  "), &words);
}

fn last(run: Option<&Run>) -> String {
    match run {
        None => "has not run yet".to_owned(),
        Some(run) => {
            let took = match run.took_ms {
                ms if ms < 1000.0 => format!("{ms:.1}ms"),
                ms => format!("{:.1}s", ms / 1000.0),
            };
            format!("{} {} ago in {took}", run.text, span(run.ago))
        }
    }
}

fn summary(page: &mut Page, tally: &Tally, checks: &Checks) {
    let of = |count: usize, what: &str, bad: usize, how: &str| match bad {
        0 => counted(count, what),
        bad => format!("{}, {bad} {how}", counted(count, what)),
    };
    let parts = [
        of(
            tally.services,
            "service",
            tally.without_quorum,
            "WITHOUT QUORUM",
        ),
        of(tally.servers, "server", tally.down, "DOWN"),
        of(tally.checks, "check", tally.failing, "failing"),
    ];
    page.line("", &parts.join("; "));
    let late = format!("the latest began {:.1}ms late", checks.worst_lateness_ms);
    match checks.total - checks.found.min(checks.total) {
        0 => page.line("", &format!("all checks have found something; {late}")),
        n => page.line(
            "",
            &format!("{n} of all checks have found nothing yet; {late}"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{select, testing};
    use super::*;
    use crate::page::WIDTH;

    #[test]
    fn everything_is_shown_in_80_columns() {
        let status = testing::status();
        let text = shown(&status, &Tally::of(&status), 1_000 + 7_500);
        let wanted = "\
/etc/lvsd/web.conf: read 2h05m ago, 3 reloads
the last reload was REFUSED: 2 errors in the configuration

TCP 192.0.2.10:80 wlc: quorum, weight 7 lives, lost below 1
  sorry server 10.0.0.99:80 is not needed
  up    10.0.0.11:8080 weight 2
        up    TCP_CHECK: connection refused 1m15s ago in 5.0s, forgiven 1 of 3
  DOWN  10.0.0.12:8080 weight 1, out
        DOWN  HTTP_GET 10.0.0.12:80: unwanted status: 503 instead of 200 for
              http://10.0.0.12/some/long/path/to/health 1m15s ago in 5.0s; 5
              changes, the last 3m12s ago
  up    10.0.0.13:8080 weight 1, 5 by its checks
        up    TCP_CHECK: passed 1.2s ago in 0.4ms
        up    MISC_CHECK /usr/local/bin/check \\u{1b}[31m: has not run yet

[dns]:0 rr: NO QUORUM, weight 1 lives, gained at 3
  for UDP [2001:db8::53]:53, UDP [2001:db8::54]:53
  its checks rest: its address is not on this host
  sorry server [fd00::99]:53 SERVES
  up    [fd00::1]:53 weight 1, out
        up    TCP_CHECK: passed 1.2s ago in 0.4ms

FWM 7 rr: quorum, weight 1 lives, lost below 1
  up    10.0.0.11:0 weight 1

VRRP web MASTER for 2h05m: no advertisement from 192.0.2.2 (priority 150) for
     3.61 s
VRRP inside FAULT for 4.2s: script chk_nginx is bad, there is no address to send
     from
VRRP v6 BACKUP for 1.0s: it has been started

3 services, 1 WITHOUT QUORUM; 5 servers, 1 DOWN; 5 checks, 2 failing
1 of all checks have found nothing yet; the latest began 2.1ms late
";
        assert_eq!(text, wanted);
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH));
    }

    #[test]
    fn the_summary_counts_what_is_left_out() {
        let mut status = testing::status();
        let tally = Tally::of(&status);
        select::keep_down(&mut status);
        let text = shown(&status, &tally, 0);
        assert!(
            !text.contains("10.0.0.13") && text.contains("5 servers, 1 DOWN"),
            "{text}"
        );
    }
}
