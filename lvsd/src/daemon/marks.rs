//! From a rule set's rules for marks to the classifier.

use lvs_fwd::classify::{Classifier, Rule};
use lvs_fwd::frame::PortId;

use super::Error;
use crate::rules::{MarkRule, RuleSet};

/// The classifier that a rule set asks for. `interfaces` are those lvsd works on, in the order of their ports.
///
/// # Errors
///
/// [`Error::MarkInterface`] if a rule names another.
pub(super) fn classifier(rules: &RuleSet, interfaces: &[String]) -> Result<Classifier, Error> {
    let rule = |r: &MarkRule| {
        let interface = r.interface.as_ref().map(|name| {
            let port = (0..).zip(interfaces).find(|(_, i)| *i == name);
            let port = port.map(|(n, _)| PortId(n));
            port.ok_or_else(|| Error::MarkInterface(name.clone()))
        });
        Ok(Rule {
            interface: interface.transpose()?,
            ..r.rule.clone()
        })
    };
    let rules: Result<_, Error> = rules.marks.iter().map(rule).collect();
    Ok(Classifier::new(rules?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{self, SystemNames};

    fn of(text: &str) -> Result<Classifier, Error> {
        let rules = rules::parse(text, &SystemNames::default()).unwrap();
        classifier(&rules, &["eth0".to_owned(), "eth1".to_owned()])
    }

    #[test]
    fn interfaces_become_ports() {
        let c = of("--mark 7 --interface eth1 --protocol tcp\n--mark 8 --destination 10.0.0.0/8\n");
        let c = c.unwrap();
        let [first, second] = c.rules() else {
            panic!("{c:?}");
        };
        assert_eq!((first.mark, first.interface), (7, Some(PortId(1))));
        assert_eq!((second.mark, second.interface), (8, None));
        assert_eq!(second.destination, Some("10.0.0.0/8".parse().unwrap()));
    }

    #[test]
    fn an_interface_that_is_not_ours_is_refused_by_name() {
        let error = of("--mark 7 --interface eth2\n").unwrap_err();
        assert!(
            error.is_configuration() && error.to_string().contains("eth2"),
            "{error}"
        );
    }
}
