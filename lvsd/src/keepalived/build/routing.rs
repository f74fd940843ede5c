//! Routes and rules, in iproute2's words.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use lvs_core::Family;

use super::addresses::{prefix, word};
use super::tracking::says;
use crate::keepalived::diagnostic::Diagnostic;
use crate::keepalived::keywords::Value;
use crate::keepalived::model::{
    At, Encapsulation, EncapsulationKind, MetricKind, MetricValue, Named, NextHop, Placing, Prefix,
    Route, RouteKind, RouteMetric, RoutePreference, Rule, RuleAction, RuleMatch, Scope, Vrrp,
};
use crate::keepalived::tree::{Arg, Given, Line, Node};

/// The routes of an instance.
pub(super) fn routes(node: &Node, family: Family, found: &mut Vec<Diagnostic>) -> Vec<Route> {
    let lines = node.children("virtual_routes").flat_map(|n| &n.items);
    lines
        .filter_map(|line| route(line, Some(family), found))
        .collect()
}

/// The rules of an instance.
pub(super) fn rules(node: &Node, found: &mut Vec<Diagnostic>) -> Vec<Rule> {
    let lines = node.children("virtual_rules").flat_map(|n| &n.items);
    lines.filter_map(|line| rule(line, found)).collect()
}

/// Gives rules that do not say their place the ones that keepalived gives them: each family's own, down from 16384 in the order of
/// the file.
pub(super) fn place_rules(vrrp: &mut Vrrp) {
    const FIRST: u32 = 16_384;
    let instances = vrrp.instances.iter_mut().flat_map(|i| &mut i.rules);
    let all = vrrp.rules.iter_mut().chain(instances);
    let mut without: Vec<&mut Rule> = all.filter(|r| r.preference.is_none()).collect();
    without.sort_by_key(|r| r.span.span);
    let mut next = [FIRST; 2];
    for rule in without {
        let [v4, v6] = &mut next;
        let place = match rule.family {
            Some(Family::V6) => v6,
            _ => v4,
        };
        rule.preference = Some(*place);
        *place = place.saturating_sub(1);
    }
}

/// A network, or everything of a family; `None`: everything, of whatever family.
fn network(args: &[Arg]) -> Option<Option<Prefix>> {
    if let Some(prefix) = args.iter().find_map(prefix) {
        return Some(Some(prefix));
    }
    let everything = args
        .iter()
        .filter_map(Arg::text)
        .any(|w| matches!(w, "default" | "any" | "all"));
    everything.then_some(None)
}

fn everything(family: Family) -> Prefix {
    let ip = match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        Family::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    Prefix { ip, len: 0 }
}

fn family_of(ip: IpAddr) -> Family {
    lvs_core::Ip::from(ip).family()
}

fn said_family(line: &Line) -> Option<Family> {
    match (says(line, "inet6"), says(line, "inet")) {
        (true, _) => Some(Family::V6),
        (_, true) => Some(Family::V4),
        _ => None,
    }
}

fn named(line: &Line, option: &str) -> Option<Named> {
    Some(Named::parse(line.option(option)?.text()?))
}

fn number(line: &Line, option: &str) -> Option<u32> {
    u32::try_from(line.option(option)?.int()?).ok()
}

/// Something about a line that keepalived refuses as well: it leaves the line out.
fn wrong(
    code: &'static str,
    span: crate::keepalived::place::Span,
    message: impl Into<String>,
) -> Diagnostic {
    Diagnostic::error(code, span, message).tolerated()
}

/// A line's options before the first `nexthop`, and those of each next hop.
fn split(line: &Line) -> (Vec<&Given>, Vec<Vec<&Given>>) {
    let mut own = Vec::new();
    let mut hops: Vec<Vec<&Given>> = Vec::new();
    for given in &line.options {
        if given.option.name == "nexthop" {
            hops.push(Vec::new());
        } else if let Some(hop) = hops.last_mut() {
            hop.push(given);
        } else {
            own.push(given);
        }
    }
    (own, hops)
}

fn find<'a>(options: &[&'a Given], name: &str) -> Option<&'a Given> {
    options
        .iter()
        .rev()
        .copied()
        .find(|o| o.option.name == name)
}

