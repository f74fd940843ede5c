//! How virtual routers are, for people and programs.

use super::speaking::Report;
use super::watch;
use crate::keepalived::model::Vrrp;

/// How virtual routers are.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {}

pub(super) fn of(_model: &Vrrp, _report: &Report, _watched: watch::Status) -> Status {
    Status {}
}
