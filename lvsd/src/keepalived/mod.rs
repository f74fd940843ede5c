//! keepalived.conf: read, checked, and made into what is to run.
//!
//! Problem: keepalived starts with broken files, says little about them, and applies half of what they say. Its users have
//! thousands of such files, with the spellings of many versions and tutorials.
//!
//! Rule: a file goes through stages, each of which reports everything that it finds wrong and goes on; whatever comes out at the end
//! counts only if no stage has found an error.
//!
//! | module | makes |
//! |---|---|
//! | [`source`] | statements and braces of files, with includes, conditions and parameters resolved, and the place of each word |
//! | [`keywords`] | the tables of all keywords: parser, validator and documentation at once |
//! | [`tree`] | blocks of keywords with their arguments, by the tables |
//! | [`model`] | the typed configuration |
//! | `build` | the model from the tree |
//! | `lint` | what is wrong with a model although each line is right |
//! | [`diagnostic`] | what is wrong, where, and what to write instead; as text or JSON |
//! | [`host`] | what a file is checked against |
//! | [`place`] | places in files |

pub mod build;
pub mod diagnostic;
pub mod host;
pub mod keywords;
pub mod lint;
mod load;
pub mod model;
pub mod place;
pub mod source;
pub mod tree;

pub use host::{Host, SystemHost};
pub use load::{Loaded, Options, load};
