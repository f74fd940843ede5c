//! The checks of a server.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use lvs_core::{Endpoint, ServiceKey};
use lvs_health::check::{
    FileCheck, Http, HttpVersion, Page, Pattern, Script, Target, Timing, Tls, Udp, Via,
};
use lvs_health::probe::{dns, http};
use lvs_health::{Check, Kind};

use super::global::{Defaults, small};
use crate::alerts::security::{self, Unknown};
use crate::keepalived::diagnostic::Diagnostic;
use crate::keepalived::host::Host;
use crate::keepalived::model::{At, Checker, Global, Vrrp};
use crate::keepalived::tree::Node;

/// What UDP_CHECK sends if nothing is said.
const GREETING: &[u8] = b"lvsd health check";

/// What holds where a check says nothing itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Inherited<'a> {
    pub(super) delay_loop: Option<Duration>,
    pub(super) connect_timeout: Option<Duration>,
    pub(super) retry: Option<u32>,
    pub(super) delay_before_retry: Option<Duration>,
    pub(super) warmup: Option<Duration>,
    pub(super) alpha: bool,
    pub(super) rise: Option<u32>,
    pub(super) host: Option<&'a str>,
    /// The service's `virtualhost`, which the server's does not replace for SNI.
    pub(super) service_host: Option<&'a str>,
    /// Whether virtual addresses are asked on the server (`lvsd_check_vip`).
    pub(super) check_vip: bool,
    /// The service's addresses and marks.
    pub(super) keys: &'a [ServiceKey],
    /// How packets for a virtual address get to the server; `None` where its address is replaced.
    pub(super) via: Option<Via>,
}

impl<'a> Inherited<'a> {
    /// What holds inside of this block, given what holds outside.
    pub(super) fn in_block(&self, node: &'a Node) -> Self {
        let time = |name| node.child(name).and_then(|n| n.time());
        let number = |name| node.child(name).and_then(|n| n.int()).map(small);
        let host = node.child("virtualhost").and_then(|n| n.text());
        Self {
            delay_loop: time("delay_loop").or(self.delay_loop),
            connect_timeout: time("connect_timeout").or(self.connect_timeout),
            retry: number("retry").or(self.retry),
            delay_before_retry: time("delay_before_retry").or(self.delay_before_retry),
            warmup: time("warmup").or(self.warmup),
            alpha: node.flag("alpha").unwrap_or(self.alpha),
            rise: number("lvsd_rise").or(self.rise),
            host: host.or(self.host),
            service_host: self.service_host,
            check_vip: node.flag("lvsd_check_vip").unwrap_or(self.check_vip),
            keys: self.keys,
            via: self.via,
        }
    }
}

/// What checks are built from besides their own blocks.
#[derive(Clone, Copy)]
pub(super) struct Around<'a> {
    pub(super) host: &'a dyn Host,
    pub(super) global: &'a Global,
    pub(super) defaults: Defaults,
    pub(super) vrrp: &'a Vrrp,
    /// The root block `SSL`.
    pub(super) ssl: Option<&'a Node>,
}

/// All checks of a server's block.
pub(super) fn all(
    server: &Node,
    addr: Endpoint,
    inherited: &Inherited<'_>,
    around: Around<'_>,
    found: &mut Vec<Diagnostic>,
) -> Vec<Checker> {
    let mut checks = Vec::new();
    for node in &server.body {
        for node in for_each_host(node) {
            let inherited = inherited.in_block(&node);
            checks.extend(one(&node, addr, &inherited, around, found));
        }
    }
    checks
}

/// A check's block, or, if it has `host` blocks, one for each of these with what it says itself.
fn for_each_host(node: &Node) -> Vec<Cow<'_, Node>> {
    let hosts: Vec<_> = node.children("host").map(|h| for_host(node, h)).collect();
    match hosts.is_empty() {
        true => vec![Cow::Borrowed(node)],
        false => hosts.into_iter().map(Cow::Owned).collect(),
    }
}

