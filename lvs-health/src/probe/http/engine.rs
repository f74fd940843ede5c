//! The search for a pattern, in bounded time.
//!
//! The engine is an automaton whose states are computed when a text needs them, and remembered. Each byte of the text then
//! costs next to nothing, unless it needs a new state, and there are expressions (`[ab]*a[ab]{500}z`) for which a page can be
//! written that needs one at every byte. Searching such a page to its end would take seconds. This search is given up when for want of
//! room all states have been forgotten and others have filled the room once more: after some ten milliseconds.

use std::error::Error;
use std::sync::{Mutex, PoisonError};

use regex_automata::hybrid::dfa;
use regex_automata::hybrid::regex::{Cache, Regex};
use regex_automata::nfa::thompson;
use regex_automata::util::syntax;
use regex_automata::{Input, MatchError};

use crate::check::Pattern;

/// What an expression may take, in bytes.
const MAX_SIZE: usize = 1 << 20;
/// What the states that are remembered may take, in either direction.
const MAX_STATES: usize = 1 << 18;
/// How often they may all be forgotten in one search.
const MAX_CLEARS: usize = 1;

#[derive(Debug)]
pub(super) struct Engine {
    regex: Regex,
    /// The states that searches have needed so far.
    states: Mutex<Cache>,
}

/// The search was given up.
#[derive(Debug)]
pub(super) struct TooHard;

impl Engine {
    pub(super) fn new(pattern: &Pattern) -> Result<Self, String> {
        let regex = build(pattern, false).or_else(|_| build(pattern, true))?;
        let states = Mutex::new(regex.create_cache());
        Ok(Self { regex, states })
    }

    /// Whether a match begins in this range.
    pub(super) fn is_found(
        &self,
        text: &[u8],
        from: usize,
        to: Option<usize>,
    ) -> Result<bool, TooHard> {
        if from > text.len() {
            return Ok(false);
        }
        let input = Input::new(text).range(from..);
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let (forward, backward) = states.as_parts();
        // So that each text has the room once for itself.
        if forward.clear_count() + backward.clear_count() > 0 {
            states.reset(&self.regex);
        }
        self.search(&mut states, &input, to).map_err(|_| TooHard)
    }

    fn search(
        &self,
        states: &mut Cache,
        input: &Input<'_>,
        to: Option<usize>,
    ) -> Result<bool, MatchError> {
        let Some(to) = to else {
            let (forward, _) = states.as_parts_mut();
            let input = input.clone().earliest(true);
            let end = self.regex.forward().try_search_fwd(forward, &input)?;
            return Ok(end.is_some());
        };
        let first = self.regex.try_search(states, input)?;
        Ok(first.is_some_and(|found| found.start() <= to))
    }
}

fn build(pattern: &Pattern, unicode: bool) -> Result<Regex, String> {
    let syntax = syntax::Config::new()
        .utf8(false)
        .unicode(unicode)
        .case_insensitive(pattern.caseless)
        .dot_matches_new_line(pattern.dotall)
        .multi_line(pattern.multiline)
        .ignore_whitespace(pattern.extended)
        .swap_greed(pattern.ungreedy);
    let automaton = thompson::Config::new()
        .utf8(false)
        .nfa_size_limit(Some(MAX_SIZE));
    let states = dfa::Config::new()
        .cache_capacity(MAX_STATES)
        // The largest expressions get as little more as they need at least.
        .skip_cache_capacity_check(true)
        .minimum_cache_clear_count(Some(MAX_CLEARS));
    Regex::builder()
        .syntax(syntax)
        .thompson(automaton)
        .dfa(states)
        .build(&pattern.expression)
        .map_err(|e| root(&e))
}

/// What an error comes from.
fn root(error: &dyn Error) -> String {
    match error.source() {
        Some(source) => root(source),
        None => error.to_string(),
    }
}
