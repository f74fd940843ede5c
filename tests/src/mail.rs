//! An SMTP server, and what it was sent.

use std::fs;
use std::path::PathBuf;

use crate::command::{eventually, run};
use crate::node::Node;
use crate::process::{PATIENCE, Process};

/// Exim, which takes every mail for everybody and keeps it.
#[derive(Debug)]
pub struct Mail {
    /// The program.
    pub server: Process,
    arrived: PathBuf,
}

impl Node {
    /// An SMTP server at `port`, on every address of this host; it calls itself `NAME.test`, by this host's name.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn mail(&self, port: u16) -> Mail {
        let dir = self.file(&format!("mail-{port}"));
        let arrived = dir.join("arrived");
        fs::create_dir_all(&arrived).expect("the temporary folder can be written to");
        let conf = dir.join("exim.conf");
        let path = |path: &PathBuf| path.to_str().expect("a path in UTF-8").to_owned();
        fs::write(&conf, configuration(self.title(), port, &path(&dir)))
            .expect("the temporary folder can be written to");
        // Who it becomes once it has bound its port.
        for ours in [&dir, &arrived] {
            run(&["chown", "Debian-exim", &path(ours)]);
        }
        let mut server = self.start("exim", &["exim4", "-bdf", "-C", &path(&conf)]);
        server.await_listening(self, "tcp", &[port]);
        Mail { server, arrived }
    }
}

/// Everything within `dir`; no look-ups, no TLS, no limits that a checker could meet.
fn configuration(name: &str, port: u16, dir: &str) -> String {
    format!(
        "primary_hostname = {name}.test\n\
         spool_directory = {dir}/spool\n\
         log_file_path = {dir}/%slog\n\
         pid_file_path = {dir}/pid\n\
         daemon_smtp_ports = {port}\n\
         local_interfaces = <; 0.0.0.0 ; ::0\n\
         host_lookup =\n\
         tls_advertise_hosts =\n\
         keep_environment =\n\
         never_users =\n\
         deliver_drop_privilege\n\
         acl_smtp_rcpt = accept\n\
         acl_smtp_data = accept\n\
         smtp_accept_max = 0\n\
         smtp_accept_queue_per_connection = 0\n\
         begin routers\n\
         all:\n  driver = accept\n  transport = keep\n\
         begin transports\n\
         keep:\n  driver = appendfile\n  directory = {dir}/arrived\n  maildir_format\n  \
         return_path_add\n  envelope_to_add\n"
    )
}

impl Mail {
    /// The mails that have arrived so far, the oldest first: header and body, with the sender and the recipient of the envelope
    /// as `Return-path:` and `Envelope-to:`. A mail for two is there twice.
    pub fn arrived(&self) -> Vec<String> {
        let Ok(new) = fs::read_dir(self.arrived.join("new")) else {
            return Vec::new(); // made with the first mail
        };
        let mut files: Vec<_> = new.filter_map(|f| Some(f.ok()?.path())).collect();
        files.sort();
        let text = |file| fs::read_to_string(file).expect("mails are in UTF-8");
        files.iter().map(text).collect()
    }

    /// Waits until so many have arrived, and returns them.
    ///
    /// # Panics
    /// If they do not.
    #[track_caller]
    pub fn await_arrived(&self, count: usize) -> Vec<String> {
        let enough = eventually(PATIENCE, || self.arrived().len() >= count);
        let arrived = self.arrived();
        assert!(enough, "{count} mails awaited: {arrived:#?}");
        arrived
    }
}
