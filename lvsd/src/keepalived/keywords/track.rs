//! What VRRP and FILE_CHECK watch: `vrrp_script`, `track_file`, `vrrp_track_process`; and where they are named.

use super::words::{
    FOREVER, INTERFACE, NAME, SCRIPT, SECOND, USER, form, int, keyword, may, must, old, opt, time,
    weight,
};
use super::{Form, Keyword, Kind, Opt, Table};

pub(super) const OBJECTS: &[Keyword] = &[
    keyword(
        "vrrp_script",
        "A program whose exit status instances can track: 0 is good.",
    )
    .takes(&[NAME])
    .block(&VRRP_SCRIPT)
    .each(),
    keyword(
        "track_file",
        "A file that holds a number, for FILE_CHECK and for instances to track.",
    )
    .takes(&[NAME])
    .block(&TRACK_FILE)
    .each()
    .old(&[old(
        "vrrp_track_file",
        "write `track_file`, which means the same",
    )]),
    keyword(
        "vrrp_track_process",
        "Processes whose number instances can track.",
    )
    .takes(&[NAME])
    .block(&TRACK_PROCESS)
    .each(),
];

static VRRP_SCRIPT: Table = Table {
    parts: &[&[
        keyword("script", "The program and its arguments, in quotes.")
            .takes(&[must("COMMAND", Kind::Command { user: false })])
            .default("needed"),
        keyword("interval", "From the start of a run to the start of the next.")
            .takes(&[must("SECONDS", Kind::Time { min: 1, max: FOREVER, places: 3 })])
            .default("1"),
        keyword("timeout", "How long a run may take.")
            .takes(&[must("SECONDS", Kind::Time { min: 1, max: FOREVER, places: 3 })])
            .default("`interval`"),
        keyword("weight", "What it does to the priority: added while good if positive, while bad if negative; 0: bad is a fault.")
            .takes(&weight(-253, 253))
            .default("0"),
        keyword("rise", "Good runs in a row that make it good.").takes(&[must("NUMBER", int(1, 2_147_483_647))]).default("1"),
        keyword("fall", "Bad runs in a row that make it bad.").takes(&[must("NUMBER", int(1, 2_147_483_647))]).default("1"),
        keyword("user", "Whom it runs as.").takes(USER).default("`script_user` of `global_defs`"),
        keyword("init_fail", "It counts as bad until it has been good."),
    ]],
};

static TRACK_FILE: Table = Table {
    parts: &[&[
        keyword("file", "The file.")
            .takes(&[must("PATH", Kind::Text)])
            .default("needed"),
        keyword("weight", "What its number is multiplied with.")
            .takes(&weight(-2_147_483_647, 2_147_483_647))
            .default("1"),
        keyword(
            "init_file",
            "Write it at the start if it is not there, or, with `overwrite`, always.",
        )
        .takes(&[may("NUMBER", int(-2_147_483_648, 2_147_483_647))])
        .options(&[opt("overwrite", &[], "also if it is there")])
        .default("it is left as it is; without a number 0"),
    ]],
};

static TRACK_PROCESS: Table = Table {
    parts: &[&[
        keyword("process", "The program, and perhaps arguments.")
            .takes(&[
                must("NAME", Kind::Quoted),
                super::words::many("ARGUMENT", Kind::Quoted),
            ])
            .default("needed"),
        keyword(
            "param_match",
            "Arguments need only be the first ones, or only begin so.",
        )
        .takes(&[may("HOW", Kind::OneOf(&["initial", "partial"]))])
        .default("they must be the same"),
        keyword(
            "weight",
            "What it does to the priority, as with `vrrp_script`.",
        )
        .takes(&weight(-254, 254))
        .default("0"),
        keyword("quorum", "Good is to have at least so many processes.")
            .takes(&[must("NUMBER", int(1, 65_535))])
            .default("1"),
        keyword("quorum_max", "Good is to have at most so many processes.")
            .takes(&[must("NUMBER", int(0, 65_535))])
            .default("any number"),
        keyword(
            "fork_delay",
            "How long there must be enough before it is good.",
        )
        .takes(&[must("SECONDS", time(1, 3_600 * SECOND))])
        .default("none"),
        keyword(
            "terminate_delay",
            "How long there must be too few before it is bad.",
        )
        .takes(&[must("SECONDS", time(1, 3_600 * SECOND))])
        .default("none"),
        keyword("delay", "Both of them.")
            .takes(&[must("SECONDS", time(1, 3_600 * SECOND))])
            .default("none"),
        keyword(
            "full_command",
            "The whole command line is compared, not only the name.",
        ),
    ]],
};

const WEIGHT: Opt = opt(
    "weight",
    &weight(-254, 254),
    "what it does to the priority; 0: bad is a fault",
);
const ITEM: &[Form] = &[form(&[NAME]).options(&[WEIGHT])];

/// What an instance or a group of instances watches.
pub(super) const TRACKING: &[Keyword] = &[
    keyword("track_interface", "Interfaces that must be up.")
        .lines(&[form(&[INTERFACE]).options(&[WEIGHT])]),
    keyword(
        "track_script",
        "Scripts that must be good, from `vrrp_script`. keepalived wants those before.",
    )
    .lines(ITEM),
    keyword(
        "track_file",
        "Files whose numbers are added to the priority, from `track_file`.",
    )
    .lines(&[form(&[NAME]).options(&[FILE_WEIGHT])]),
    keyword(
        "track_process",
        "Processes that must run, from `vrrp_track_process`.",
    )
    .lines(ITEM),
    keyword(
        "track_bfd",
        "BFD sessions that must be up, from `bfd_instance`.",
    )
    .lines(ITEM)
    .later("BFD"),
];

const FILE_WEIGHT: Opt = opt(
    "weight",
    &weight(-2_147_483_647, 2_147_483_647),
    "what the number is multiplied with",
);

/// Scripts of an instance or a group.
pub(super) const NOTIFY: &[Keyword] = &[
    keyword("notify_master", "Run on becoming master.")
        .takes(&[SCRIPT])
        .first(),
    keyword("notify_backup", "Run on becoming backup.")
        .takes(&[SCRIPT])
        .first(),
    keyword("notify_fault", "Run when something goes wrong.")
        .takes(&[SCRIPT])
        .first(),
    keyword("notify_stop", "Run when VRRP ends.")
        .takes(&[SCRIPT])
        .first(),
    keyword(
        "notify",
        "Run on all of these, with type, name, state and priority as arguments.",
    )
    .takes(&[SCRIPT])
    .first(),
];