fn for_host(node: &Node, host: &Node) -> Node {
    let mut own = node.clone();
    own.body
        .retain(|n| !n.is("host") && host.child(n.keyword.name).is_none());
    own.body.extend(host.body.iter().cloned());
    own.head.span = host.head.span;
    own
}

fn one(
    node: &Node,
    addr: Endpoint,
    inherited: &Inherited<'_>,
    around: Around<'_>,
    found: &mut Vec<Diagnostic>,
) -> Option<Checker> {
    let keyword = node.keyword.name;
    let interval = inherited.delay_loop.unwrap_or(Duration::from_secs(60));
    let kind = match keyword {
        "TCP_CHECK" => Kind::Tcp,
        "HTTP_GET" | "SSL_GET" => pages(node, inherited, around, found)?,
        "SMTP_CHECK" => Kind::Smtp {
            helo: text(node, "helo_name")
                .unwrap_or_else(|| "smtpchecker.keepalived.org".to_owned()),
        },
        "DNS_CHECK" => question(node, found)?,
        "UDP_CHECK" => Kind::Udp(datagram(node)),
        "PING_CHECK" => Kind::Ping,
        "MISC_CHECK" => script(node, interval, around, found)?,
        "FILE_CHECK" => file(node, around, found)?,
        "BFD_CHECK" => {
            bfd(node, around, found);
            return None;
        }
        _ => return None,
    };
    let file = matches!(kind, Kind::File(_));
    let alpha = match file {
        true => node.flag("alpha").unwrap_or(false),
        false => inherited.alpha,
    };
    let mut target = target(node, addr, found);
    if inherited.check_vip {
        on_server(node, &kind, inherited, &mut target, found);
    }
    let check = Check {
        timing: timing(&kind, interval, inherited, around),
        target,
        kind,
        alpha,
    };
    let log_all = node.flag("log_all_failures");
    let program = node.child("misc_path").and_then(|n| n.command());
    let program = program.map_or(node.head.span, |command| command.span.span);
    Some(Checker {
        keyword,
        check,
        log_all: log_all.unwrap_or(around.defaults.log_all),
        span: At::new((), node.head.span),
        program: At::new((), program),
    })
}

fn timing(
    kind: &Kind,
    interval: Duration,
    inherited: &Inherited<'_>,
    around: Around<'_>,
) -> Timing {
    let second = Duration::from_secs(1);
    let (retries, retry_delay) = match kind {
        Kind::Http(_) => (1, second * 3),
        Kind::Dns { .. } => (3, interval),
        Kind::Script(_) => (0, second),
        _ => (1, second),
    };
    Timing {
        interval,
        timeout: inherited.connect_timeout.unwrap_or(second * 5),
        each_step: around.defaults.each_step,
        retries: inherited.retry.unwrap_or(retries),
        retry_delay: inherited.delay_before_retry.unwrap_or(retry_delay),
        rise: inherited.rise.unwrap_or(1),
        warmup: inherited.warmup.unwrap_or(interval),
    }
}

fn target(node: &Node, addr: Endpoint, found: &mut Vec<Diagnostic>) -> Target {
    let ip = node.child("connect_ip").and_then(|n| n.addr());
    let port = |name| node.child(name).and_then(|n| u16::try_from(n.int()?).ok());
    let ip = ip.unwrap_or_else(|| addr.ip.into());
    let bind = node.child("bindto");
    let source = bind.and_then(|n| n.addr());
    if let Some(bind) = bind.filter(|_| source.is_some_and(|s| s.is_ipv4() != ip.is_ipv4())) {
        let wrong = format!("`bindto` is of another family than {ip}, which it asks");
        found.push(Diagnostic::error("family-mismatch", bind.span, wrong).tolerated());
    }
    Target {
        source,
        source_port: port("bind_port"),
        interface: text(node, "bind_if"),
        mark: node.child("fwmark").and_then(|n| n.int()).map_or(0, small),
        ..Target::new(SocketAddr::new(
            ip,
            port("connect_port").unwrap_or(addr.port),
        ))
    }
}

