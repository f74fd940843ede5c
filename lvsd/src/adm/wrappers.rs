//! `ipvsadm-save` and `ipvsadm-restore`, the two scripts that come with ipvsadm.
//!
//! They take what those take. But where the script clears the table and then fills it line by line, here both are one
//! change: packets never meet an empty table, and a file with an error changes nothing.

use super::front::Front;
use super::restore;

impl Front<'_> {
    /// `ipvsadm-save`: prints the table. Returns the exit status.
    pub(super) fn save_script(&mut self, words: &[&str]) -> u8 {
        // As the script does: what is no option does not matter.
        let mut options = words.iter().filter(|word| word.starts_with('-'));
        if options.any(|option| *option != "-n") {
            // Nobody is left to be told if that fails.
            let _ = self.err.write_all(SAVE_HELP.as_bytes());
            return 1;
        }
        let numeric = words.contains(&"-n");
        self.done(|front| front.save(numeric))
    }

    /// `ipvsadm-restore`: makes the table what standard input says. Returns the exit status.
    pub(super) fn restore_script(&mut self) -> u8 {
        self.done(restore::table)
    }
}

const SAVE_HELP: &str = "\
ipvsadm-save: writes the table of virtual services to standard output, for ipvsadm-restore.
   With -n addresses and ports are written as numbers.
";
