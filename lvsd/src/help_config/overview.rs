//! The tree of blocks and keywords.

use super::text::wrap;
use crate::keepalived::keywords::{Body, Effect, Keyword, WHOLE, syntax};

/// All blocks and their keywords, as one would write them.
pub(super) fn overview() -> String {
    let mut text = wrap(
        "",
        0,
        "Blocks and their keywords. `lvsd help-config KEYWORD` says more about each of them. What is marked `later` \
         is only checked so far; `-` has no effect.",
    );
    text.push('\n');
    block(&WHOLE, 0, false, &mut text);
    text
}

fn block(of: &Keyword, depth: usize, later: bool, text: &mut String) {
    let indent = "    ".repeat(depth);
    for keyword in of.keywords() {
        let mark = match keyword.effect {
            Effect::Removed(_) => continue,
            Effect::Later(_) => "   # later",
            Effect::Works | Effect::Harmless(_) | Effect::Nothing(_) if later => "",
            Effect::Works => "",
            Effect::Harmless(_) | Effect::Nothing(_) => "   # -",
        };
        let mark = if later { "" } else { mark };
        let inside = later || matches!(keyword.effect, Effect::Later(_));
        let line = syntax(keyword.name, &keyword.form);
        match keyword.body {
            Body::None => text.push_str(&format!("{indent}{line}{mark}\n")),
            Body::Block(_) => {
                text.push_str(&format!("{indent}{line} {{{mark}\n"));
                block(keyword, depth + 1, inside, text);
                text.push_str(&format!("{indent}}}\n"));
            }
            Body::Lines(forms) => {
                text.push_str(&format!("{indent}{line} {{{mark}\n"));
                for form in forms {
                    text.push_str(&format!("{indent}    {}\n", syntax("", form)));
                }
                text.push_str(&format!("{indent}}}\n"));
            }
            Body::List(form) => {
                let item = syntax("", &form);
                text.push_str(&format!("{indent}{line} {{ {item}... }}{mark}\n"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keepalived::keywords::everywhere;

    #[test]
    fn every_keyword_in_use_is_in_it() {
        let text = overview();
        for place in everywhere().iter().filter(|p| !p.is_removed()) {
            let word = |line: &str| line.split_whitespace().next() == Some(place.keyword.name);
            assert!(text.lines().any(word), "{}", place.keyword.name);
        }
        let opened = text.matches('{').count();
        assert_eq!(opened, text.matches('}').count());
    }
}
