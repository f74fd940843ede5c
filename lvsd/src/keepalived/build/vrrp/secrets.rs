//! `authentication` and `auth_hmac`.

use std::time::Duration;

use lvs_core::Family;

use super::in_vain;
use crate::keepalived::build::tracking::{missing, unknown};
use crate::keepalived::diagnostic::Diagnostic;
use crate::keepalived::model::{
    At, Authentication, Hmac, HmacKey, HmacMode, Instance, Replay, Version,
};
use crate::keepalived::tree::{Arg, Node};

/// Reads both into an instance whose version, family and strictness are known.
pub(super) fn read(node: &Node, instance: &mut Instance, found: &mut Vec<Diagnostic>) {
    instance.authentication = node
        .child("authentication")
        .and_then(|n| authentication(n, instance, found));
    instance.hmac = node
        .child("auth_hmac")
        .and_then(|n| hmac(n, instance, found));
}

fn authentication(
    node: &Node,
    instance: &Instance,
    found: &mut Vec<Diagnostic>,
) -> Option<At<Authentication>> {
    let kind = node.child("auth_type").and_then(|n| n.text());
    let why = if instance.version == Version::V3 {
        "version 3 of VRRP has no authentication: advertisements are sent and taken without"
    } else if instance.strict {
        "strict mode has no authentication: advertisements are sent and taken without"
    } else if instance.family == Family::V6 && kind == Some("AH") {
        "there is no authentication by AH over IPv6: advertisements are sent and taken without"
    } else {
        let Some(kind) = kind else {
            found.extend(
                missing(
                    node,
                    "auth_type",
                    ": advertisements are sent and taken without a password",
                )
                .map(Diagnostic::tolerated),
            );
            return None;
        };
        let Some(password) = node.child("auth_pass").and_then(|n| Some((n, n.text()?))) else {
            found.extend(
                missing(
                    node,
                    "auth_pass",
                    ": advertisements are sent and taken without",
                )
                .map(Diagnostic::tolerated),
            );
            return None;
        };
        let key = key(password.0, password.1, found);
        let value = match kind {
            "AH" => Authentication::Ah(key),
            _ => Authentication::Password(key),
        };
        return Some(At::new(value, node.head.span));
    };
    let ignored = in_vain("authentication-ignored", node.head.span, why);
    found.push(ignored.help(match instance.version {
        Version::V3 => {
            "remove the block; to keep others out, filter protocol 112 or use `auth_hmac`"
        }
        Version::V2 => "remove the block",
    }));
    None
}

/// The first eight bytes of a password.
fn key(node: &Node, text: &str, found: &mut Vec<Diagnostic>) -> [u8; 8] {
    let mut key = [0; 8];
    for (to, from) in key.iter_mut().zip(text.bytes()) {
        *to = from;
    }
    if text.len() > key.len() {
        let message = format!(
            "a password has at most 8 bytes, and this has {}",
            text.len()
        );
        let cut = in_vain("password-cut", node.span, message).label("the first 8 are used");
        found.push(cut.help("shorten it, here and on the peers"));
    }
    key
}

fn hmac(node: &Node, instance: &Instance, found: &mut Vec<Diagnostic>) -> Option<Hmac> {
    let mut keys: Vec<HmacKey> = Vec::new();
    for line in node.children("key") {
        let Some(id) = line.int().and_then(|id| u8::try_from(id).ok()) else {
            continue;
        };
        if keys.iter().any(|k| k.id == id) {
            let message = format!("there is a key {id} already");
            found.push(Diagnostic::error("defined-twice", line.span, message).tolerated());
            continue;
        }
        let words: Vec<&str> = line.args.iter().filter_map(Arg::text).collect();
        let secret = words.join(" ");
        keys.push(HmacKey { id, secret });
    }
    let Some(first) = keys.first() else {
        found.extend(missing(node, "key", ": nothing can be signed").map(Diagnostic::tolerated));
        return None;
    };
    let active = match node
        .child("active_key")
        .and_then(|n| Some((n, u8::try_from(n.int()?).ok()?)))
    {
        Some((line, id)) if !keys.iter().any(|k| k.id == id) => {
            let ids: Vec<String> = keys.iter().map(|k| k.id.to_string()).collect();
            found.push(unknown(
                "key",
                &id.to_string(),
                line.span,
                ids.iter().map(String::as_str),
            ));
            first.id
        }
        Some((_, id)) => id,
        None => first.id,
    };
    let mut mode = match node.child("mode").and_then(|n| n.text()) {
        Some("permissive") => HmacMode::Permissive,
        Some("receive-only") => HmacMode::ReceiveOnly,
        _ => HmacMode::Enforce,
    };
    if instance.strict && mode != HmacMode::Enforce {
        let message = "strict mode knows `mode enforce` only";
        found.push(
            in_vain("strict-corrects", super::place(node, "mode"), message)
                .help("write `mode enforce`, or leave strict mode"),
        );
        mode = HmacMode::Enforce;
    }
    let (least, most) = (Duration::from_secs(5), Duration::from_secs(300));
    let usual = instance.interval.value.saturating_mul(3).clamp(least, most);
    let window = node
        .child("time_window")
        .and_then(|n| super::common::seconds(n));
    Some(Hmac {
        active,
        replay: match node.child("anti_replay").and_then(|n| n.text()) {
            Some("monotonic") => Replay::Monotonic,
            _ => Replay::Time,
        },
        window: window.unwrap_or(usual),
        mode,
        keys,
        span: At::new((), node.head.span),
    })
}
