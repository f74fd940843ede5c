//! The tables for machines.

use serde_json::{Map, Value, json};

use super::coverage::Coverage;
use crate::keepalived::keywords::{
    Body, Effect, Form, Keyword, Need, Opt, Param, Place, Repeat, everywhere, named, option_syntax,
    syntax,
};

/// All keywords, each in each block; or only how many there are of which effect.
pub(super) fn all(coverage: bool) -> String {
    let value = match coverage {
        true => counts(),
        false => Value::Array(everywhere().iter().map(place).collect()),
    };
    format!("{value}\n")
}

/// The keywords of a name; `None` if there is none.
pub(super) fn keyword(name: &str) -> Option<String> {
    let found: Vec<Value> = named(name).map(|(p, _)| place(p)).collect();
    (!found.is_empty()).then(|| format!("{}\n", Value::Array(found)))
}

fn counts() -> Value {
    let all = Coverage::of_all();
    let by = |lists: &[(&'static str, Vec<&Place>)]| -> Map<String, Value> {
        let each = lists.iter().map(|(why, places)| {
            let names: Vec<String> = places.iter().map(|p| path(p)).collect();
            ((*why).to_owned(), json!(names))
        });
        each.collect()
    };
    json!({
        "keywords": everywhere().len(),
        "works": all.works.iter().map(|p| path(p)).collect::<Vec<_>>(),
        "later": by(&all.later),
        "no_effect": by(&all.nothing),
        "harmless": by(&all.harmless),
        "removed": by(&all.removed),
    })
}

/// The names from outside inwards, with slashes.
fn path(place: &Place) -> String {
    let names = place.path.iter().skip(1).map(|k| k.name);
    let names: Vec<&str> = names.chain([place.keyword.name]).collect();
    names.join("/")
}

fn place(place: &Place) -> Value {
    let k: &Keyword = place.keyword;
    let (effect, why) = match place.effect() {
        Effect::Works => ("works", None),
        Effect::Later(what) => ("later", Some(what)),
        Effect::Nothing(why) => ("none", Some(why)),
        Effect::Harmless(why) => ("harmless", Some(why)),
        Effect::Removed(fate) => ("removed", Some(fate)),
    };
    let body = match k.body {
        Body::None => Value::Null,
        Body::Block(_) => json!({ "keywords": k.keywords().map(|k| k.name).collect::<Vec<_>>() }),
        Body::Lines(forms) => {
            json!({ "lines": forms.iter().map(|f| form("", f)).collect::<Vec<_>>() })
        }
        Body::List(item) => json!({ "words": form("", &item) }),
    };
    let old: Vec<Value> = k
        .old
        .iter()
        .map(|o| json!({ "name": o.name, "note": o.note }))
        .collect();
    json!({
        "path": path(place),
        "keyword": k.name,
        "also": k.also,
        "old": old,
        "about": k.about,
        "forms": k.forms().map(|f| form(k.name, f)).collect::<Vec<_>>(),
        "default": said(k.default),
        "repeat": match k.repeat {
            Repeat::Last => "last",
            Repeat::First => "first",
            Repeat::Each => "each",
        },
        "after": said(k.after),
        "body": body,
        "effect": effect,
        "why": why,
        "differs": said(k.differs),
    })
}

fn said(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

fn form(keyword: &str, form: &Form) -> Value {
    json!({
        "syntax": syntax(keyword, form),
        "arguments": form.params.iter().map(param).collect::<Vec<_>>(),
        "options": form.options.iter().map(option).collect::<Vec<_>>(),
    })
}

fn param(param: &Param) -> Value {
    json!({
        "name": param.name,
        "takes": param.kind.describe(),
        "words": param.kind.words(),
        "needed": matches!(param.need, Need::Must | Need::Some),
        "many": matches!(param.need, Need::Many | Need::Some),
    })
}

fn option(option: &Opt) -> Value {
    json!({
        "name": option.name,
        "also": option.also,
        "syntax": option_syntax(option),
        "about": option.about,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_get_the_same() {
        let text = keyword("lb_algo").unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        let first = &value[0];
        assert_eq!(first["path"], "virtual_server/lvs_sched");
        assert_eq!(first["effect"], "works");
        assert_eq!(first["forms"][0]["arguments"][0]["words"][0], "rr");
        assert!(keyword("frobnicate").is_none());
        let all: Value = serde_json::from_str(&all(false)).unwrap();
        assert_eq!(all.as_array().unwrap().len(), everywhere().len());
    }

    #[test]
    fn coverage_adds_up() {
        let value: Value = serde_json::from_str(&all(true)).unwrap();
        let mut sum = value["works"].as_array().unwrap().len();
        for part in ["later", "no_effect", "harmless", "removed"] {
            let lists = value[part].as_object().unwrap().values();
            sum += lists.map(|l| l.as_array().unwrap().len()).sum::<usize>();
        }
        assert_eq!(sum, value["keywords"].as_u64().unwrap() as usize);
    }
}
