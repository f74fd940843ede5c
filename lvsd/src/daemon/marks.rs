//! From a rule set's rules for marks to the classifier.

use lvs_core::ServiceKey;
use lvs_fwd::classify::{Classifier, Rule};
use lvs_fwd::frame::PortId;

use super::Error;
use crate::rules::MarkRule;

/// The classifier that these rules ask for. `interfaces` are those lvsd works on, in the order of their ports.
///
/// # Errors
///
/// [`Error::MarkInterface`] if a rule names another.
pub(super) fn classifier(marks: &[MarkRule], interfaces: &[String]) -> Result<Classifier, Error> {
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
    let rules: Result<_, Error> = marks.iter().map(rule).collect();
    Ok(Classifier::new(rules?))
}

/// Notes about services of marks that no packet gets. Whoever comes from IPVS has netfilter rules that set them, which mean
/// nothing here.
pub(super) fn unmarked(
    marks: &[MarkRule],
    services: impl IntoIterator<Item = ServiceKey>,
) -> Vec<String> {
    let is_marked = |family, mark| {
        let mut with_mark = marks.iter().filter(|m| m.rule.mark == mark);
        with_mark.any(|m| {
            let ends = [m.rule.source, m.rule.destination];
            ends.iter().flatten().all(|end| end.family() == family)
        })
    };
    let note = |key: ServiceKey| match key {
        ServiceKey::Mark { family, mark } if !is_marked(family, mark) => Some(format!(
            "service {key}: no --mark line (lvsd run --rules FILE) gives packets this mark, and netfilter's marks do not count here"
        )),
        _ => None,
    };
    services.into_iter().filter_map(note).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{self, SystemNames};

    fn of(text: &str) -> Result<Classifier, Error> {
        let rules = rules::parse(text, &SystemNames::default()).unwrap();
        classifier(&rules.marks, &["eth0".to_owned(), "eth1".to_owned()])
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
    fn services_whose_mark_nobody_gets_are_told() {
        let rules = "--mark 1 --destination fd00::1\n--mark 2 --protocol tcp\n--mark 3 --source 10.0.0.0/8\n\
                     -A -f 1\n-A -f 1 -6\n-A -f 2\n-A -f 2 -6\n-A -f 3\n-A -f 4\n-A -t 10.0.0.1:80\n";
        let rules = rules::parse(rules, &SystemNames::default()).unwrap();
        let notes = unmarked(&rules.marks, rules.services.iter().map(|s| s.key));
        let of = |key: &str| format!("service {key}: ");
        assert_eq!(notes.len(), 2, "{notes:?}");
        assert!(notes[0].starts_with(&of("FWM 1")) && notes[1].starts_with(&of("FWM 4")));
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
