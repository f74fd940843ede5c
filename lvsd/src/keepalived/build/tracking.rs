//! What VRRP watches: the objects, and the lines that name them.

use std::path::PathBuf;
use std::time::Duration;

use crate::keepalived::diagnostic::Diagnostic;
use crate::keepalived::keywords::alike;
use crate::keepalived::model::{
    At, Bfd, InitFile, ProcessMatch, TrackFile, TrackProcess, TrackScript, Tracked, Tracking, Vrrp,
    Weight,
};
use crate::keepalived::place::Span;
use crate::keepalived::tree::{Arg, Line, Node};

/// The greatest weight of anything but a file.
const MOST: i32 = 253;

/// All objects.
pub(super) fn objects(nodes: &[Node], vrrp: &mut Vrrp, found: &mut Vec<Diagnostic>) {
    for node in nodes {
        match node.keyword.name {
            "vrrp_script" => add(
                &mut vrrp.scripts,
                script(node, found),
                |s| &s.name,
                node,
                found,
            ),
            "track_file" => add(&mut vrrp.files, file(node, found), |f| &f.name, node, found),
            "vrrp_track_process" => {
                add(
                    &mut vrrp.processes,
                    process(node, found),
                    |p| &p.name,
                    node,
                    found,
                );
            }
            "bfd_instance" => add(&mut vrrp.bfd, bfd(node, found), |b| &b.name, node, found),
            _ => {}
        }
    }
}

/// Adds an object unless there is one of the same name.
pub(super) fn add<T>(
    all: &mut Vec<T>,
    one: Option<T>,
    name: impl Fn(&T) -> &At<String>,
    node: &Node,
    found: &mut Vec<Diagnostic>,
) {
    let Some(one) = one else { return };
    match all.iter().find(|other| name(other) == name(&one)) {
        Some(first) => {
            let own = name(&one);
            let message = format!("there is a `{} {}` already", node.keyword.name, own.value);
            let twice = Diagnostic::error("defined-twice", own.span, message).tolerated();
            found.push(
                twice
                    .also(name(first).span, "first here")
                    .help("give it another name, or remove one of them"),
            );
        }
        None => all.push(one),
    }
}

/// The name behind a block's keyword.
pub(super) fn name(node: &Node) -> Option<At<String>> {
    let arg = node.args.iter().find(|arg| arg.text().is_some())?;
    Some(At::new(arg.text()?.to_owned(), arg.span))
}

/// A block lacks a keyword, unless it is there and wrong.
pub(super) fn missing(node: &Node, what: &str, why: &str) -> Option<Diagnostic> {
    let message = format!("`{}` has no `{what}`{why}", node.keyword.name);
    let lacks = Diagnostic::error("missing-keyword", node.head.span, message);
    (!node.tried(what)).then_some(lacks)
}

/// A number and perhaps `reverse`.
fn weight(args: &[Arg]) -> Option<Weight> {
    let value = args.iter().find_map(Arg::int)?;
    Some(Weight {
        value: i32::try_from(value).unwrap_or(if value < 0 { i32::MIN } else { i32::MAX }),
        reverse: args.iter().any(|a| a.text() == Some("reverse")),
    })
}

fn own_weight(node: &Node) -> Option<Weight> {
    weight(&node.child("weight")?.args)
}

fn number(node: &Node, keyword: &str) -> Option<u32> {
    u32::try_from(node.child(keyword)?.int()?).ok()
}

fn time(node: &Node, keyword: &str) -> Option<Duration> {
    node.child(keyword)?.time()
}

fn script(node: &Node, found: &mut Vec<Diagnostic>) -> Option<TrackScript> {
    let name = name(node)?;
    let Some(command) = node.child("script").and_then(|n| n.command()) else {
        found.extend(
            missing(node, "script", ", so there is nothing to run").map(Diagnostic::tolerated),
        );
        return None;
    };
    let mut command = command.clone();
    if let Some(user) = node.child("user").and_then(|n| n.user()) {
        command.user = Some(user);
    }
    // keepalived hands such a line to system(3).
    let shell = command
        .argv
        .first()
        .is_some_and(|program| program.starts_with('<'));
    if shell {
        command.argv = [
            "/bin/sh".to_owned(),
            "-c".to_owned(),
            command.argv.join(" "),
        ]
        .into();
    }
    let interval = time(node, "interval").unwrap_or(Duration::from_secs(1));
    Some(TrackScript {
        name,
        command,
        shell,
        interval,
        timeout: time(node, "timeout").unwrap_or(interval),
        weight: own_weight(node).unwrap_or_default(),
        rise: number(node, "rise").unwrap_or(1),
        fall: number(node, "fall").unwrap_or(1),
        init_fail: node.flag("init_fail").unwrap_or(false),
        span: At::new((), node.head.span),
    })
}

