use super::*;
use ObjectState::Number;

fn block(name: &str, path: &str, more: &str) -> String {
    format!("track_file {name} {{\n file \"DIR/{path}\"\n{more}\n}}\n")
}

/// A scene that tracks `f_N`, which is at this path.
fn with_file(scene: &mut Scene, path: &str, more: &str) {
    scene.watch(&block("f_N", path, more), "track_file {\n f_N\n}");
}

/// Puts a file in the place of another.
fn replace(path: &Path, content: &str) {
    let new = path.with_extension("new");
    fs::write(&new, content).unwrap();
    fs::rename(new, path).unwrap();
}

#[test]
fn written_replaced_and_removed() {
    let mut scene = Scene::new();
    let path = scene.path("f");
    fs::write(&path, "7\n").unwrap();
    with_file(&mut scene, "f", "");
    let mut states = vec![Number(7)];
    scene.until("f_N", &states);
    replace(&path, "-3");
    states.push(Number(-3));
    scene.until("f_N", &states);
    fs::remove_file(&path).unwrap();
    states.push(Number(0));
    scene.until("f_N", &states);
    replace(&path, "0x10");
    states.push(Number(16));
    scene.until("f_N", &states);
    fs::rename(&path, scene.path("away")).unwrap();
    states.push(Number(0));
    scene.until("f_N", &states);
    fs::rename(scene.path("away"), &path).unwrap();
    states.push(Number(16));
    scene.until("f_N", &states);
    assert_eq!(scene.logged("file `f_N`: says -3, and said 7").len(), 1);
}

#[test]
fn what_is_being_written_does_not_count() {
    use std::io::Write as _;
    let mut scene = Scene::new();
    let path = scene.path("f");
    fs::write(&path, "7").unwrap();
    with_file(&mut scene, "f", "");
    scene.until("f_N", &[Number(7)]);
    let mut file = fs::File::create(&path).unwrap();
    // Others in the folder are news, too.
    replace(&scene.path("g"), "5");
    file.write_all(b"8").unwrap();
    drop(file);
    scene.until("f_N", &[Number(7), Number(8)]);
}

#[test]
fn folders_come_and_go() {
    let mut scene = Scene::new();
    with_file(&mut scene, "folder/f", "");
    scene.until("f_N", &[Number(0)]);
    fs::create_dir(scene.path("folder")).unwrap();
    replace(&scene.path("folder/f"), "1");
    scene.until("f_N", &[Number(0), Number(1)]);
    fs::remove_dir_all(scene.path("folder")).unwrap();
    scene.until("f_N", &[Number(0), Number(1), Number(0)]);
    fs::create_dir(scene.path("folder")).unwrap();
    replace(&scene.path("folder/f"), "2");
    scene.until("f_N", &[Number(0), Number(1), Number(0), Number(2)]);
    fs::rename(scene.path("folder"), scene.path("elsewhere")).unwrap();
    let states = [Number(0), Number(1), Number(0), Number(2), Number(0)];
    scene.until("f_N", &states);
}

#[test]
fn links_are_followed() {
    let mut scene = Scene::new();
    fs::create_dir(scene.path("elsewhere")).unwrap();
    replace(&scene.path("elsewhere/f"), "1");
    std::os::unix::fs::symlink("elsewhere/f", scene.path("f")).unwrap();
    with_file(&mut scene, "f", "");
    scene.until("f_N", &[Number(1)]);
    replace(&scene.path("elsewhere/f"), "2");
    scene.until("f_N", &[Number(1), Number(2)]);
}

#[test]
fn what_is_no_number() {
    let mut scene = Scene::new();
    let path = scene.path("f");
    fs::write(&path, "7").unwrap();
    with_file(&mut scene, "f", "");
    scene.until("f_N", &[Number(7)]);
    replace(&path, "99999999999");
    let complaint = "file `f_N`: DIR/f says \"99999999999\", a number too great";
    until("it is said", || scene.logged(complaint).len() == 1);
    scene.until("f_N", &[Number(7)]);
    replace(&path, "none\u{1b}");
    scene.until("f_N", &[Number(7), Number(0)]);
    let complaint = "file `f_N`: DIR/f says \"none\\x1b\", no number, which counts as 0";
    assert_eq!(scene.logged(complaint).len(), 1);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let complaint = "file `f_N`: DIR/f: it is no regular file";
    until("it is said", || scene.logged(complaint).len() == 1);
}

#[test]
fn initial_content() {
    let mut scene = Scene::new();
    for name in ["kept", "overwritten"] {
        fs::write(scene.path(name), "7").unwrap();
    }
    let blocks = [
        block("a_N", "made", "init_file 3"),
        block("b_N", "kept", "init_file 3"),
        block("c_N", "overwritten", "init_file 5 overwrite"),
        block("d_N", "untracked", "init_file"),
        block("e_N", "no/such/folder", "init_file 1"),
    ];
    scene.watch(&blocks.concat(), "track_file {\n a_N\n b_N\n c_N\n e_N\n}");
    scene.until("a_N", &[Number(3)]);
    scene.until("b_N", &[Number(7)]);
    scene.until("c_N", &[Number(5)]);
    scene.until("e_N", &[Number(0)]);
    assert_eq!(fs::read(scene.path("untracked")).unwrap(), b"0\n");
    assert_eq!(fs::read(scene.path("overwritten")).unwrap(), b"5\n");
    assert_eq!(scene.logged("file `e_N`: cannot be initialised").len(), 1);
    assert_eq!(scene.status().len(), 4);
    // Only at the start.
    replace(&scene.path("overwritten"), "9");
    scene.until("c_N", &[Number(5), Number(9)]);
    scene.watch(&blocks.concat(), "track_file {\n c_N\n d_N\n}");
    scene.until("d_N", &[Number(0)]);
    scene.until("c_N", &[Number(5), Number(9)]);
    assert_eq!(scene.status().len(), 2);
}

#[test]
fn reloads_may_move_a_file() {
    let mut scene = Scene::new();
    fs::write(scene.path("f"), "7").unwrap();
    fs::create_dir(scene.path("folder")).unwrap();
    fs::write(scene.path("folder/f"), "7").unwrap();
    with_file(&mut scene, "f", "");
    scene.until("f_N", &[Number(7)]);
    with_file(&mut scene, "folder/f", "");
    replace(&scene.path("folder/f"), "8");
    scene.until("f_N", &[Number(7), Number(8)]);
    replace(&scene.path("f"), "1");
    with_file(&mut scene, "f", "");
    scene.until("f_N", &[Number(7), Number(8), Number(1)]);
}
