//! A complete Linux Virtual Server in user space: the daemon's parts.
//!
//! | module | holds |
//! |---|---|
//! | [`rules`] | rule files in ipvsadm's format |
//! | [`keepalived`] | keepalived.conf: language, checks, model |
//! | [`health`] | checks of a keepalived.conf's servers, and what follows from them |
//! | [`alerts`] | scripts, pipes and mails about events |
//! | [`daemon`] | the running director: threads, ports, guard |
//! | [`control`] | the control socket: protocol, daemon's side, client's side |
//! | [`web`] | the HTTP endpoint: metrics, status |
//! | [`adm`] | ipvsadm's commands carried out, and its listings |
//! | [`conns`] | `lvsd conns` |
//! | [`explain`] | `lvsd explain` |
//! | [`check`] | `lvsd check` |
//! | [`help_config`] | `lvsd help-config` |
//! | [`run`] | `lvsd run` |
//! | [`completions`] | `lvsd completions`: what shells offer |
//! | [`drain`] | `lvsd drain` |
//! | [`top`] | `lvsd top` |
//! | [`genhash`] | `lvsd genhash` |
//! | [`reload`] | `lvsd reload` |
//! | [`status`] | `lvsd status` |
//! | [`routers`] | `lvsd vrrp` |
//! | [`replay`] | `lvsd replay` |
//! | [`demo`] | `lvsd demo` |
#![warn(missing_docs)]

pub mod adm;
pub mod alerts;
mod arguments;
pub mod check;
pub mod completions;
pub mod conns;
pub mod control;
pub mod daemon;
pub mod demo;
pub mod drain;
mod exit;
pub mod explain;
pub mod genhash;
pub mod health;
pub mod help_config;
pub mod keepalived;
mod output;
mod page;
mod pulse;
pub mod reload;
pub mod replay;
pub mod routers;
pub mod rules;
pub mod run;
mod span;
pub mod status;
pub mod top;
mod unix_socket;
pub mod vrrp;
pub mod web;