fn file(node: &Node, found: &mut Vec<Diagnostic>) -> Option<TrackFile> {
    let name = name(node)?;
    let Some(path) = node.child("file").and_then(|n| n.text()) else {
        found.extend(
            missing(node, "file", ", so there is nothing to read").map(Diagnostic::tolerated),
        );
        return None;
    };
    let init = node.child("init_file").map(|n| InitFile {
        value: n.int().and_then(|v| i32::try_from(v).ok()).unwrap_or(0),
        overwrite: says(n, "overwrite"),
    });
    Some(TrackFile {
        name,
        path: PathBuf::from(path),
        weight: own_weight(node).unwrap_or(Weight {
            value: 1,
            reverse: false,
        }),
        init,
        span: At::new((), node.head.span),
    })
}

/// Whether a word, or an option without argument, is on a line.
pub(super) fn says(line: &Line, word: &str) -> bool {
    line.option(word).is_some() || line.args.iter().any(|a| a.text() == Some(word))
}

fn process(node: &Node, found: &mut Vec<Diagnostic>) -> Option<TrackProcess> {
    let name = name(node)?;
    let words = node
        .child("process")
        .map(|n| n.args.iter().filter_map(Arg::text));
    let argv: Vec<String> = words.into_iter().flatten().map(str::to_owned).collect();
    if argv.is_empty() {
        found.extend(
            missing(node, "process", ", so there is nothing to look for")
                .map(Diagnostic::tolerated),
        );
        return None;
    }
    let matching = match node.child("param_match").map(|n| n.text()) {
        Some(Some("initial")) => ProcessMatch::Initial,
        Some(Some("partial")) => ProcessMatch::Partial,
        Some(_) => ProcessMatch::Exact,
        None if argv.len() > 1 => ProcessMatch::Exact,
        // Without arguments any are as good.
        None if node.flag("full_command") == Some(true) => ProcessMatch::Partial,
        None => ProcessMatch::Name,
    };
    let delay = time(node, "delay").unwrap_or_default();
    let quorum = number(node, "quorum").unwrap_or(1);
    let quorum_max = number(node, "quorum_max");
    if let (Some(most), Some(at)) = (
        quorum_max.filter(|most| *most != 0 && *most < quorum),
        node.child("quorum_max"),
    ) {
        let message =
            format!("`quorum_max` {most} is less than `quorum` {quorum}: it is never good");
        found.push(Diagnostic::error("quorum-max-too-small", at.span, message).tolerated());
    }
    Some(TrackProcess {
        name,
        argv,
        matching,
        weight: own_weight(node).unwrap_or_default(),
        // At most none: it must not run.
        quorum: if quorum_max == Some(0) { 0 } else { quorum },
        quorum_max,
        fork_delay: time(node, "fork_delay").unwrap_or(delay),
        terminate_delay: time(node, "terminate_delay").unwrap_or(delay),
        span: At::new((), node.head.span),
    })
}

fn bfd(node: &Node, found: &mut Vec<Diagnostic>) -> Option<Bfd> {
    let name = name(node)?;
    let addr = |keyword: &str| {
        let node = node.child(keyword)?;
        Some(At::new(node.addr()?, node.span))
    };
    let Some(neighbour) = addr("neighbor_ip") else {
        let lacks = missing(node, "neighbor_ip", ", so there is nobody to talk to");
        found.extend(lacks.map(Diagnostic::tolerated));
        return None;
    };
    let source = addr("source_ip");
    if let Some(source) = source.filter(|s| s.value.is_ipv4() != neighbour.value.is_ipv4()) {
        let message = format!(
            "{} is of another family than the neighbour {}",
            source.value, neighbour.value
        );
        let mixed = Diagnostic::error("family-mismatch", source.span, message).tolerated();
        found.push(mixed.also(neighbour.span, "the neighbour"));
    }
    let small = |keyword: &str| u8::try_from(node.child(keyword)?.int()?).ok();
    const TEN: Duration = Duration::from_millis(10);
    let multihop = node.flag("multihop").unwrap_or(false);
    let (vrrp, checker) = (
        node.flag("vrrp").unwrap_or(false),
        node.flag("checker").unwrap_or(false),
    );
    let both = vrrp == checker;
    Some(Bfd {
        name,
        neighbour,
        source: source
            .map(|s| s.value)
            .filter(|s| s.is_ipv4() == neighbour.value.is_ipv4()),
        min_rx: time(node, "min_rx").unwrap_or(TEN),
        min_tx: time(node, "min_tx").unwrap_or(TEN),
        idle_tx: time(node, "idle_tx").unwrap_or(Duration::from_secs(1)),
        multiplier: small("multiplier").unwrap_or(5),
        passive: node.flag("passive").unwrap_or(false),
        multihop,
        ttl: small("ttl").unwrap_or(if multihop { 64 } else { 255 }),
        max_hops: match node.child("max_hops").and_then(|n| n.int()) {
            Some(hops) => u8::try_from(hops).ok(),
            None => Some(0),
        },
        weight: own_weight(node).unwrap_or_default(),
        vrrp: vrrp || both,
        checker: checker || both,
        span: At::new((), node.head.span),
    })
}