/// A route; nothing if it can be none. A route of an instance that does not say its family has the instance's.
pub(super) fn route(
    line: &Line,
    instance: Option<Family>,
    found: &mut Vec<Diagnostic>,
) -> Option<Route> {
    let (own, hops) = split(line);
    let (encapsulation, own) = encapsulation(&own);
    let Some(to) = network(&line.args).or_else(|| network(&find(&own, "to")?.args)) else {
        let message = "this route does not say where to";
        found.push(
            wrong("no-destination", line.span, message)
                .help("write a network such as `10.0.0.0/8`, or `default`"),
        );
        return None;
    };
    let via = find(&own, "via").and_then(|o| Some(At::new(o.addr()?, o.span)));
    let second = find(&own, "or");
    let families = [
        to.map(|p| p.ip),
        via.as_ref().map(|v| v.value),
        find(&own, "src").and_then(Given::addr),
    ];
    let first_hop = hops
        .iter()
        .flatten()
        .find(|o| o.option.name == "via")
        .and_then(|o| o.addr());
    let by_address = families
        .into_iter()
        .flatten()
        .chain(first_hop)
        .map(family_of)
        .next();
    let family = said_family(line)
        .or(by_address)
        .or(instance)
        .unwrap_or(Family::V4);
    let to = to.unwrap_or_else(|| everything(family));
    let kind = line
        .args
        .iter()
        .filter_map(Arg::text)
        .find_map(RouteKind::parse)
        .unwrap_or_default();
    for ip in [Some(to.ip), find(&own, "src").and_then(Given::addr)]
        .into_iter()
        .flatten()
    {
        if family_of(ip) != family {
            found.push(wrong(
                "family-mismatch",
                line.span,
                format!("{ip} is of another family than the rest of the route"),
            ));
            return None;
        }
    }
    let mut next_hops: Vec<NextHop> = hops.iter().map(|hop| next_hop(hop)).collect();
    let interface = find(&own, "dev").and_then(interface);
    if let (Some(second), Some(first)) = (second.and_then(Given::addr), &via) {
        next_hops = [first.value, second]
            .map(|via| NextHop {
                via: Some(via),
                interface: interface.clone(),
                ..plain_hop()
            })
            .into();
    }
    let via = if next_hops.is_empty() { via } else { None };
    if kind.forwards()
        && via.is_none()
        && interface.is_none()
        && next_hops.is_empty()
        && find(&own, "vrf").is_none()
        && instance.is_none()
    {
        let message =
            format!("the route to {to} has neither a next hop (`via`) nor an interface (`dev`)");
        found.push(
            wrong("no-next-hop", line.span, message).help("add `via ADDRESS` or `dev INTERFACE`"),
        );
        return None;
    }
    if !kind.forwards() && (via.is_some() || !next_hops.is_empty()) {
        found.push(wrong(
            "next-hop-in-vain",
            line.span,
            "a route that drops packets has no next hop",
        ));
        return None;
    }
    let option_number = |name: &str| {
        find(&own, name)
            .and_then(Given::int)
            .and_then(|n| u32::try_from(n).ok())
    };
    let text = |name: &str| find(&own, name).and_then(Given::text).map(str::to_owned);
    Some(Route {
        kind,
        family,
        to,
        via,
        interface,
        source: find(&own, "src").and_then(Given::addr),
        from: find(&own, "from")
            .and_then(|o| network(&o.args))
            .map(|p| p.unwrap_or_else(|| everything(family))),
        tos: text("tos").map(|t| Named::parse(&t)),
        table: text("table").map(|t| Named::parse(&t)),
        protocol: text("protocol").map(|t| Named::parse(&t)),
        scope: find(&own, "scope").and_then(scope),
        metric: option_number("metric"),
        onlink: find(&own, "onlink").is_some(),
        encapsulation,
        expires: option_number("expires").map(|s| Duration::from_secs(s.into())),
        metrics: own.iter().filter_map(|o| metric(o, found)).collect(),
        realms: text("realms"),
        preference: find(&own, "pref").and_then(|o| match o.text()? {
            "low" => Some(RoutePreference::Low),
            "high" => Some(RoutePreference::High),
            _ => Some(RoutePreference::Medium),
        }),
        ttl_propagate: text("ttl-propagate").map(|state| state == "enabled"),
        vrf: text("vrf"),
        placing: placing(line),
        hops: next_hops,
        tracked: !says(line, "no_track"),
        track_group: word(line, "track_group"),
        span: At::new((), line.span),
    })
}

fn placing(line: &Line) -> Placing {
    if says(line, "add") {
        Placing::Add
    } else if says(line, "append") {
        Placing::Append
    } else {
        Placing::Prepend
    }
}

fn interface(given: &Given) -> Option<At<String>> {
    let arg = given.args.iter().find(|a| a.text().is_some())?;
    Some(At::new(arg.text()?.to_owned(), arg.span))
}

fn scope(given: &Given) -> Option<Scope> {
    let by_number = given
        .int()
        .and_then(|n| u8::try_from(n).ok())
        .map(Scope::Number);
    by_number.or_else(|| Scope::parse(given.text()?))
}

