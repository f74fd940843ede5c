//! What lvsd does about which keyword.

use super::text::wrap;
use crate::keepalived::keywords::{Effect, Place, everywhere};

/// Keywords by what becomes of them.
#[derive(Debug, Default)]
pub(super) struct Coverage {
    /// Carried out.
    pub(super) works: Vec<&'static Place>,
    /// Only checked, by what they wait for.
    pub(super) later: Vec<(&'static str, Vec<&'static Place>)>,
    /// Without effect, by reason.
    pub(super) nothing: Vec<(&'static str, Vec<&'static Place>)>,
    /// Without effect, and nobody misses it, by reason.
    pub(super) harmless: Vec<(&'static str, Vec<&'static Place>)>,
    /// Out of use.
    pub(super) removed: Vec<(&'static str, Vec<&'static Place>)>,
}

impl Coverage {
    /// That of the tables.
    pub(super) fn of_all() -> Self {
        let mut all = Self::default();
        for place in everywhere() {
            let (list, why) = match place.effect() {
                Effect::Works => {
                    all.works.push(place);
                    continue;
                }
                Effect::Later(what) => (&mut all.later, what),
                Effect::Nothing(why) => (&mut all.nothing, why),
                Effect::Harmless(why) => (&mut all.harmless, why),
                Effect::Removed(fate) => (&mut all.removed, fate),
            };
            match list.iter_mut().find(|(other, _)| *other == why) {
                Some((_, places)) => places.push(place),
                None => list.push((why, vec![place])),
            }
        }
        all
    }
}

/// As a table to be read.
pub(super) fn coverage() -> String {
    let all = Coverage::of_all();
    let count =
        |lists: &[(&str, Vec<&Place>)]| -> usize { lists.iter().map(|(_, l)| l.len()).sum() };
    let (later, nothing) = (count(&all.later), count(&all.nothing));
    let (harmless, removed) = (count(&all.harmless), count(&all.removed));
    let mut text = format!(
        "{:>4}  keywords, counted in each block that has them\n\
         {:>4}  carried out\n\
         {later:>4}  checked, but not carried out yet\n\
         {nothing:>4}  without effect, of which `lvsd check` warns\n\
         {harmless:>4}  without effect, which nobody misses\n\
         {removed:>4}  out of use, with a warning that says what became of them\n",
        everywhere().len(),
        all.works.len(),
    );
    text.push_str("\nCarried out\n");
    text.push_str(&blocks(&all.works));
    text.push_str("\nChecked, but not carried out yet\n");
    for (what, places) in &all.later {
        text.push_str(&format!("\n  until there is {what}:\n"));
        text.push_str(&blocks(places));
    }
    for (title, lists) in [
        ("Without effect, of which `lvsd check` warns", &all.nothing),
        ("Without effect, which nobody misses", &all.harmless),
        ("Out of use", &all.removed),
    ] {
        text.push_str(&format!("\n{title}\n"));
        for (why, places) in lists {
            text.push('\n');
            text.push_str(&wrap("", 2, &format!("{why}:")));
            text.push_str(&blocks(places));
        }
    }
    text
}

/// A paragraph for each block.
fn blocks(places: &[&'static Place]) -> String {
    let mut paragraphs: Vec<(String, Vec<&str>)> = Vec::new();
    for place in places {
        let path: Vec<&str> = place.path.iter().skip(1).map(|k| k.name).collect();
        let path = match path.is_empty() {
            true => "outside of blocks".to_owned(),
            false => path.join(" / "),
        };
        match paragraphs.iter_mut().find(|(other, _)| *other == path) {
            Some((_, names)) => names.push(place.keyword.name),
            None => paragraphs.push((path, vec![place.keyword.name])),
        }
    }
    let lines = paragraphs
        .iter()
        .map(|(path, names)| wrap(&format!("    {path}:"), 8, &names.join(" ")));
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_keyword_counts_once() {
        let all = Coverage::of_all();
        let lists = [&all.later, &all.nothing, &all.harmless, &all.removed];
        let rest: usize = lists
            .into_iter()
            .flatten()
            .map(|(_, places)| places.len())
            .sum();
        assert_eq!(all.works.len() + rest, everywhere().len());
    }

    #[test]
    fn what_waits_is_said_to_wait() {
        let all = Coverage::of_all();
        let (_, bfd) = all.later.iter().find(|(what, _)| *what == "BFD").unwrap();
        for name in ["bfd_instance", "neighbor_ip", "multihop"] {
            assert!(bfd.iter().any(|p| p.keyword.name == name), "{name}");
        }
        assert!(
            all.works
                .iter()
                .all(|p| !p.path.iter().any(|k| k.name == "bfd_instance"))
        );
        assert!(coverage().contains("until there is BFD"));
    }
}
