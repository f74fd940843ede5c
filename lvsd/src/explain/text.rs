//! An explanation for people: who, what and why first, then the servers as the scheduler sees them.

use std::fmt::Write as _;

use lvs_core::Protocol;
use lvs_fwd::classify::Prefix;
use lvs_sched::cost::Formula;

use crate::conns::text::{forwarding, minutes, service};
use crate::control::conns::Connection;
use crate::control::explained::{
    ChosenBy, Explained, Helper, Known, Lack, MatchedBy, Outcome, Server, Service, Way,
};

/// The whole text.
pub(super) fn explanation(told: &Explained) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let mut say = |label: &str, line: &str| {
        let _ = writeln!(text, "{label:<11} {line}");
    };
    let packet = &told.packet;
    let protocol = Protocol(packet.protocol);
    let (client, virt) = (packet.client, packet.virtual_address);
    let by = packet.interface.as_ref();
    let by = by.map_or_else(String::new, |name| format!(", in by {name}"));
    say("packet", &format!("{protocol} {client} to {virt}{by}"));
    match &told.mark {
        Some(marked) => say(
            "mark",
            &format!(
                "{}, by rule {}: {}",
                marked.mark, marked.number, marked.rule
            ),
        ),
        None if told.interface_matters => say("mark", "none"),
        None => {}
    }
    if told.interface_matters {
        say("", "it depends on the interface: name that by --interface");
    }
    match &told.service {
        Some(service) => say("service", &service_line(service)),
        None => say("service", "none"),
    }
    match &told.connection {
        Some(known) => {
            let lines = connection_lines(told, known);
            say("connection", &lines[0]);
            lines[1..].iter().for_each(|line| say("", line));
        }
        None => say("connection", "none"),
    }
    for (label, line) in ["outcome", "", "", ""].iter().zip(outcome_lines(told)) {
        say(label, &line);
    }
    if let Some(way) = &told.way {
        say("way", &way_line(way));
    }
    if !told.servers.is_empty() {
        let scheduler = told.service.as_ref().map_or("", |s| &s.scheduler);
        text.push('\n');
        text += &servers(told, Formula::of(scheduler));
    }
    text
}

fn service_line(matched: &Service) -> String {
    let persistence = matched.persistence.as_ref();
    let persistence =
        persistence.map_or_else(String::new, |p| format!(", persistent {} s", p.timeout));
    let why = match matched.matched_by {
        MatchedBy::Mark => "it has the packet's mark",
        MatchedBy::Address => "it has the packet's destination",
        MatchedBy::FtpData => "the packet may be of an FTP data connection",
        MatchedBy::AnyPort => "it has the address, and no service the port",
        MatchedBy::Connection => "its connection is the packet's",
    };
    let (name, scheduler) = (service(matched.key), &matched.scheduler);
    format!("{name} ({scheduler}{persistence}): {why}")
}

fn connection_lines(told: &Explained, known: &Known) -> Vec<String> {
    let conn = &known.conn;
    let mut lines = vec![format!(
        "{} to {} by {}, expires in {}, {} from the client",
        conn.state,
        conn.server,
        forwarding(conn.method),
        minutes(conn.expires),
        plural(conn.packets.into(), "packet"),
    )];
    if let Some(local) = conn.local {
        lines.push(format!("the server sees it coming from {local}"));
    }
    if known.from_server {
        lines.push("the packet comes from the server".to_owned());
    }
    if let Some(template) = &known.follows {
        lines.push(format!(
            "under the client's {}",
            template_words(told, template)
        ));
    }
    if let Some(helper) = &known.helper {
        lines.push(helper_line(helper));
    }
    lines
}

fn helper_line(helper: &Helper) -> String {
    let Helper {
        shift_in,
        shift_out,
        controls,
    } = helper;
    let depend = match controls {
        true => ", and connections depend on it",
        false => "",
    };
    format!(
        "a helper reads it: sequence numbers move by {shift_in:+} in, {shift_out:+} out{depend}"
    )
}

/// A template in the midst of a sentence.
fn template_words(told: &Explained, template: &Connection) -> String {
    let service = told.service.as_ref().filter(|s| s.key == template.service);
    let prefix = service
        .and_then(|s| s.persistence.as_ref())
        .map(|p| p.prefix);
    let client = Prefix::new(template.client.ip, prefix.unwrap_or(u8::MAX));
    let client = client.unwrap_or_else(|_| Prefix::single(template.client.ip));
    format!(
        "template for {client} to {} ({}, expires in {})",
        template.server,
        template.state,
        minutes(template.expires),
    )
}

fn plural(count: u64, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}

fn outcome_lines(told: &Explained) -> Vec<String> {
    let scheduler = told.service.as_ref().map_or("", |s| &s.scheduler);
    match &told.outcome {
        Outcome::Follows => vec!["goes its connection's way".to_owned()],
        Outcome::Dropped { reason } => vec![format!("dropped: {}", reason_line(told, reason))],
        Outcome::Passed { reason } => {
            vec![format!("left to the host: {}", reason_line(told, reason))]
        }
        Outcome::Opens {
            server,
            method,
            chosen_by,
            template,
            full,
        } => {
            let method = forwarding(*method);
            let opens = match told.connection {
                Some(_) => "its connection ends, and a new one opens",
                None => "a new connection",
            };
            let mut lines = vec![match (chosen_by, template) {
                (ChosenBy::Bypass, _) => {
                    format!("{opens} to its own destination (bypass), for want of a server")
                }
                (ChosenBy::Server, _) => format!("a call that the server {server} begins"),
                (ChosenBy::Lot, _) => {
                    format!(
                        "{opens} to {server} by {method}, if {scheduler} draws it: another may be drawn"
                    )
                }
                (_, Some(template)) => {
                    format!(
                        "{opens} to {server} by {method}, by the client's {}",
                        template_words(told, template)
                    )
                }
                _ => format!("{opens} to {server} by {method}, which {scheduler} chooses"),
            }];
            if *full {
                let full = "the table is full: one that has ended or not come about makes room, or the packet is dropped";
                lines.push(full.to_owned());
            }
            if told.drop_rate > 0 {
                lines.push(drop_rate(told.drop_rate));
            }
            lines
        }
    }
}

