//! Keywords without effect, old names, repetitions, order.

use super::super::diagnostic::Diagnostic;
use super::super::keywords::{Effect, Old, Repeat};
use super::super::place::{Span, Word};
use super::Node;

/// An old name.
pub(super) fn old_name(word: &Word, old: &Old) -> Diagnostic {
    let message = format!("`{}` is an old spelling", word.text);
    Diagnostic::warning("old-spelling", word.span, message).help(old.note)
}

/// Puts a keyword into its block, as often as it counts.
pub(super) fn enter(block: &mut Node, node: Node, diagnostics: &mut Vec<Diagnostic>) {
    let repeat = node.keyword.repeat;
    let before = block
        .body
        .iter()
        .position(|other| other.is(node.keyword.name));
    let Some(before) = before.filter(|_| repeat != Repeat::Each) else {
        block.body.push(node);
        return;
    };
    let first = block
        .body
        .get(before)
        .map(|n| n.head.span)
        .unwrap_or_default();
    let message = format!("`{}` is given twice in this block", node.head.text);
    let repeated = Diagnostic::warning("repeated-keyword", node.head.span, message);
    match repeat {
        Repeat::First => {
            diagnostics.push(repeated.label("ignored").also(first, "this one counts"));
        }
        _ => {
            diagnostics.push(
                repeated
                    .label("this one counts")
                    .also(first, "given here before"),
            );
            block.body.remove(before);
            block.body.push(node);
        }
    }
}

/// What stands before a keyword that keepalived wants to have read first.
pub(super) fn check_order(block: &Node, diagnostics: &mut Vec<Diagnostic>) {
    for (at, node) in block.body.iter().enumerate() {
        let wanted = node.keyword.after;
        let behind = block.body.get(at..).unwrap_or_default();
        let Some(late) = behind.iter().find(|n| !wanted.is_empty() && n.is(wanted)) else {
            continue;
        };
        let message = format!(
            "keepalived ignores `{}` before `{}`",
            node.head.text, late.head.text
        );
        diagnostics.push(
            Diagnostic::warning("order", node.head.span, message)
                .label("lvsd does not mind")
                .also(late.head.span, "put it behind this line"),
        );
    }
}

/// Says of all keywords without effect what becomes of them: once for each reason, at the first place.
pub(super) fn say_effects(root: &Node, diagnostics: &mut Vec<Diagnostic>) {
    let mut said: Vec<(Effect, Diagnostic)> = Vec::new();
    walk(root, false, &mut said);
    diagnostics.extend(said.into_iter().map(|(_, diagnostic)| diagnostic));
}

/// `within`: a block around has said already that nothing in it counts.
fn walk(block: &Node, within: bool, said: &mut Vec<(Effect, Diagnostic)>) {
    for node in &block.body {
        let effect = node.keyword.effect;
        let name = &node.head.text;
        let (code, message, help) = match effect {
            Effect::Works | Effect::Harmless(_) => {
                walk(node, within, said);
                continue;
            }
            Effect::Later(_) | Effect::Nothing(_) if within => {
                walk(node, true, said);
                continue;
            }
            Effect::Later(what) => (
                "no-effect",
                format!("`{name}` is checked, but not carried out yet"),
                format!("lvsd does not have {what} so far"),
            ),
            Effect::Nothing(why) => (
                "no-effect",
                format!("`{name}` has no effect"),
                why.to_owned(),
            ),
            Effect::Removed(fate) => (
                "removed-keyword",
                format!("`{name}` has gone out of use"),
                fate.to_owned(),
            ),
        };
        let same = said.iter_mut().find(|(e, d)| match effect {
            Effect::Later(_) => *e == effect,
            _ => *e == effect && d.message == message,
        });
        match same {
            Some((_, diagnostic)) => also(diagnostic, node.head.span, name),
            None => {
                let diagnostic = Diagnostic::warning(code, node.head.span, message).help(help);
                said.push((effect, diagnostic));
            }
        }
        walk(node, true, said);
    }
}

/// Names a further place, unless there are many already.
fn also(diagnostic: &mut Diagnostic, span: Span, name: &str) {
    if diagnostic.also.len() < 4 {
        diagnostic.also.push((span, format!("`{name}` as well")));
    }
}