/// Makes a check one of the virtual address on its server.
fn on_server(
    node: &Node,
    kind: &Kind,
    inherited: &Inherited<'_>,
    target: &mut Target,
    found: &mut Vec<Diagnostic>,
) {
    let place = node
        .child("lvsd_check_vip")
        .map_or(node.head.span, |n| n.span);
    if matches!(kind, Kind::Ping | Kind::Script(_) | Kind::File(_)) {
        if node.child("lvsd_check_vip").is_some() {
            let wrong = "`lvsd_check_vip` means something to checks by TCP and UDP only";
            found.push(Diagnostic::warning("no-effect", place, wrong));
        }
        return;
    }
    let Some(via) = inherited.via else {
        let wrong = "a server by NAT or FullNAT never sees the virtual address";
        found.push(
            Diagnostic::error("check-vip-method", place, wrong)
                .help("write `lvsd_check_vip off` in this server's block")
                .tolerated(),
        );
        return;
    };
    let vips: BTreeSet<IpAddr> = inherited
        .keys
        .iter()
        .filter_map(|k| Some(k.addr()?.ip.into()))
        .collect();
    let named = node
        .child("connect_ip")
        .and_then(|n| Some((n.addr()?, n.span)));
    let mut wrong = |place, what: String, help: &str| {
        let wrong = Diagnostic::error("check-vip-address", place, what);
        found.push(wrong.help(help).tolerated());
    };
    let vip = match (named, vips.len()) {
        (Some((ip, place)), 1..) if !vips.contains(&ip) => {
            let what = format!("{ip} is no address of this service");
            return wrong(place, what, "name one that is, or leave `connect_ip` out");
        }
        (Some((ip, _)), _) => ip,
        (None, 0) => {
            let what = "this service has a firewall mark, but no virtual address".to_owned();
            return wrong(place, what, "say which is meant: `connect_ip ADDRESS`");
        }
        (None, 2..) => {
            let what = format!("this service has {} virtual addresses", vips.len());
            let help = "say which is asked: `connect_ip ADDRESS`; a server can have several checks";
            return wrong(place, what, help);
        }
        (None, 1) => match vips.first() {
            Some(ip) => *ip,
            None => return,
        },
    };
    for name in ["bind_port", "bind_if", "fwmark"] {
        if let Some(line) = node.child(name) {
            let wrong = format!("`{name}` means nothing to a check of the virtual address");
            found.push(Diagnostic::warning("no-effect", line.span, wrong));
        }
    }
    *target = Target {
        source: target.source,
        via: Some(via),
        ..Target::new(SocketAddr::new(vip, target.addr.port()))
    };
}

fn text(node: &Node, name: &str) -> Option<String> {
    Some(node.child(name)?.text()?.to_owned())
}

fn missing(node: &Node, what: &str, found: &mut Vec<Diagnostic>) {
    if !node.tried(what) {
        let keyword = node.keyword.name;
        found.push(
            Diagnostic::error(
                "missing-keyword",
                node.head.span,
                format!("`{keyword}` has no `{what}`, so it would check nothing"),
            )
            .tolerated(),
        );
    }
}

fn pages(
    node: &Node,
    inherited: &Inherited<'_>,
    around: Around<'_>,
    found: &mut Vec<Diagnostic>,
) -> Option<Kind> {
    let pages: Vec<Page> = node
        .children("url")
        .filter_map(|url| page(url, inherited, found))
        .collect();
    if pages.is_empty() {
        missing(node, "url", found);
        return None;
    }
    let version = match node.child("http_protocol").and_then(|n| n.text()) {
        Some("1.0C") => HttpVersion::V1_0Close,
        Some("1.1") => HttpVersion::V1_1,
        _ => HttpVersion::V1_0,
    };
    let tls = node.is("SSL_GET").then(|| tls(node, inherited, around));
    Some(Kind::Http(Http {
        pages,
        version,
        tls,
        fast_recovery: node.flag("fast_recovery").unwrap_or(false),
    }))
}

