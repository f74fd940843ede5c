//! Linux: the sockets and frames of virtual routers. Nothing here decides anything, and nothing waits.

mod sys;
