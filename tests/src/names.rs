//! A DNS server.

use std::fs;

use crate::command::run;
use crate::node::Node;
use crate::process::Process;

impl Node {
    /// Unbound at port 53, UDP and TCP, on every address of this host; it answers from the one that was asked. It knows
    /// these records, as a zone file has them ("www.example.test. A 10.0.0.1"), and an SOA of the root; other names do
    /// not exist (NXDOMAIN), but for those under "refused.test.", about which it says nothing (REFUSED).
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn dns(&self, records: &[&str]) -> Process {
        let dir = self.file("unbound");
        fs::create_dir_all(&dir).expect("the temporary folder can be written to");
        let shown = dir.to_str().expect("a path in UTF-8");
        let mut conf = format!(
            "server:\n  interface: 0.0.0.0\n  interface: ::0\n  interface-automatic: yes\n\
             access-control: 0.0.0.0/0 allow\n  access-control: ::0/0 allow\n\
             username: \"\"\n  chroot: \"\"\n  directory: \"{shown}\"\n  pidfile: \"{shown}/pid\"\n\
             use-syslog: no\n  logfile: \"\"\n  do-daemonize: no\n  num-threads: 1\n\
             module-config: iterator\n  local-zone: . static\n  local-zone: refused.test. refuse\n\
             local-data: '. SOA ns.test. root.test. 1 3600 600 86400 60'\n"
        );
        conf.extend(records.iter().map(|r| format!("  local-data: '{r}'\n")));
        conf += "remote-control:\n  control-enable: no\n";
        let file = dir.join("unbound.conf");
        fs::write(&file, conf).expect("the temporary folder can be written to");
        // A copy: where AppArmor is at work, the original may not read our files.
        let copy = format!("{shown}/unbound");
        run(&["sh", "-c", &format!("cp $(command -v unbound) {copy}")]);
        let file = file.to_str().expect("a path in UTF-8");
        let mut unbound = self.start("unbound", &[&copy, "-d", "-c", file]);
        unbound.await_saying("start of service");
        unbound
    }
}
