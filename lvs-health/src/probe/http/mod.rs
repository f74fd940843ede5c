//! Pages (RFC 9112), asked for as keepalived does, and read as they are sent today.
//!
//! What keepalived does not: an answer ends where its length or its last chunk says, chunks are put together, interim answers
//! (100, 103) are passed over, names of fields have no case, a status needs no text. And an answer that breaks off is a failure.

mod body;
#[cfg(feature = "regex")]
mod engine;
#[cfg(not(feature = "regex"))]
#[path = "without_engine.rs"]
mod engine;
mod head;
mod pattern;
mod request;

pub use pattern::Matcher;

use std::net::SocketAddr;
use std::sync::Arc;

use super::shown::shown;
use super::{Failure, Passed, Probe, Progress, Reason, Verdict};
use crate::check::{HttpVersion, Page};
use crate::digest::{Digest, Sum};
use body::{Body, Piece};
use head::{Head, Heads};
use pattern::MAX_SEARCHED;

/// How long a body may be.
const MAX_BODY: u64 = 16 << 20;

/// What is asked for, and what the answer is held against: made once, used for each run.
#[derive(Clone, Debug)]
pub struct Recipe {
    request: Vec<u8>,
    /// None: any.
    status: Vec<(u16, u16)>,
    digest: Option<Digest>,
    pattern: Option<Arc<Matcher>>,
    measured: bool,
}

impl Recipe {
    /// For a page of the server with this address; `pattern` is the page's, made ready.
    ///
    /// # Errors
    ///
    /// Path or host cannot be part of a request.
    pub fn new(
        page: &Page,
        version: HttpVersion,
        addr: SocketAddr,
        pattern: Option<Arc<Matcher>>,
    ) -> Result<Self, Failure> {
        let status = match &page.status[..] {
            [] => vec![(200, 299)],
            ranges => ranges.to_vec(),
        };
        Ok(Self {
            request: request::request(page, version, addr)?,
            status,
            digest: page.digest.map(Digest),
            pattern,
            measured: page.digest.is_some(),
        })
    }

    /// Any status is good, and the digest is computed: what genhash needs, for [`Get::outcome`].
    pub fn measuring(mut self) -> Self {
        self.status.clear();
        self.measured = true;
        self
    }

    fn judge_status(&self, status: u16) -> Result<(), Failure> {
        let is_good = |&(least, most): &(u16, u16)| (least..=most).contains(&status);
        match self.status.is_empty() || self.status.iter().any(is_good) {
            true => Ok(()),
            false => Err(Failure::new(Reason::Status, status.to_string())),
        }
    }
}

/// What an answer was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Its status.
    pub status: u16,
    /// How many bytes its body has, without the framing of chunks.
    pub length: u64,
    /// The MD5 sum of these bytes, if the recipe wants it.
    pub digest: Option<Digest>,
}

/// One run for one page.
///
/// Memory: 64 KiB for the header; 1 MiB more where a pattern is looked for. Bodies of up to 16 MiB are read, and not
/// kept.
#[derive(Clone, Debug)]
pub struct Get {
    recipe: Arc<Recipe>,
    place: Place,
    heads: Heads,
    outcome: Outcome,
    sum: Sum,
    /// Head and body so far, for the pattern.
    searched: Vec<u8>,
    /// Whether there was more than is searched.
    cut: bool,
}

#[derive(Clone, Debug)]
enum Place {
    Head,
    Body(Body),
}

impl Get {
    /// By this recipe.
    pub fn new(recipe: Arc<Recipe>) -> Self {
        Self {
            recipe,
            place: Place::Head,
            heads: Heads::default(),
            outcome: Outcome::default(),
            sum: Sum::default(),
            searched: Vec::new(),
            cut: false,
        }
    }

    /// What the answer was; complete only once the run is passed.
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// Takes what came; whether the answer is complete.
    fn take(&mut self, mut bytes: &[u8]) -> Result<bool, Failure> {
        loop {
            match &mut self.place {
                Place::Head => match self.heads.next(&mut bytes)? {
                    None => return Ok(false),
                    Some(head) if head.is_interim() => self.heads.forget(),
                    Some(head) => self.begin(head)?,
                },
                Place::Body(body) => match body.next(&mut bytes)? {
                    Piece::Data(data) => self.keep(data)?,
                    Piece::More => return Ok(false),
                    Piece::End => return Ok(true),
                },
            }
        }
    }

    fn begin(&mut self, head: Head) -> Result<(), Failure> {
        self.recipe.judge_status(head.status)?;
        self.outcome.status = head.status;
        self.place = Place::Body(Body::new(head.framing));
        let head = std::mem::take(&mut self.heads).into_bytes();
        if self.recipe.pattern.is_some() {
            self.searched = head;
        }
        Ok(())
    }

    fn keep(&mut self, data: &[u8]) -> Result<(), Failure> {
        self.outcome.length += data.len() as u64;
        if self.outcome.length > MAX_BODY {
            let detail = format!("a body of more than {} MiB", MAX_BODY >> 20);
            return Err(Failure::new(Reason::TooLong, detail));
        }
        if self.recipe.measured {
            self.sum.add(data);
        }
        if self.recipe.pattern.is_some() {
            let room = MAX_SEARCHED.saturating_sub(self.searched.len());
            self.cut |= room < data.len();
            self.searched
                .extend_from_slice(data.get(..room).unwrap_or(data));
        }
        Ok(())
    }

    /// What a whole answer is worth.
    fn judge(&mut self) -> Verdict {
        if self.recipe.measured {
            self.outcome.digest = Some(std::mem::take(&mut self.sum).finish());
        }
        if let (Some(wanted), Some(found)) = (self.recipe.digest, self.outcome.digest)
            && wanted != found
        {
            let detail = format!("digest {found}, not {wanted}");
            return Err(Failure::new(Reason::Digest, detail));
        }
        if let Some(pattern) = &self.recipe.pattern {
            pattern.judge(&self.searched, !self.cut)?;
        }
        Ok(Passed::Plainly)
    }

    /// How far it came.
    fn progress(&self) -> String {
        match &self.place {
            Place::Head => match self.heads.bytes() {
                [] => "nothing of an answer".to_owned(),
                head => format!("an unfinished header: {}", shown(head)),
            },
            Place::Body(_) => format!("only {} bytes of the body", self.outcome.length),
        }
    }
}

impl Probe for Get {
    fn opened(&mut self, out: &mut Vec<u8>) -> Progress {
        out.extend_from_slice(&self.recipe.request);
        Progress::More
    }

    fn received(&mut self, bytes: &[u8], _: &mut Vec<u8>) -> Progress {
        match self.take(bytes) {
            Ok(true) => Progress::Done(self.judge()),
            Ok(false) => Progress::More,
            Err(failure) => Progress::Done(Err(failure)),
        }
    }

    fn closed(&mut self) -> Verdict {
        match &self.place {
            Place::Body(body) if body.may_end() => self.judge(),
            _ => Err(Failure::new(Reason::Closed, self.progress())),
        }
    }

    fn expired(&mut self) -> Verdict {
        Err(Failure::new(Reason::AnswerTimeout, self.progress()))
    }
}

#[cfg(test)]
mod tests;