fn page(url: &Node, inherited: &Inherited<'_>, found: &mut Vec<Diagnostic>) -> Option<Page> {
    let Some(path) = text(url, "path") else {
        missing(url, "path", found);
        return None;
    };
    let host = text(url, "virtualhost").or_else(|| inherited.host.map(str::to_owned));
    let digest = url.child("digest").map(|n| n.bytes());
    let digest: Option<Vec<u8>> = digest.map(|d| d.into_iter().map(|(byte, _)| byte).collect());
    let codes = url
        .child("status_code")
        .into_iter()
        .flat_map(|n| n.ranges());
    let code = |n: i64| u16::try_from(n).unwrap_or(u16::MAX);
    Some(Page {
        path,
        host,
        digest: digest.and_then(|d| d.try_into().ok()),
        status: codes.map(|(low, high)| (code(low), code(high))).collect(),
        pattern: pattern(url, found),
    })
}

fn pattern(url: &Node, found: &mut Vec<Diagnostic>) -> Option<Pattern> {
    let Some(regex) = url.child("regex") else {
        let alone = |n: &&Node| n.keyword.name.starts_with("regex_");
        if let Some(alone) = url.body.iter().find(alone).filter(|_| !url.tried("regex")) {
            let name = alone.keyword.name;
            let wrong = format!("`{name}` means nothing without `regex`");
            found.push(Diagnostic::warning("no-effect", alone.span, wrong));
        }
        return None;
    };
    let options: Vec<&str> = url
        .children("regex_options")
        .flat_map(|n| n.args.iter().filter_map(|arg| arg.text()))
        .collect();
    let has = |name| options.contains(&name);
    let offset = |name| {
        let offset = url.child(name).and_then(|n| n.int());
        offset.and_then(|n| usize::try_from(n).ok())
    };
    let pattern = Pattern {
        expression: regex.text()?.to_owned(),
        expected: !url.flag("regex_no_match").unwrap_or(false),
        caseless: has("caseless"),
        dotall: has("dotall"),
        multiline: has("multiline"),
        extended: has("extended"),
        ungreedy: has("ungreedy"),
        from: offset("regex_min_offset").unwrap_or(0),
        to: offset("regex_max_offset"),
    };
    if let Some(to) = pattern.to.filter(|to| *to < pattern.from) {
        let wrong = format!(
            "a match cannot begin at byte {} or later and at byte {to} or earlier",
            pattern.from
        );
        found.push(Diagnostic::error("bad-regex", regex.span, wrong));
    }
    if let Err(why) = http::Matcher::new(&pattern) {
        let why = why.lines().last().unwrap_or_default();
        let why = why.trim_start_matches("error: ").to_owned();
        found.push(
            Diagnostic::error("bad-regex", regex.span, "this regular expression cannot be used")
                .label(why)
                .help("look-around and back references are not supported; other expressions are written as in PCRE"),
        );
        return None;
    }
    Some(pattern)
}

fn tls(node: &Node, inherited: &Inherited<'_>, around: Around<'_>) -> Tls {
    let sni = node.child("sni_name").map(|n| n.text().map(str::to_owned));
    let wanted = sni.is_some() || node.flag("enable_sni").unwrap_or(false);
    let of_pages = node
        .children("url")
        .find_map(|url| text(url, "virtualhost"));
    let name = sni
        .flatten()
        .or(of_pages)
        .or_else(|| text(node, "virtualhost"))
        .or_else(|| inherited.host.or(inherited.service_host).map(str::to_owned));
    let path = |name| {
        around
            .ssl
            .and_then(|ssl| text(ssl, name))
            .map(PathBuf::from)
    };
    Tls {
        // As a header, a name may have a port behind it.
        server_name: name.filter(|_| wanted).map(|n| without_port(&n).to_owned()),
        verify: node.flag("lvsd_tls_verify").unwrap_or(false),
        authorities: path("ca"),
        identity: path("certificate").zip(path("key")),
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') && port.bytes().all(|b| b.is_ascii_digit()) => {
            name
        }
        _ => host,
    }
}

