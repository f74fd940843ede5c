//! `lvsd demo`.
pub mod decap;
pub mod host;
pub mod http;
pub mod lan;
pub mod load;
#[cfg(test)]
mod tests;