fn plain_hop() -> NextHop {
    NextHop {
        via: None,
        interface: None,
        weight: 1,
        onlink: false,
        encapsulation: None,
        realms: None,
    }
}

fn next_hop(options: &[&Given]) -> NextHop {
    let (encapsulation, options) = encapsulation(options);
    let options = &options;
    let weight = find(options, "weight").and_then(Given::int);
    NextHop {
        via: find(options, "via").and_then(Given::addr),
        interface: find(options, "dev").and_then(interface),
        weight: weight.and_then(|w| u16::try_from(w).ok()).unwrap_or(1),
        onlink: find(options, "onlink").is_some(),
        encapsulation,
        realms: find(options, "realms")
            .and_then(Given::text)
            .map(str::to_owned),
    }
}

/// `encap` with the options that belong to it, which follow it at once; and the others. Some words belong to routes as well.
fn encapsulation<'a>(options: &[&'a Given]) -> (Option<Encapsulation>, Vec<&'a Given>) {
    let at = options.iter().position(|o| o.option.name == "encap");
    let found = at.and_then(|at| {
        let words = options.get(at)?.args.iter().filter_map(Arg::text);
        Some((at, EncapsulationKind::parse(words.clone().next()?)?, words))
    });
    let Some((at, kind, mut words)) = found else {
        return (None, options.to_vec());
    };
    let its: &[&str] = match kind {
        EncapsulationKind::Ip => &["id", "dst", "src", "tos", "tc", "ttl", "flags"],
        EncapsulationKind::Ip6 => &["id", "dst", "src", "tc", "ttl", "hoplimit", "flags"],
        EncapsulationKind::Mpls => &["ttl"],
        EncapsulationKind::Ila => &[],
    };
    let (before, from) = options.split_at(at);
    let belongs = |o: &&&Given| its.contains(&o.option.name);
    let behind = from.iter().skip(1);
    let many = behind.clone().take_while(belongs).count();
    let name = words.next().unwrap_or_default().to_owned();
    let labels = words.next().map(|labels| (name, labels.to_owned()));
    let given = behind.clone().take(many).filter_map(|o| {
        let value = o.args.iter().find_map(shown)?;
        Some((o.option.name.to_owned(), value))
    });
    let encapsulation = Encapsulation {
        kind,
        options: labels.into_iter().chain(given).collect(),
    };
    let rest = before.iter().chain(behind.skip(many)).copied();
    (Some(encapsulation), rest.collect())
}

/// An argument as it was written, more or less.
fn shown(arg: &Arg) -> Option<String> {
    match &arg.value {
        Value::Int(n) => Some(n.to_string()),
        Value::Addr(ip) => Some(ip.to_string()),
        Value::Text(text) => Some(text.clone()),
        Value::Name(name) => Some((*name).to_owned()),
        _ => None,
    }
}

/// One of the RTAX_* values, if an option is one.
fn metric(given: &Given, found: &mut Vec<Diagnostic>) -> Option<RouteMetric> {
    let kind = MetricKind::parse(given.option.name)?;
    let lock = given.args.iter().any(|a| a.text() == Some("lock"));
    let value = given
        .args
        .iter()
        .filter(|a| a.text() != Some("lock"))
        .find_map(shown);
    let value = match (kind, value) {
        (MetricKind::Features, _) => MetricValue::Number(1),
        (MetricKind::CongCtl, Some(name)) => MetricValue::Name(name),
        (_, Some(text)) => match milliseconds(&text, kind.is_time()) {
            Some(number) => MetricValue::Number(number),
            None => {
                let message = format!("`{text}` is no time");
                found.push(
                    wrong("bad-value", given.span, message)
                        .help("write milliseconds, or a number with `s` or `ms`"),
                );
                return None;
            }
        },
        (_, None) => MetricValue::Number(1),
    };
    Some(RouteMetric { kind, value, lock })
}

/// A number; a time may have a unit, and is in milliseconds then.
fn milliseconds(text: &str, time: bool) -> Option<u32> {
    if !time {
        return text.parse().ok();
    }
    if let Some(ms) = text
        .strip_suffix("ms")
        .or_else(|| text.strip_suffix("msec"))
    {
        return ms.parse().ok();
    }
    let seconds = ["secs", "sec", "s"]
        .iter()
        .find_map(|unit| text.strip_suffix(unit));
    match seconds {
        Some(seconds) => {
            let seconds: f64 = seconds.parse().ok()?;
            let ms = seconds * 1000.0;
            (ms >= 0.0 && ms <= f64::from(u32::MAX)).then_some(ms.round() as u32)
        }
        None => text.parse().ok(),
    }
}