fn question(node: &Node, found: &mut Vec<Diagnostic>) -> Option<Kind> {
    let record = match node.child("type").and_then(|n| n.text()) {
        Some("A") => 1,
        Some("NS") => 2,
        Some("CNAME") => 5,
        Some("MX") => 15,
        Some("TXT") => 16,
        Some("AAAA") => 28,
        Some("RRSIG") => 46,
        Some("DNSKEY") => 48,
        _ => 6, // SOA
    };
    let name = text(node, "name").unwrap_or_else(|| ".".to_owned());
    if let Err(why) = dns::Name::new(&name) {
        let span = node.child("name").map_or(node.span, |n| n.span);
        let wrong = format!("`{name}` is no name that can be asked for");
        found.push(Diagnostic::error("bad-name", span, wrong).label(why.to_string()));
        return None;
    }
    Some(Kind::Dns { record, name })
}

fn datagram(node: &Node) -> Udp {
    let payload = node.child("payload").map(|n| n.bytes());
    let payload: Option<Vec<u8>> = payload.map(|p| p.into_iter().map(|(byte, _)| byte).collect());
    let reply = node.child("require_reply");
    let length = |name| node.child(name).and_then(|n| u16::try_from(n.int()?).ok());
    Udp {
        payload: payload.unwrap_or_else(|| GREETING.to_vec()),
        reply_required: reply.is_some(),
        reply: reply.map_or_else(Vec::new, |n| n.bytes()),
        length: (
            length("min_reply_length").unwrap_or(0),
            length("max_reply_length").unwrap_or(255),
        ),
    }
}

fn script(
    node: &Node,
    interval: Duration,
    around: Around<'_>,
    found: &mut Vec<Diagnostic>,
) -> Option<Kind> {
    let Some(command) = node.child("misc_path").and_then(|n| n.command()) else {
        missing(node, "misc_path", found);
        return None;
    };
    let own = node.child("user");
    let named = own.and_then(|n| Some(At::new(n.user()?, n.span)));
    let user = match security::runs_as(around.host, around.global, named.as_deref()) {
        Ok(user) => user,
        Err(unknown) => {
            let code = match unknown {
                Unknown::Group(_) => "unknown-group",
                _ => "unknown-user",
            };
            let span = named.as_ref().or(around.global.script_user.as_ref());
            let span = span.map_or(node.span, |user| user.span);
            let diagnostic = Diagnostic::error(code, span, unknown.to_string());
            found.push(match unknown {
                Unknown::Default => diagnostic.help("add `script_user USER` to `global_defs`"),
                _ => diagnostic,
            });
            return None;
        }
    };
    let seconds = node.child("misc_timeout").and_then(|n| n.int());
    let timeout = seconds.map(|s| Duration::from_secs(s.unsigned_abs()));
    Some(Kind::Script(Script {
        argv: command.argv.clone(),
        user,
        timeout: timeout.unwrap_or(interval),
        dynamic: node.flag("misc_dynamic").unwrap_or(false),
    }))
}

/// Sessions are not kept yet; whether there is such a one is checked all the same.
fn bfd(node: &Node, around: Around<'_>, found: &mut Vec<Diagnostic>) {
    let Some(named) = node.child("name") else {
        return missing(node, "name", found);
    };
    let name = named.text().unwrap_or_default();
    if around.vrrp.bfd(name).is_none() {
        let wrong = format!("there is no `bfd_instance {name}`");
        found.push(Diagnostic::error("unknown-name", named.span, wrong).tolerated());
    }
}

fn file(node: &Node, around: Around<'_>, found: &mut Vec<Diagnostic>) -> Option<Kind> {
    let Some(named) = node.child("track_file") else {
        missing(node, "track_file", found);
        return None;
    };
    let name = named.text()?;
    let Some(tracked) = around.vrrp.file(name) else {
        let wrong = format!("there is no `track_file {name}`");
        found.push(Diagnostic::error("unknown-name", named.span, wrong).tolerated());
        return None;
    };
    let weight = node.child("weight");
    let own = weight.and_then(|n| n.int());
    let reverse = weight.and_then(|n| n.arg("REVERSE")?.text());
    let (value, reverse) = match own {
        Some(value) => (value, reverse == Some("reverse")),
        None => (tracked.weight.value.into(), tracked.weight.reverse),
    };
    Some(Kind::File(FileCheck {
        path: tracked.path.clone(),
        weight: if reverse { -value } else { value },
    }))
}