fn drop_rate(rate: u32) -> String {
    format!("one in {rate} new connections is dropped, for want of memory (drop_packet)")
}

fn reason_line(told: &Explained, reason: &str) -> String {
    let scheduler = told.service.as_ref().map_or("", |s| &s.scheduler);
    let why = match (told.lack, reason) {
        (Some(Lack::NoServers), _) => "the service has no servers".to_owned(),
        (Some(Lack::Quiesced), _) => "all servers have weight 0".to_owned(),
        (Some(Lack::Overloaded), _) => "all servers that have a weight are overloaded".to_owned(),
        (Some(Lack::Scheduler), _) => format!("{scheduler} takes none of those that are eligible"),
        (Some(Lack::NotPersistent), _) => {
            "a service of all ports, or FTP's for data, must be persistent".to_owned()
        }
        (None, "destination removed") => "the connection's server has been removed".to_owned(),
        (None, "no local port") => "FullNAT has no local port left towards the server".to_owned(),
        (None, "defence") => drop_rate(told.drop_rate),
        (None, "unsupported") => {
            "the persistence engine needs a Call-ID, which this packet has not".to_owned()
        }
        (None, "standby") => {
            "VRRP governs the virtual address, and this host is not its master".to_owned()
        }
        (None, "martian") => "no packet on a link has such an address".to_owned(),
        (None, "looped") => "it would come from where it goes to".to_owned(),
        (None, "not ours") if told.service.is_none() => "no service is there".to_owned(),
        _ => return reason.to_owned(),
    };
    format!("{why} ({reason})")
}

fn way_line(way: &Way) -> String {
    match way {
        Way::Link {
            interface,
            next_hop,
            mac,
        } => {
            let mac = mac.as_deref().unwrap_or("not resolved at the moment");
            format!("by {interface} to {next_hop} ({mac})")
        }
        Way::Local => "the address is the director's own".to_owned(),
        Way::NoRoute => "no route by an interface that lvsd works on".to_owned(),
    }
}

fn servers(told: &Explained, formula: Option<Formula>) -> String {
    let mut text = "servers, newest first".to_owned();
    text += match formula {
        Some(Formula::Connections) => "; cost: 256 x active + inactive",
        Some(Formula::ConnectionsByWeight) => "; cost: (256 x active + inactive) / weight",
        Some(Formula::DelayByWeight) => "; cost: (active + 1) / weight",
        _ => "",
    };
    let name = told
        .servers
        .iter()
        .map(|s| s.server.to_string().len())
        .max();
    let name = name.unwrap_or_default().max(21);
    let _ = write!(
        text,
        "\n   {:<name$} forward weight   active inactive persist",
        "server"
    );
    text += match formula {
        Some(_) => "        cost\n",
        None => "\n",
    };
    let chosen = chosen(told);
    for (i, server) in told.servers.iter().enumerate() {
        let mark = if chosen == Some(i) { "->" } else { "  " };
        let mut line = format!(
            "{mark} {:<name$} {:<7} {:>6} {:>8} {:>8} {:>7}",
            server.server.to_string(),
            forwarding(server.method),
            server.weight,
            server.active,
            server.inactive,
            server.persistent,
        );
        if let Some(formula) = formula {
            let _ = write!(line, " {:>11}", cost(server, formula));
        }
        line += &reservation(server);
        let _ = writeln!(text, "{line}");
    }
    text
}

/// The server that the packet goes to, if that can be told from the others.
fn chosen(told: &Explained) -> Option<usize> {
    let target = match (&told.outcome, &told.connection) {
        (Outcome::Opens { server, .. }, _) => *server,
        (Outcome::Follows, Some(known)) => known.conn.server,
        _ => return None,
    };
    let place = |is_it: &dyn Fn(&Server) -> bool| {
        let mut fit = (0..).zip(&told.servers).filter(|(_, s)| is_it(s));
        let (first, second) = (fit.next(), fit.next());
        first.filter(|_| second.is_none()).map(|(i, _)| i)
    };
    // The packet may have kept its port.
    place(&|s| s.server == target).or_else(|| place(&|s| s.server.ip == target.ip))
}

fn cost(server: &Server, formula: Formula) -> String {
    let Some(cost) = server.cost.filter(|_| server.eligible) else {
        return "-".to_owned();
    };
    let weight = u64::from(server.weight);
    match formula.is_by_weight() && !cost.is_multiple_of(weight) {
        true => format!("{:.2}", cost as f64 / weight as f64),
        false if formula.is_by_weight() => (cost / weight).to_string(),
        false => cost.to_string(),
    }
}

/// Why the server gets no new connections, or when it won't.
fn reservation(server: &Server) -> String {
    let Server { upper, lower, .. } = server;
    let until = match lower {
        0 => format!("{upper}"),
        _ => format!("{upper}, until below {lower}"),
    };
    match (server.weight, server.overloaded, upper) {
        (0, ..) => "  quiesced".to_owned(),
        (_, true, _) => format!("  overloaded (limit {until})"),
        (_, false, 0) => String::new(),
        (_, false, _) => format!("  (limit {until})"),
    }
}

#[cfg(test)]
mod tests;
