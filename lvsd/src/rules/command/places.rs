//! Where in a command something is said.
//!
//! Who refuses a command may have it in other words than who wrote it: both say it with numbers for names, the options in
//! another order, values glued on. What they have in common are the options' names.

use super::popt::{self, Given, Item};

/// The name of the option whose value stands in the word at this place, or which stands there itself.
pub(crate) fn option_at(words: &[&str], place: usize) -> Option<&'static str> {
    let mut options = options(words);
    let found = options.find(|given| given.at == place || given.value_at == place);
    found.map(|given| given.option.name)
}

/// The place of the option that the word at this place belongs to; the same place if it is of no option.
pub(crate) fn start_of(words: &[&str], place: usize) -> usize {
    let mut options = options(words);
    let found = options.find(|given| given.at == place || given.value_at == place);
    found.map_or(place, |given| given.at)
}

/// The place of the word with this option's value, or, if it has none, of the option itself.
pub(crate) fn place_of(words: &[&str], name: &str) -> Option<usize> {
    let mut options = options(words);
    let found = options.find(|given| given.option.name == name);
    found.map(|given| given.value_at)
}

/// The options up to the first error.
fn options<'a>(words: &'a [&'a str]) -> impl Iterator<Item = Given<'a>> {
    let mut items = popt::read(words).ok().map(|(_, items)| items);
    let next = move || items.as_mut()?.next().ok().flatten();
    std::iter::from_fn(next).filter_map(|item| match item {
        Item::Option(given) => Some(given),
        Item::Word(..) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<&str> {
        line.split(' ').collect()
    }

    #[test]
    fn what_is_said_in_one_way_is_found_in_another() {
        let one = words("-a -t 10.0.0.1:80 -r 10.1.0.1:80 -g -w 3");
        let other = words("-aw3 --real-server=web1:http -t www:http");
        for (place, name, there) in [
            (1, "service-address", 3),
            (2, "service-address", 3),
            (4, "real-server", 1),
            (7, "weight", 0),
        ] {
            assert_eq!(option_at(&one, place), Some(name));
            assert_eq!(place_of(&other, name), Some(there), "{name}");
        }
        assert_eq!(option_at(&one, 5), Some("forwarding-method"));
        assert_eq!(option_at(&one, 0), None);
        assert_eq!(place_of(&other, "persistent"), None);
        assert_eq!(place_of(&words("no command"), "weight"), None);
    }
}
