//! From a rule set's rules for marks to the classifier.

use lvs_fwd::classify::Classifier;

use super::Error;
use crate::rules::RuleSet;

/// The classifier that a rule set asks for. `interfaces` are those lvsd works on, in the order of their ports.
pub(super) fn classifier(_rules: &RuleSet, _interfaces: &[String]) -> Result<Classifier, Error> {
    Ok(Classifier::default())
}
