//! Options that do not go together.

use super::super::diagnostic::Diagnostic;
use super::Line;

/// What is wrong with the tunnel of a forwarding method; nothing with lines that have none.
pub(super) fn check(line: &Line) -> Option<Diagnostic> {
    let method = line.arg("METHOD")?;
    let tunnel = line.option("type").and_then(|t| t.text());
    let named = |name: &str| line.option(name).map(|o| (o.option.name, o.span));
    let of_gue = named("port").or_else(|| named("remcsum"));
    let sums = named("csum").or_else(|| named("nocsum"));
    if method.text() != Some("TUN") {
        let (_, span) = named("type").or(of_gue).or(sums)?;
        return Some(wrong(span, "only `TUN` has a kind of tunnel"));
    }
    match tunnel.unwrap_or("ipip") {
        "gue" => named("port").is_none().then(|| {
            let (_, span) = named("type").unwrap_or(("", line.span));
            wrong(span, "`gue` wants `port PORT`")
        }),
        "gre" => of_gue.map(|(name, span)| wrong(span, &format!("`gre` has no `{name}`"))),
        _ => of_gue
            .or(sums)
            .map(|(name, span)| wrong(span, &format!("`ipip` has no `{name}`"))),
    }
}

fn wrong(span: super::Span, message: &str) -> Diagnostic {
    Diagnostic::error("bad-tunnel", span, message).tolerated()
}