/// What the `track_*` blocks of an instance or a group name.
pub(super) fn tracking(node: &Node, vrrp: &Vrrp, found: &mut Vec<Diagnostic>) -> Tracking {
    let scripts = vrrp.scripts.iter().map(|s| (&s.name, s.weight));
    let files = vrrp.files.iter().map(|f| (&f.name, f.weight));
    let processes = vrrp.processes.iter().map(|p| (&p.name, p.weight));
    let bfd = vrrp.bfd.iter().map(|b| (&b.name, b.weight));
    Tracking {
        interfaces: block(node, "track_interface", None, found),
        scripts: block(
            node,
            "track_script",
            Some(("vrrp_script", scripts.collect())),
            found,
        ),
        files: block(
            node,
            "track_file",
            Some(("track_file", files.collect())),
            found,
        ),
        processes: block(
            node,
            "track_process",
            Some(("vrrp_track_process", processes.collect())),
            found,
        ),
        bfd: block(
            node,
            "track_bfd",
            Some(("bfd_instance", bfd.collect())),
            found,
        ),
        ignored: Vec::new(),
    }
}

/// The blocks that define what may be tracked, and what there is of it.
type Known<'a> = (&'static str, Vec<(&'a At<String>, Weight)>);

fn block(
    node: &Node,
    keyword: &'static str,
    known: Option<Known<'_>>,
    found: &mut Vec<Diagnostic>,
) -> Vec<Tracked> {
    let mut list: Vec<Tracked> = Vec::new();
    for line in node.children(keyword).flat_map(|block| &block.items) {
        let Some(arg) = line.args.iter().find(|arg| arg.text().is_some()) else {
            continue;
        };
        let name = arg.text().unwrap_or_default();
        if let Some(first) = list.iter().find(|t| t.name.value == name) {
            let twice = Diagnostic::warning(
                "tracked-twice",
                arg.span,
                format!("`{name}` is tracked already"),
            );
            found.push(
                twice
                    .also(first.name.span, "first here")
                    .help("the first line counts; remove this one"),
            );
            continue;
        }
        let own = match &known {
            None => Weight::default(),
            Some((defined, all)) => match all.iter().find(|(n, _)| n.value == name) {
                Some((_, weight)) => *weight,
                None => {
                    found.push(unknown(
                        defined,
                        name,
                        arg.span,
                        all.iter().map(|(n, _)| n.value.as_str()),
                    ));
                    continue;
                }
            },
        };
        let written = line
            .option("weight")
            .and_then(|o| weight(&o.args))
            .map(|w| Weight {
                reverse: w.reverse || own.reverse && !unreversed(line),
                ..w
            });
        let mut weight = written.unwrap_or(own);
        if keyword != "track_file" && weight.value.abs() > MOST {
            let at = line.option("weight").map_or(arg.span, |o| o.span);
            let message = format!("the weight {} is beyond {MOST}", weight.value);
            found.push(
                Diagnostic::warning("weight-cut", at, message)
                    .help(format!("{} is used", weight.value.signum() * MOST)),
            );
            weight.value = weight.value.clamp(-MOST, MOST);
        }
        list.push(Tracked {
            name: At::new(name.to_owned(), arg.span),
            weight,
        });
    }
    list
}

/// Whether a line says `noreverse`.
fn unreversed(line: &Line) -> bool {
    let mut args = line.options.iter().flat_map(|o| &o.args);
    args.any(|a| a.text() == Some("noreverse")) || says(line, "noreverse")
}

/// A name that nothing has.
pub(super) fn unknown<'a>(
    keyword: &str,
    name: &str,
    span: Span,
    all: impl IntoIterator<Item = &'a str>,
) -> Diagnostic {
    let message = format!("there is no `{keyword} {name}`");
    let wrong = Diagnostic::error("unknown-name", span, message).tolerated();
    match alike(name, all.into_iter()) {
        Some(near) => wrong.help(format!("did you mean `{near}`?")),
        None => wrong,
    }
}
