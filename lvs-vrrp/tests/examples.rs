//! The example does what it says.

#[expect(dead_code, reason = "its command line is not used here")]
#[path = "../examples/election.rs"]
mod election;

const STORY: [&str; 13] = [
    "  0.000 s  host 1: INIT → BACKUP: it has been started",
    "  0.000 s  host 2: INIT → BACKUP: it has been started",
    "  0.000 s  host 3: INIT → BACKUP: it has been started",
    "  3.219 s  host 1: BACKUP → MASTER: no advertisement from anybody for 3.22 s",
    "The first host loses its power.",
    " 22.634 s  host 2: BACKUP → MASTER: no advertisement from 192.0.2.1 (priority 200) for 3.41 s",
    "It has it back, and begins anew.",
    " 40.000 s  host 1: INIT → BACKUP: it has been started",
    " 43.219 s  host 1: BACKUP → MASTER: the master 192.0.2.2 has priority 150, below our 200",
    " 43.220 s  host 2: MASTER → BACKUP: 192.0.2.1 is master with priority 200, above our 150",
    "It is told to stop.",
    " 60.000 s  host 1: MASTER → INIT: it has been stopped",
    " 60.415 s  host 2: BACKUP → MASTER: 192.0.2.1 has stepped down (priority 0)",
];

#[test]
fn the_story_of_an_election() {
    let mut story = Vec::new();
    election::election(|line| story.push(line));
    assert_eq!(story, STORY);
}
