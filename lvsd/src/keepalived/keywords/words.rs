//! How the parts of a table are written.

use super::kind::Kind;
use super::{Body, Effect, Form, Keyword, Need, Old, Opt, Param, Repeat, Table};

/// A keyword that works, has no arguments and no body; the methods below say what it has.
pub(super) const fn keyword(name: &'static str, about: &'static str) -> Keyword {
    Keyword {
        name,
        also: &[],
        old: &[],
        form: form(&[]),
        others: &[],
        default: "",
        repeat: Repeat::Last,
        body: Body::None,
        effect: Effect::Works,
        about,
        differs: "",
        after: "",
    }
}

impl Keyword {
    /// What follows it.
    pub(super) const fn takes(mut self, params: &'static [Param]) -> Self {
        self.form.params = params;
        self
    }

    /// Words with a name that may follow it.
    pub(super) const fn options(mut self, options: &'static [Opt]) -> Self {
        self.form.options = options;
        self
    }

    /// What may follow it instead.
    pub(super) const fn or(mut self, others: &'static [Form]) -> Self {
        self.others = others;
        self
    }

    /// What holds without it.
    pub(super) const fn default(mut self, text: &'static str) -> Self {
        self.default = text;
        self
    }

    /// Each of several counts.
    pub(super) const fn each(mut self) -> Self {
        self.repeat = Repeat::Each;
        self
    }

    /// The first of several counts.
    pub(super) const fn first(mut self) -> Self {
        self.repeat = Repeat::First;
        self
    }

    /// It is a block of keywords.
    pub(super) const fn block(mut self, table: &'static Table) -> Self {
        self.body = Body::Block(table);
        self
    }

    /// It is a block of lines.
    pub(super) const fn lines(mut self, forms: &'static [Form]) -> Self {
        self.body = Body::Lines(forms);
        self.repeat = Repeat::Each;
        self
    }

    /// It is a block of words.
    pub(super) const fn list(mut self, item: Form) -> Self {
        self.body = Body::List(item);
        self.repeat = Repeat::Each;
        self
    }

    /// It is only checked as yet.
    pub(super) const fn later(mut self, what: &'static str) -> Self {
        self.effect = Effect::Later(what);
        self
    }

    /// It is without effect, of which users are warned.
    pub(super) const fn nothing(mut self, why: &'static str) -> Self {
        self.effect = Effect::Nothing(why);
        self
    }

    /// It is without effect, which nobody notices.
    pub(super) const fn harmless(mut self, why: &'static str) -> Self {
        self.effect = Effect::Harmless(why);
        self
    }

    /// keepalived has it no longer.
    pub(super) const fn removed(mut self, fate: &'static str) -> Self {
        self.effect = Effect::Removed(fate);
        self.repeat = Repeat::Each;
        self
    }

    /// Other names, as good.
    pub(super) const fn also(mut self, names: &'static [&'static str]) -> Self {
        self.also = names;
        self
    }

    /// Names that it had.
    pub(super) const fn old(mut self, old: &'static [Old]) -> Self {
        self.old = old;
        self
    }

    /// Where keepalived and lvsd differ.
    pub(super) const fn differs(mut self, text: &'static str) -> Self {
        self.differs = text;
        self
    }

    /// keepalived wants to have read this keyword before.
    pub(super) const fn after(mut self, name: &'static str) -> Self {
        self.after = name;
        self
    }
}

/// A name that a keyword had.
pub(super) const fn old(name: &'static str, note: &'static str) -> Old {
    Old { name, note }
}

/// Words in order.
pub(super) const fn form(params: &'static [Param]) -> Form {
    Form {
        lead: "",
        params,
        options: &[],
        about: "",
    }
}

/// Words in order behind a certain one.
pub(super) const fn lead(lead: &'static str, params: &'static [Param]) -> Form {
    Form {
        lead,
        ..form(params)
    }
}

impl Form {
    /// Words with a name among the others.
    pub(super) const fn options(mut self, options: &'static [Opt]) -> Self {
        self.options = options;
        self
    }

    /// What it is.
    pub(super) const fn about(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }
}

/// A word with a name, and what follows it.
pub(super) const fn opt(name: &'static str, params: &'static [Param], about: &'static str) -> Opt {
    Opt {
        name,
        also: &[],
        params,
        about,
    }
}

impl Opt {
    /// Other names, as good.
    pub(super) const fn also(mut self, names: &'static [&'static str]) -> Self {
        self.also = names;
        self
    }
}

/// A word that must be there.
pub(super) const fn must(name: &'static str, kind: Kind) -> Param {
    param(name, kind, Need::Must)
}

/// A word that may be there.
pub(super) const fn may(name: &'static str, kind: Kind) -> Param {
    param(name, kind, Need::May)
}

/// A word that may be there several times.
pub(super) const fn many(name: &'static str, kind: Kind) -> Param {
    param(name, kind, Need::Many)
}

/// A word that may be there several times, but at least once.
pub(super) const fn some(name: &'static str, kind: Kind) -> Param {
    param(name, kind, Need::Some)
}

const fn param(name: &'static str, kind: Kind, need: Need) -> Param {
    Param { name, kind, need }
}

/// Any whole number of this range.
pub(super) const fn int(min: i64, max: i64) -> Kind {
    Kind::Int { min, max }
}

/// A time of up to six decimals between two numbers of microseconds.
pub(super) const fn time(min: u64, max: u64) -> Kind {
    Kind::Time {
        min,
        max,
        places: 6,
    }
}

/// One second, for [`time`].
pub(super) const SECOND: u64 = 1_000_000;

/// The longest time of a TIMER.
pub(super) const LONGEST: u64 = 4_294_967_295;

/// A port.
pub(super) const PORT: Kind = int(1, 65_535);

/// `true`, `false` and the like, which may be missing: then it is `true`.
pub(super) const BOOL: Param = may("BOOL", Kind::Bool);

/// A script with the user it runs as.
pub(super) const SCRIPT: Param = must("COMMAND", Kind::Command { user: true });

/// Whom scripts run as.
pub(super) const USER: &[Param] = &[must("USER", Kind::Text), may("GROUP", Kind::Text)];

/// A name without rules.
pub(super) const NAME: Param = must("NAME", Kind::Text);

/// An interface.
pub(super) const INTERFACE: Param = must("INTERFACE", Kind::Interface);

/// The weight of something that is tracked, and whether its sign is turned round.
pub(super) const fn weight(min: i64, max: i64) -> [Param; 2] {
    [
        must("WEIGHT", int(min, max)),
        may("REVERSE", Kind::OneOf(&["reverse", "noreverse"])),
    ]
}

/// The longest time of all: some thirty years.
pub(super) const FOREVER: u64 = 1_000_000_000_000_000;