/// A rule; nothing if it can be none.
pub(super) fn rule(line: &Line, found: &mut Vec<Diagnostic>) -> Option<Rule> {
    let Some(action) = action(line) else {
        let message = "this rule does not say what is to be done";
        found.push(
            wrong("no-action", line.span, message).help(
                "add `table NUMBER` (or `goto`, `blackhole`, `prohibit`, `unreachable`, `nop`)",
            ),
        );
        return None;
    };
    let preference = number(line, "preference");
    if preference.is_none() {
        let message = "this rule has no `preference`, so its place is some number below 16385";
        let without = Diagnostic::warning("no-preference", line.span, message);
        found.push(without.help("add `preference NUMBER`: the lower, the earlier"));
    }
    let mut prefixes = Vec::new();
    for (option, make) in [
        ("from", RuleMatch::From as fn(Prefix) -> RuleMatch),
        ("to", RuleMatch::To as fn(Prefix) -> RuleMatch),
    ] {
        if let Some(Some(prefix)) = line.option(option).and_then(|o| network(&o.args)) {
            prefixes.push((prefix, make(prefix)));
        }
    }
    let by_address = prefixes.first().map(|(p, _)| family_of(p.ip));
    if let Some((odd, _)) = prefixes
        .iter()
        .find(|(p, _)| Some(family_of(p.ip)) != said_family(line).or(by_address))
    {
        found.push(wrong(
            "family-mismatch",
            line.span,
            format!("{odd} is of another family than the rest of the rule"),
        ));
        return None;
    }
    let mut matches: Vec<RuleMatch> = prefixes.into_iter().map(|(_, m)| m).collect();
    matches.extend(further_matches(line));
    Some(Rule {
        family: said_family(line).or(by_address),
        action,
        preference,
        matches,
        suppress_prefix: number(line, "suppress_prefixlength"),
        suppress_group: named(line, "suppress_ifgroup"),
        realms: line
            .option("realms")
            .and_then(Given::text)
            .map(str::to_owned),
        protocol: named(line, "protocol"),
        tracked: !says(line, "no_track"),
        track_group: word(line, "track_group"),
        span: At::new((), line.span),
    })
}

fn action(line: &Line) -> Option<RuleAction> {
    if let Some(preference) = number(line, "goto") {
        return Some(RuleAction::Goto(preference));
    }
    let by_type = line.option("type").and_then(Given::text);
    let plain = ["nop", "blackhole", "prohibit", "unreachable", "l3mdev"];
    match plain.into_iter().find(|w| says(line, w)).or(by_type) {
        Some("nop") => Some(RuleAction::Nop),
        Some("blackhole") => Some(RuleAction::Blackhole),
        Some("prohibit") => Some(RuleAction::Prohibit),
        Some("unreachable") => Some(RuleAction::Unreachable),
        Some("l3mdev") => Some(RuleAction::MasterDevice),
        _ => named(line, "table").map(RuleAction::Table),
    }
}

fn further_matches(line: &Line) -> Vec<RuleMatch> {
    let mut matches = Vec::new();
    matches.extend(named(line, "tos").map(RuleMatch::Tos));
    matches.extend(
        line.option("fwmark")
            .and_then(|o| o.args.iter().find_map(mark)),
    );
    matches.extend(word(line, "iif").map(RuleMatch::InputInterface));
    matches.extend(word(line, "oif").map(RuleMatch::OutputInterface));
    let tunnel = line
        .option("tunnel-id")
        .and_then(Given::text)
        .and_then(|t| t.parse().ok());
    matches.extend(tunnel.map(RuleMatch::Tunnel));
    matches.extend(named(line, "ipproto").map(RuleMatch::Protocol));
    let range = |option: &str| {
        line.option(option)?
            .args
            .iter()
            .find_map(|a| match a.value {
                Value::Range(first, last) => Some((first, last)),
                _ => None,
            })
    };
    let user = |n: i64| u32::try_from(n).unwrap_or(u32::MAX);
    let port = |n: i64| u16::try_from(n).unwrap_or(u16::MAX);
    matches.extend(range("uidrange").map(|(a, b)| RuleMatch::Users(user(a), user(b))));
    matches.extend(range("sport").map(|(a, b)| RuleMatch::SourcePorts(port(a), port(b))));
    matches.extend(range("dport").map(|(a, b)| RuleMatch::DestPorts(port(a), port(b))));
    matches
}

fn mark(arg: &Arg) -> Option<RuleMatch> {
    match arg.value {
        Value::Masked(value, mask) => Some(RuleMatch::Mark {
            value,
            mask: mask.unwrap_or(u32::MAX),
        }),
        _ => None,
    }
}
