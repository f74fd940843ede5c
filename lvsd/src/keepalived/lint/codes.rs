//! The codes of all stages, each with a sentence: for documents, and for whoever asks what one means.

use super::lints;

/// A kind of diagnostic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    /// Its name, which does not change.
    pub name: &'static str,
    /// What it means.
    pub about: &'static str,
}

/// All of them, by name. Most have one severity; what the message says is what counts.
pub fn codes() -> Vec<Code> {
    let of_lints = lints().map(|lint| Code {
        name: lint.code,
        about: lint.about,
    });
    let mut all: Vec<Code> = of_lints.collect();
    all.extend(STAGES.iter().map(|(name, about)| Code { name, about }));
    all.sort_by_key(|code| code.name);
    all
}

/// The codes of the stages before.
const STAGES: &[(&str, &str)] = &[
    (
        "address-twice",
        "An address is in the blocks of an instance, or among static addresses, twice; the first line counts.",
    ),
    (
        "authentication-ignored",
        "An instance of version 3, in strict mode, or over IPv6 has authentication that cannot be: it runs without.",
    ),
    (
        "bad-command",
        "A command cannot be cut into a program and arguments, mostly because of a quote.",
    ),
    (
        "bad-mac",
        "A VMAC is given an address that no such interface can have.",
    ),
    (
        "bad-name",
        "A DNS_CHECK asks for something that is no domain name.",
    ),
    (
        "bad-number",
        "A number cannot be read whole: letters behind it, or more decimals than count.",
    ),
    ("bad-regex", "A regular expression cannot be used."),
    (
        "bad-thresholds",
        "The lower threshold of a server's connections is above the upper one.",
    ),
    (
        "bad-ttl-range",
        "The least TTL of a unicast peer is above the greatest.",
    ),
    (
        "bad-tunnel",
        "The words behind lvs_method do not go together.",
    ),
    ("bad-value", "A word is not what its keyword takes."),
    (
        "brace-in-value",
        "A parameter's value has a brace too many, since it takes all of its line.",
    ),
    (
        "byte-order-mark",
        "A file begins with a byte order mark, which keepalived takes for a part of the first word.",
    ),
    (
        "check-vip-address",
        "A check is to ask the virtual address on its server, and which one is not clear.",
    ),
    (
        "check-vip-method",
        "A check is to ask the virtual address on a server by NAT or FullNAT, which never sees it.",
    ),
    (
        "default-taken",
        "A keyword is missing that keepalived wants, and a default is taken.",
    ),
    (
        "defined-twice",
        "The name of a block is taken; the first one counts.",
    ),
    (
        "duplicate-server",
        "A service has two servers with the same address and port; the first one counts.",
    ),
    (
        "empty-block",
        "A block of lines or words has none, so that it says nothing.",
    ),
    (
        "empty-condition",
        "A line begins with a condition that has no name.",
    ),
    ("empty-file", "The configuration has no statement at all."),
    (
        "empty-garp-group",
        "A garp_group lacks an interval or interfaces.",
    ),
    ("empty-group", "A virtual_server_group has no line."),
    ("empty-repetition", "Nothing stands behind a repetition."),
    (
        "endless-parameter",
        "A parameter's value uses the parameter itself.",
    ),
    (
        "engine-without-persistence",
        "A persistence engine is chosen for a service that is not persistent.",
    ),
    (
        "executable-file",
        "An included file is executable: keepalived skips such files.",
    ),
    (
        "family-mismatch",
        "Addresses of IPv4 and IPv6 stand where they must be of one family.",
    ),
    ("foreign-flag", "A flag belongs to another scheduler."),
    (
        "glued-parameter",
        "Something follows a parameter's name so closely that it is not replaced.",
    ),
    (
        "group-too-large",
        "A virtual_server_group stands for more services than there may be.",
    ),
    (
        "include-loop",
        "A file includes itself, directly or by others.",
    ),
    (
        "include-matches-nothing",
        "No file fits the pattern of an include.",
    ),
    (
        "include-not-first",
        "An include is not the first word of its line.",
    ),
    ("include-without-file", "An include names no file."),
    (
        "instance-in-two-groups",
        "An instance is a member of two sync groups, and can follow only one.",
    ),
    (
        "interface-in-two-groups",
        "An interface is in two garp_group blocks.",
    ),
    (
        "interval-rounded",
        "An advert_int is not one that its version of VRRP can send, so the nearest is taken.",
    ),
    (
        "invalid-random",
        "The limits of `${_RANDOM}` are no numbers, or the wrong way round.",
    ),
    (
        "invalid-repetition",
        "The list in the parentheses of a repetition cannot be read.",
    ),
    (
        "ipv4-only",
        "An option of addresses that only IPv4 has stands with an IPv6 address.",
    ),
    (
        "late-ignored",
        "timer_expired_backup stands without nopreempt, which it needs.",
    ),
    (
        "leftover-variable",
        "The variable of a repetition is used after its end.",
    ),
    (
        "line-ends",
        "The lines of a file end with carriage returns alone.",
    ),
    ("line-too-long", "A line is longer than keepalived reads."),
    (
        "master-with-ah",
        "An instance with authentication by AH is to begin as master, which it cannot.",
    ),
    ("member-twice", "A group names an instance twice."),
    (
        "misplaced-keyword",
        "A keyword stands in a block that does not have it, and belongs to another.",
    ),
    (
        "misplaced-repetition",
        "A repetition stands in the middle of a line.",
    ),
    (
        "missing-argument",
        "A keyword, or an option, lacks a word behind it.",
    ),
    ("missing-block", "A keyword lacks its braces."),
    ("missing-file", "A file cannot be opened."),
    (
        "missing-keyword",
        "A block lacks a keyword without which it can do nothing.",
    ),
    (
        "next-hop-in-vain",
        "A route that drops packets has a next hop.",
    ),
    (
        "no-action",
        "A rule of routing does not say what is to be done.",
    ),
    (
        "no-broadcast",
        "A broadcast address is to be computed for a network without one.",
    ),
    ("no-destination", "A route does not say where to."),
    (
        "no-effect",
        "A keyword is understood, and lvsd does not do what it says, or not yet.",
    ),
    (
        "no-local-address",
        "A service by FullNAT has no addresses of its own for packets to the servers.",
    ),
    (
        "no-next-hop",
        "A route has neither a next hop nor an interface.",
    ),
    (
        "no-preference",
        "A rule of routing does not say its place among rules.",
    ),
    (
        "no-protocol",
        "A service by address does not say its protocol; keepalived takes UDP.",
    ),
    ("no-servers", "A service has no server."),
    ("no-vip", "An instance has no VIP."),
    (
        "nopreempt-ignored",
        "nopreempt stands with state MASTER or priority 255, where keepalived forgets it.",
    ),
    ("not-a-file", "What is to be read is a folder, or a device."),
    (
        "not-multicast",
        "A group's address is not a multicast address.",
    ),
    ("not-utf-8", "A file has bytes that are not UTF-8."),
    (
        "odd-character",
        "A character looks like a quote, a blank or a dash, and is another.",
    ),
    ("old-spelling", "A keyword has another name today."),
    (
        "ops-without-udp",
        "One-packet scheduling is asked for a service that is not UDP.",
    ),
    ("out-of-range", "A number is too small or too large."),
    (
        "password-cut",
        "A password of VRRP has more than the 8 bytes that count.",
    ),
    ("peer-twice", "A unicast peer is named twice."),
    (
        "persistence-forced",
        "A service without a port is persistent, whether it says so or not.",
    ),
    (
        "port-mapping",
        "A server of direct routing or a tunnel has another port than its service, and packets keep theirs.",
    ),
    (
        "preempt-delay-ignored",
        "preempt_delay stands where an instance preempts at once or never.",
    ),
    (
        "quorum-max-too-small",
        "A vrrp_track_process wants more processes than it allows.",
    ),
    ("removed-keyword", "keepalived has dropped a keyword."),
    (
        "repeated-keyword",
        "A keyword is given twice in a block, of which only one counts.",
    ),
    (
        "repeated-option",
        "An option is given twice on a line; the last one counts.",
    ),
    (
        "replaced-parameter",
        "A repetition has a variable with the name of a parameter.",
    ),
    (
        "reserved-parameter",
        "A parameter's name begins with `_`, as only keepalived's own do.",
    ),
    ("second-condition", "A line has two conditions."),
    (
        "several-lines",
        "Something follows a parameter whose value has several lines.",
    ),
    (
        "stray-backslash",
        "A line ends with a backslash, which continues only values of parameters.",
    ),
    ("strict-corrects", "Strict mode overrules a keyword."),
    (
        "strict-unicast",
        "Strict mode does not go with unicast; keepalived refuses the instance.",
    ),
    (
        "surplus-argument",
        "More words stand behind a keyword than it takes.",
    ),
    (
        "surplus-brace",
        "A closing brace closes nothing, or comes too early.",
    ),
    (
        "sync-daemon-twice",
        "lvs_sync_daemon_interface stands beside lvs_sync_daemon, which counts.",
    ),
    (
        "too-much",
        "Files, repetitions or parameters make more of a configuration than is read.",
    ),
    (
        "tracked-twice",
        "The same thing is tracked twice; the first line counts.",
    ),
    (
        "unbalanced-repetition",
        "A repetition repeats a brace without its counterpart.",
    ),
    (
        "unclosed-block",
        "The file ends, or another block begins, before a block is closed.",
    ),
    (
        "unclosed-parameter",
        "The brace behind a parameter's name is missing.",
    ),
    ("unclosed-quote", "A quote is not closed on its line."),
    (
        "undefined-parameter",
        "A parameter is used that is not defined; its name stays as it is.",
    ),
    (
        "undefined-variable",
        "A variable of the environment is used that does not exist.",
    ),
    ("unexpected-block", "A brace opens where no block can be."),
    (
        "unfinished-value",
        "The file ends within a parameter's value.",
    ),
    (
        "unicast-without-peers",
        "An instance is to use unicast and has no peers, so that it uses multicast.",
    ),
    (
        "unknown-group",
        "There is no such group of users on this host.",
    ),
    ("unknown-keyword", "There is no such keyword."),
    (
        "unknown-member",
        "A group names an instance that does not exist.",
    ),
    (
        "unknown-name",
        "Something is named that the configuration does not define.",
    ),
    (
        "unknown-option",
        "There is no such word behind this keyword.",
    ),
    ("unknown-user", "There is no such user on this host."),
    ("unreadable-file", "A file may not be read."),
    (
        "unused-group",
        "A group of virtual services is used by none.",
    ),
    (
        "version-2-over-ipv6",
        "An instance speaks version 2 of VRRP over IPv6, which no standard has.",
    ),
    (
        "vmac-and-ipvlan",
        "An instance is to have both a VMAC and an ipvlan.",
    ),
    ("vmac-missing", "vmac_xmit_base stands without use_vmac."),
    (
        "weight-cut",
        "A weight is beyond what priorities reach, and is cut.",
    ),
    (
        "weight-ignored",
        "A thing is tracked with a weight where weights do not count, so that it is not watched at all.",
    ),
    ("zero-byte", "A line has a zero byte in it."),
];
