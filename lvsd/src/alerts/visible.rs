//! Text that others wrote, fit for a log, a pipe or a mail: no control character reaches a terminal or ends a line.

/// On one line, and without anything that a terminal would obey; line ends become bars.
pub(crate) fn one_line(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.trim().chars() {
        match c {
            '\n' => shown.push_str(" | "),
            '\r' => {}
            c if is_unwanted(c) => shown.extend(c.escape_default()),
            c => shown.push(c),
        }
    }
    shown
}

/// Whether a character is not to be shown as it is: it is for terminals, or turns the direction of what follows.
fn is_unwanted(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown() {
        assert_eq!(one_line(" \n"), "");
        assert_eq!(one_line("one\r\ntwo\n"), "one | two");
        assert_eq!(
            one_line("\u{1b}[31mMüll\t\u{9b}\u{202e}"),
            r"\u{1b}[31mMüll\t\u{9b}\u{202e}"
        );
    }
}
