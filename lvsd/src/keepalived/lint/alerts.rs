//! Mails and pipes.

use std::path::Path;

use super::{Lint, Scene};
use crate::keepalived::diagnostic::Diagnostic;
use crate::keepalived::model::Fifo;
use crate::keepalived::place::Span;

pub(super) const LINTS: &[Lint] = &[
    Lint::warning(
        "mail-without-server",
        mail_without_server,
        "There are recipients for mails, and no smtp_server that takes them, so that none is sent.",
    ),
    Lint::warning(
        "mail-without-recipients",
        mail_without_recipients,
        "There is an smtp_server, and nobody in notification_email, so that no mail is sent.",
    ),
    Lint::warning(
        "mail-address",
        mail_address,
        "A recipient or the sender of mails is no address that a mail server would take.",
    ),
    Lint::warning(
        "alert-without-mail",
        alert_without_mail,
        "smtp_alert asks for mails, and neither a server nor recipients are configured.",
    ),
    Lint::warning(
        "fifo-is-file",
        fifo_is_file,
        "A pipe for events has the path of something that is no pipe.",
    ),
    Lint::warning(
        "fifo-twice",
        fifo_twice,
        "Two pipes for events have the same path, so that its reader gets each event twice.",
    ),
];

fn mail_without_server(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    let global = &s.config.global;
    if let (Some(to), None) = (global.mail_to.first(), &global.smtp_server) {
        let found = s.found(
            to.span,
            format!(
                "mails are to go to `{}`, and there is no `smtp_server`",
                to.value
            ),
        );
        out.push(found.help("add `smtp_server ADDRESS` to `global_defs`"));
    }
}

fn mail_without_recipients(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    let global = &s.config.global;
    if let (true, Some(server)) = (global.mail_to.is_empty(), &global.smtp_server) {
        let found = s.found(
            server.span,
            "there is an `smtp_server`, and nobody to send mails to",
        );
        out.push(found.help("add `notification_email { you@example.org }` to `global_defs`"));
    }
}

/// What is wrong with a recipient as it is written: `root`, `ops@example.net` or `Ops <ops@example.net>`.
fn wrong_with(address: &str) -> Option<&'static str> {
    let written = address.trim();
    let inner = written.strip_suffix('>').and_then(|w| w.rsplit_once('<'));
    let envelope = inner.map_or(written, |(_, envelope)| envelope);
    if envelope.is_empty() {
        Some("it is empty")
    } else if envelope.contains(char::is_whitespace) {
        Some("it has blanks, and no `<ADDRESS>` at its end")
    } else if envelope.matches('@').count() > 1 {
        Some("it has more than one `@`")
    } else if envelope.starts_with('@') || envelope.ends_with('@') {
        Some("one side of its `@` is empty")
    } else if envelope.contains(['<', '>']) {
        Some("its `<` and `>` do not match")
    } else {
        None
    }
}

fn mail_address(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    let global = &s.config.global;
    // Each word is a recipient, so a name without quotes becomes several.
    let mut in_pieces = Vec::new();
    for (nr, address) in global.mail_to.iter().enumerate() {
        let before = global.mail_to.get(..nr).unwrap_or_default();
        let names = before.iter().rev().take_while(|word| {
            let beside = word.span.file == address.span.file && word.span.line == address.span.line;
            beside && !word.contains(['@', '<'])
        });
        let name: Vec<_> = names.collect();
        let Some(first) = name.last() else { continue };
        if !address.starts_with('<') || address.len() <= 2 {
            continue;
        }
        in_pieces.extend(name.iter().map(|word| word.span));
        let words: Vec<&str> = name.iter().rev().map(|word| word.value.as_str()).collect();
        let written = format!("{} {}", words.join(" "), address.value);
        let found = s.found(
            first.span.to(address.span),
            format!("`{written}` are {} recipients", name.len() + 1),
        );
        out.push(found.help(format!("put name and address into quotes: `\"{written}\"`")));
    }
    for address in global.mail_to.iter().chain(&global.mail_from) {
        let Some(why) = wrong_with(address).filter(|_| !in_pieces.contains(&address.span)) else {
            continue;
        };
        let found = s.found(
            address.span,
            format!("`{}` is no mail address: {why}", address.value),
        );
        out.push(
            found.help("write `user@example.org`, or `\"Name <user@example.org>\"` in quotes"),
        );
    }
}

fn alert_without_mail(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    let global = &s.config.global;
    if global.smtp_server.is_some() || !global.mail_to.is_empty() {
        return;
    }
    let vrrp = &s.config.vrrp;
    let instances = vrrp.instances.iter().map(|i| (i.mails, i.span.span));
    let groups = vrrp.groups.iter().map(|g| (g.mails, g.span.span));
    // Servers have it on unless told otherwise, so theirs says nothing.
    let services = s.services().map(|v| (v.mails, v.span.span));
    let mut asking = services
        .chain(groups)
        .chain(instances)
        .filter(|(mails, _)| *mails);
    if let Some((_, span)) = asking.next() {
        let found = s.found(span, "`smtp_alert` asks for mails, and there is neither `smtp_server` nor `notification_email`");
        out.push(found.help("add both to `global_defs`, or remove `smtp_alert`"));
    }
}

/// The pipes with their keywords.
fn fifos<'a>(s: &Scene<'a>) -> impl Iterator<Item = (&'static str, &'a Fifo)> {
    let global = &s.config.global;
    let all = [
        ("notify_fifo", &global.fifo),
        ("vrrp_notify_fifo", &global.vrrp_fifo),
        ("lvs_notify_fifo", &global.lvs_fifo),
    ];
    all.into_iter()
        .filter_map(|(keyword, fifo)| Some((keyword, fifo.as_ref()?)))
}

fn fifo_is_file(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    for (keyword, fifo) in fifos(s) {
        let path = fifo.path.display();
        let what = match s.host.stat(&fifo.path) {
            Ok(stat) if stat.folder => "a folder",
            Ok(stat) if stat.file => "a regular file",
            _ => continue,
        };
        let found = s.found(
            global_place(s),
            format!("`{keyword}` is `{path}`, which is {what}"),
        );
        out.push(
            found.help("name a path where nothing is, or a pipe: it is made if it is not there"),
        );
    }
}

fn fifo_twice(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    let all: Vec<(&str, &Path)> = fifos(s).map(|(k, f)| (k, f.path.as_path())).collect();
    for (nr, (keyword, path)) in all.iter().enumerate() {
        if let Some((other, _)) = all[..nr].iter().find(|(_, p)| p == path) {
            let message = format!("`{other}` and `{keyword}` are both `{}`", path.display());
            out.push(s.found(global_place(s), message).help(format!(
                "`notify_fifo` has all events; remove `{keyword}`, or give it a path of its own"
            )));
        }
    }
}

/// The place of `global_defs`.
fn global_place(s: &Scene<'_>) -> Span {
    s.config.vrrp.common.span.unwrap_or_default()
}
