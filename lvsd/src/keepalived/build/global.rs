//! `global_defs`, as far as virtual services and the daemon have use for it.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use crate::keepalived::diagnostic::Diagnostic;
use crate::keepalived::model::{At, Command, Fifo, Global, Listen, MailServer};
use crate::keepalived::tree::{Line, Node};

/// What `global_defs` says about servers and checks, where those say nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Defaults {
    /// `smtp_alert_checker`, or else `smtp_alert`.
    pub(super) mails: Option<bool>,
    /// `checker_log_all_failures`.
    pub(super) log_all: bool,
    /// `lvsd_step_timeouts`.
    pub(super) each_step: bool,
}

/// All `global_defs` blocks together: in each, what is said later counts.
struct Blocks<'a>(Vec<&'a Node>);

impl<'a> Blocks<'a> {
    fn child(&self, name: &str) -> Option<&'a Node> {
        self.0.iter().rev().find_map(|block| block.child(name))
    }

    fn flag(&self, name: &str) -> bool {
        self.child(name).is_some_and(|node| node.bool())
    }

    fn text(&self, name: &str) -> Option<String> {
        Some(self.child(name)?.text()?.to_owned())
    }
}

pub(super) fn build(nodes: &[Node], found: &mut Vec<Diagnostic>) -> (Global, Defaults) {
    let blocks = nodes.iter().filter(|node| node.is("global_defs"));
    let blocks = Blocks(blocks.collect());
    let mails = blocks
        .child("smtp_alert_checker")
        .or_else(|| blocks.child("smtp_alert"));
    let defaults = Defaults {
        mails: mails.map(|node| node.bool()),
        log_all: blocks.flag("checker_log_all_failures"),
        each_step: blocks.flag("lvsd_step_timeouts"),
    };
    for name in ["notify_fifo", "lvs_notify_fifo", "vrrp_notify_fifo"] {
        reader_alone(&blocks, name, found);
    }
    (global(&blocks), defaults)
}

fn global(blocks: &Blocks<'_>) -> Global {
    let recipients = blocks
        .0
        .iter()
        .flat_map(|b| b.children("notification_email"));
    let recipients = recipients.flat_map(|node| &node.items);
    let script = |name: &str, timeout: &str| {
        let command = blocks.child(name)?.command()?.clone();
        let seconds = blocks.child(timeout).and_then(|node| node.int());
        Some((command, seconds.map_or(10, small)))
    };
    Global {
        router_id: blocks.text("router_id"),
        mail_to: recipients
            .filter_map(|line| Some(At::new(line.text()?.to_owned(), line.span)))
            .collect(),
        mail_from: blocks
            .child("notification_email_from")
            .and_then(|node| text_at(node)),
        smtp_server: blocks.child("smtp_server").and_then(mail_server),
        smtp_helo: blocks.text("smtp_helo_name"),
        smtp_timeout: blocks
            .child("smtp_connect_timeout")
            .and_then(|node| node.int())
            .map(small),
        no_checker_mails: blocks.flag("no_checker_emails"),
        script_user: blocks
            .child("script_user")
            .and_then(|node| Some(At::new(node.user()?, node.span))),
        script_security: blocks.flag("enable_script_security"),
        symlink_paths: blocks.flag("use_symlink_paths"),
        supplementary_groups: blocks.flag("set_supplementary_groups"),
        startup: script("startup_script", "startup_script_timeout"),
        shutdown: script("shutdown_script", "shutdown_script_timeout"),
        fifo: fifo(blocks, "notify_fifo", "notify_fifo_script"),
        lvs_fifo: fifo(blocks, "lvs_notify_fifo", "lvs_notify_fifo_script"),
        vrrp_fifo: fifo(blocks, "vrrp_notify_fifo", "vrrp_notify_fifo_script"),
        announce_initial: blocks.flag("rs_init_notifies"),
        timeouts: timeouts(blocks),
        flush: blocks.flag("lvs_flush"),
        flush_on_stop: blocks.child("lvs_flush_on_stop").is_some(),
        http: blocks.child("lvsd_http").and_then(|node| listen(node)),
    }
}

fn timeouts(blocks: &Blocks<'_>) -> [Option<u32>; 3] {
    let node = blocks.child("lvs_timeouts");
    ["tcp", "tcpfin", "udp"].map(|name| node?.option(name)?.int().map(small))
}

/// What is to read a pipe, without a pipe.
fn reader_alone(blocks: &Blocks<'_>, name: &str, found: &mut Vec<Diagnostic>) {
    let reader = format!("{name}_script");
    if let Some(node) = blocks.child(&reader)
        && !blocks.0.iter().any(|block| block.tried(name))
    {
        let message = format!("`{reader}` is never started without `{name}`");
        found.push(
            Diagnostic::warning("no-effect", node.line.span, message)
                .help(format!("say which pipe it reads: `{name} PATH`")),
        );
    }
}

fn fifo(blocks: &Blocks<'_>, name: &str, reader: &str) -> Option<Fifo> {
    let node = blocks.child(name)?;
    let reader: Option<Command> = blocks.child(reader).and_then(|n| n.command().cloned());
    Some(Fifo {
        path: PathBuf::from(node.text()?),
        user: node.user(),
        reader,
    })
}

/// A keyword's word, with its place.
fn text_at(line: &Line) -> Option<At<String>> {
    let word = line.args.iter().find(|arg| arg.text().is_some())?;
    Some(At::new(word.text()?.to_owned(), word.span))
}

fn mail_server(node: &Node) -> Option<At<MailServer>> {
    let port = node.arg("PORT").and_then(|arg| arg.int());
    let port = port.and_then(|p| u16::try_from(p).ok()).unwrap_or(25);
    let server = match node.addr() {
        Some(ip) => MailServer::Address(SocketAddr::new(ip, port)),
        None => MailServer::Name(node.text()?.to_owned(), port),
    };
    Some(At::new(server, node.span))
}

/// `ADDRESS PORT`, or the path of a socket.
fn listen(line: &Line) -> Option<At<Listen>> {
    let ip: Option<IpAddr> = line.addr();
    let listen = match ip {
        Some(ip) => Listen::Tcp(SocketAddr::new(ip, u16::try_from(line.int()?).ok()?)),
        None => Listen::Unix(PathBuf::from(line.text()?)),
    };
    Some(At::new(listen, line.span))
}

/// A number that the tables have seen to fit.
pub(super) fn small(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
