//! Lines of a certain width.

/// How wide lines are.
pub(super) const WIDTH: usize = 100;

/// Text in lines that begin with so many blanks, the first one with `first` instead.
pub(super) fn wrap(first: &str, indent: usize, text: &str) -> String {
    let mut lines = format!("{first:indent$}");
    let mut column = lines.chars().count();
    if !first.is_empty() && column > indent {
        lines.push(' ');
        column += 1;
    }
    let mut begun = false;
    for word in text.split_whitespace() {
        let len = word.chars().count();
        if begun && column + 1 + len > WIDTH {
            lines.push('\n');
            lines.push_str(&" ".repeat(indent));
            column = indent;
            begun = false;
        }
        if begun {
            lines.push(' ');
            column += 1;
        }
        lines.push_str(word);
        column += len;
        begun = true;
    }
    lines.truncate(lines.trim_end().len());
    lines.push('\n');
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_at_blanks() {
        assert_eq!(wrap("a", 4, "b c"), "a   b c\n");
        assert_eq!(wrap("abcdef", 4, "b c"), "abcdef b c\n");
        assert_eq!(wrap("", 4, ""), "\n");
        let long = wrap("  name", 10, &"word ".repeat(40));
        assert!(long.lines().all(|line| line.len() <= WIDTH), "{long}");
        assert!(
            long.lines()
                .skip(1)
                .all(|line| line.starts_with("          word"))
        );
        assert_eq!(long.matches("word").count(), 40);
        let giant = "x".repeat(2 * WIDTH);
        assert_eq!(wrap("  ", 2, &giant), format!("  {giant}\n"));
    }
}
