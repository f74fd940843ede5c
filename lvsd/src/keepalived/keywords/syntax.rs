//! How a keyword is written, for pages and messages.

use super::{Form, Kind, Need, Opt, Param};

/// A line with this keyword (or none, for a line of a block) and form, such as `sorry_server ADDRESS [PORT]`.
pub fn syntax(keyword: &str, form: &Form) -> String {
    let mut words = Vec::new();
    words.extend(
        [keyword, form.lead]
            .iter()
            .filter(|w| !w.is_empty())
            .map(|w| (*w).to_owned()),
    );
    words.extend(form.params.iter().map(param));
    match form.options.len() {
        0 => {}
        1..=5 => words.extend(form.options.iter().map(|o| format!("[{}]", option(o)))),
        _ => words.push("[OPTION]...".to_owned()),
    }
    words.join(" ")
}

/// An option with what follows it, such as `port PORT`.
pub fn option(option: &Opt) -> String {
    let params = option.params.iter().map(param);
    let words: Vec<String> = std::iter::once(option.name.to_owned())
        .chain(params)
        .collect();
    words.join(" ")
}

/// A word as it appears there: its name, or what it can be if that is short.
fn param(param: &Param) -> String {
    let words = match param.kind {
        Kind::OneOf(words) | Kind::AnyCase(words) => words.join("|"),
        _ => String::new(),
    };
    let name = match words.len() {
        1..=24 => words.as_str(),
        _ => param.name,
    };
    match param.need {
        Need::Must => name.to_owned(),
        Need::May => format!("[{name}]"),
        Need::Many => format!("[{name}]..."),
        Need::Some => format!("{name}..."),
    }
}

#[cfg(test)]
mod tests {
    use super::super::named;
    use super::*;

    #[test]
    fn lines_look_as_one_writes_them() {
        for (name, line) in [
            ("quorum", "quorum WEIGHT"),
            ("sorry_server", "sorry_server ADDRESS [PORT]"),
            ("protocol", "protocol TCP|UDP|SCTP"),
            ("status_code", "status_code CODES..."),
            ("vrrp_garp_extra_if", "vrrp_garp_extra_if [all] SECONDS"),
            ("vrrp_rx_bufs_policy", "vrrp_rx_bufs_policy SIZE"),
            (
                "lvs_timeouts",
                "lvs_timeouts [tcp SECONDS] [tcpfin SECONDS] [udp SECONDS]",
            ),
            (
                "use_ipvlan",
                "use_ipvlan [NAME] [ADDRESS] [name INTERFACE] [bridge] [private] [vepa] [group GROUP]",
            ),
        ] {
            let (place, _) = named(name).next().unwrap();
            assert_eq!(syntax(name, &place.keyword.form), line);
        }
        let (place, _) = named("virtual_server").next().unwrap();
        let heads: Vec<String> = place
            .keyword
            .forms()
            .map(|f| syntax("virtual_server", f))
            .collect();
        assert_eq!(
            heads,
            [
                "virtual_server ADDRESS [PORT]",
                "virtual_server fwmark MARK",
                "virtual_server group NAME"
            ]
        );
    }
}
