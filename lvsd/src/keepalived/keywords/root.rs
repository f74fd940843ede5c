//! The file as a whole.

use super::http::SSL;
use super::virtual_server::{VIRTUAL_SERVER, VIRTUAL_SERVER_GROUP};
use super::words::keyword;
use super::{Keyword, Table};

/// The file as if it were a block.
pub static WHOLE: Keyword = keyword("keepalived.conf", "The whole configuration.").block(&ROOT);

/// The keywords that stand in no block.
pub static ROOT: Table = Table { parts: &[BLOCKS] };

const BLOCKS: &[Keyword] = &[VIRTUAL_SERVER_GROUP, VIRTUAL_SERVER, SSL];
