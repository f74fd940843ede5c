use std::process::{Child, Command};

use super::*;
use ObjectState::{Bad, Good};

/// A program under a name of its own, started with this argument. It ends with the test.
struct Sleeper(Child);

impl Sleeper {
    fn start(scene: &Scene, argument: &str) -> Self {
        let path = scene.path(&name(scene));
        if !path.exists() {
            fs::copy("/bin/sleep", &path).unwrap();
        }
        Self(Command::new(path).arg(argument).spawn().unwrap())
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A name that no other process has.
fn name(scene: &Scene) -> String {
    format!("w{}-{}", std::process::id(), scene.number)
}

fn watch(scene: &mut Scene, process: &str, more: &str) {
    let process = process.replace("NAME", &name(scene));
    let block = format!("vrrp_track_process p_N {{\n process {process}\n{more}\n}}\n");
    scene.watch(&block, "track_process {\n p_N\n}");
}

/// How many processes there are.
fn count(scene: &Scene) -> Option<u32> {
    let object = Object::Process(scene.filled("p_N"));
    match scene.status().get(&object)?.detail {
        Detail::Processes { count } => count,
        _ => None,
    }
}

#[test]
fn they_come_and_go() {
    let mut scene = Scene::new();
    watch(&mut scene, "NAME", "");
    scene.until("p_N", &[Bad]);
    let one = Sleeper::start(&scene, "1000");
    scene.until("p_N", &[Bad, Good]);
    let two = Sleeper::start(&scene, "1000");
    until("there are two", || count(&scene) == Some(2));
    drop(one);
    until("there is one", || count(&scene) == Some(1));
    scene.until("p_N", &[Bad, Good]);
    drop(two);
    scene.until("p_N", &[Bad, Good, Bad]);
    let lines = scene.logged("process `p_N`: ");
    assert!(
        lines[0].ends_with("0 running, wanted: at least 1: bad"),
        "{lines:?}"
    );
    assert!(
        lines[1].ends_with("1 running, wanted: at least 1: good"),
        "{lines:?}"
    );
}

#[test]
fn so_many_and_not_more() {
    let mut scene = Scene::new();
    watch(&mut scene, "NAME", "quorum 2\n quorum_max 2\n delay 0.3");
    scene.until("p_N", &[Bad]);
    let _one = Sleeper::start(&scene, "1000");
    let _two = Sleeper::start(&scene, "1000");
    scene.until("p_N", &[Bad, Good]);
    let three = Sleeper::start(&scene, "1000");
    scene.until("p_N", &[Bad, Good, Bad]);
    drop(three);
    scene.until("p_N", &[Bad, Good, Bad, Good]);
    let line = scene.logged("process `p_N`: ").remove(2);
    assert!(line.ends_with("3 running, wanted: 2: bad"), "{line}");
}

#[test]
fn arguments_count_if_they_are_named() {
    let mut scene = Scene::new();
    let _other = Sleeper::start(&scene, "1001");
    let path = scene.path(&name(&scene));
    watch(&mut scene, &format!("{} 1000", path.display()), "");
    scene.until("p_N", &[Bad]);
    let _one = Sleeper::start(&scene, "1000");
    scene.until("p_N", &[Bad, Good]);
    // Other rules count at once.
    watch(&mut scene, &format!("{} 1000", path.display()), "quorum 2");
    scene.until("p_N", &[Bad, Good, Bad]);
    let initial = "quorum 2\n param_match initial";
    watch(&mut scene, &format!("{} 100", path.display()), initial);
    scene.until("p_N", &[Bad, Good, Bad, Good]);
}
