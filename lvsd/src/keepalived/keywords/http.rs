//! `HTTP_GET`, `SSL_GET` and the root block `SSL`.

use super::checkers::{TARGET, TIMING};
use super::words::{BOOL, int, keyword, may, must, some};
use super::{Keyword, Kind, Table};

pub(super) const HTTP_GET: Keyword = keyword(
    "HTTP_GET",
    "Whether the server has certain pages, and whether they are as they should be.",
)
.block(&HTTP_TABLE)
.each()
.differs("Chunked bodies are decoded for `digest`; keepalived takes the bytes as they come.");

pub(super) const SSL_GET: Keyword = keyword("SSL_GET", "HTTP_GET over TLS.")
    .block(&SSL_TABLE)
    .each();

static HTTP_TABLE: Table = Table {
    parts: &[HTTP, PLAIN, TARGET, TIMING],
};

static SSL_TABLE: Table = Table {
    parts: &[HTTP, TLS, TARGET, TIMING],
};

const HTTP: &[Keyword] = &[
    keyword("url", "A page.")
        .block(&URL)
        .each()
        .default("at least one is needed"),
    keyword(
        "http_protocol",
        "The protocol spoken. `1.0C` and `1.1` send `Connection: close`.",
    )
    .takes(&[must("VERSION", Kind::AnyCase(&["1.0", "1.0C", "1.1"]))])
    .default("1.0"),
    VIRTUALHOST.default("the server's, or else the service's"),
    keyword(
        "fast_recovery",
        "While the server comes up, the next page is asked for at once.",
    )
    .takes(&[BOOL])
    .default("off"),
];

const TLS: &[Keyword] = &[
    keyword("enable_sni", "The name of the server is sent (SNI).").takes(&[BOOL]).default("off"),
    keyword("sni_name", "The name that is sent.").takes(&[may("NAME", Kind::Text)]).default("`virtualhost` of the url, the check or the service"),
    TLS_COMPLIANT,
    keyword("lvsd_tls_verify", "The server's certificate is verified. lvsd's own; keepalived ignores the line, and never verifies.")
        .takes(&[BOOL])
        .default("off"),
];

/// What keepalived reads in HTTP_GET too.
const PLAIN: &[Keyword] = &[
    keyword("enable_sni", "Means something to SSL_GET.")
        .takes(&[BOOL])
        .nothing(NO_TLS),
    keyword("sni_name", "Means something to SSL_GET.")
        .takes(&[may("NAME", Kind::Text)])
        .nothing(NO_TLS),
    keyword("tls_compliant", "Means something to SSL_GET.")
        .takes(&[BOOL])
        .nothing(NO_TLS),
    keyword("lvsd_tls_verify", "Means something to SSL_GET.")
        .takes(&[BOOL])
        .nothing(NO_TLS),
];

const NO_TLS: &str = "HTTP_GET speaks no TLS: for that, write SSL_GET";

const TLS_COMPLIANT: Keyword = keyword(
    "tls_compliant",
    "The TLS session is closed as the standard wants it.",
)
.takes(&[BOOL])
.default("off")
.harmless("lvsd always closes it so");

const VIRTUALHOST: Keyword =
    keyword("virtualhost", "The `Host` header, word for word.").takes(&[must("HOST", Kind::Text)]);

static URL: Table = Table {
    parts: &[URL_KEYWORDS],
};

const URL_KEYWORDS: &[Keyword] = &[
    keyword("path", "Which page, with the leading slash.").takes(&[must("PATH", Kind::UrlPath)]).default("needed"),
    keyword("digest", "The MD5 sum of the page, as `lvsd genhash` prints it.")
        .takes(&[must("DIGEST", Kind::Hex { wild: false, bytes: 16 })]),
    keyword("status_code", "Which status codes are good.")
        .takes(&[some("CODES", Kind::Range { min: 100, max: 599 })])
        .default("200-299"),
    VIRTUALHOST.default("the check's"),
    keyword("regex", "A regular expression that the answer, its header included, must match.")
        .takes(&[must("PATTERN", Kind::Quoted)])
        .differs("The syntax is that of Rust's regex crate, without look-around and back references; what it cannot do is an error."),
    keyword("regex_no_match", "The regular expression must not match."),
    keyword("regex_options", "How the regular expression is read.")
        .takes(&[some("OPTION", Kind::OneOf(REGEX_OPTIONS))])
        .each()
        .differs("caseless, dotall, extended, multiline and ungreedy work; the others mean nothing to the regex crate."),
    keyword("regex_stack", "Limits of PCRE's stack.")
        .takes(&[must("START", int(1, 4_294_967_295)), must("MAX", int(1, 4_294_967_295))])
        .harmless("the regex crate needs no stack"),
    keyword("regex_min_offset", "The first byte of the answer that a match may begin at.").takes(&[must("BYTES", int(0, 4_294_967_295))]).default("0"),
    keyword("regex_max_offset", "The last byte of the answer that a match may begin at.").takes(&[must("BYTES", int(0, 4_294_967_295))]),
    TLS_COMPLIANT,
];

const REGEX_OPTIONS: &[&str] = &[
    "allow_empty_class",
    "alt_bsux",
    "auto_callout",
    "caseless",
    "dollar_endonly",
    "dotall",
    "dupnames",
    "extended",
    "firstline",
    "match_unset_backref",
    "multiline",
    "never_ucp",
    "never_utf",
    "no_auto_capture",
    "no_auto_possess",
    "no_dotstar_anchor",
    "no_start_optimize",
    "ucp",
    "ungreedy",
    "utf",
    "never_backslash_c",
    "alt_circumflex",
    "alt_verbnames",
    "use_offset_limit",
];

/// `SSL`, a root block.
pub(super) const SSL: Keyword =
    keyword("SSL", "What SSL_GET shows to servers, and whom it trusts.").block(&SSL_KEYS);

static SSL_KEYS: Table = Table {
    parts: &[&[
        keyword("password", "The key's pass phrase.").takes(&[must("PASSWORD", Kind::Text)]).nothing("keys with a pass phrase cannot be read; keep it without one"),
        keyword("ca", "Certificates of authorities to verify servers with.").takes(&[must("FILE", Kind::Text)])
            .differs("keepalived reads it, but verifies nothing; lvsd does where `lvsd_tls_verify` says so."),
        keyword("certificate", "The certificate that servers are shown.").takes(&[must("FILE", Kind::Text)]),
        keyword("key", "The certificate's key.").takes(&[must("FILE", Kind::Text)]),
    ]],
};
