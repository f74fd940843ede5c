//! What documents show is what the program does.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;
use std::{env, fs};

use serde_json::Value;

mod village;
use village::Village;

fn document(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A conversation with a daemon, as the document shows it.
struct Conversation {
    stream: BufReader<UnixStream>,
}

impl Conversation {
    fn open(path: &Path) -> Self {
        let stream = UnixStream::connect(path).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let stream = BufReader::new(stream);
        Self { stream }
    }

    fn say(&mut self, request: &Value) {
        let line = format!("{request}\n");
        self.stream.get_mut().write_all(line.as_bytes()).unwrap();
    }

    fn hear(&mut self) -> Option<Value> {
        let mut line = String::new();
        match self.stream.read_line(&mut line).unwrap() {
            0 => None,
            _ => Some(serde_json::from_str(&line).unwrap()),
        }
    }
}

/// The blocks of a language in a document.
fn blocks<'a>(document: &'a str, language: &str) -> Vec<&'a str> {
    let opening = format!("```{language}\n");
    let behind = document.split(opening.as_str()).skip(1);
    behind
        .map(|rest| rest.split("\n```").next().unwrap())
        .collect()
}

/// The daemon's version changes without the document.
fn without_version(mut value: Value) -> Value {
    for pointer in ["/lvsd", "/table/lvsd"] {
        if let Some(version) = value.pointer_mut(pointer) {
            *version = "the daemon's".into();
        }
    }
    if let Some(Value::String(message)) = value.get_mut("message")
        && let Some((before, _)) = message.split_once("(lvsd ")
    {
        *message = format!("{before}(the daemon's)");
    }
    value
}

#[test]
fn the_conversations_of_control_md_happen() {
    let village = Village::new();
    let document = document("docs/control.md");
    let mut conversation = None;
    let mut replies = 0;
    for block in blocks(&document, "json") {
        for said in serde_json::Deserializer::from_str(block).into_iter::<Value>() {
            let said = said.unwrap_or_else(|e| panic!("{e} in\n{block}"));
            if said.get("reply").is_none() {
                if said.get("request").is_none() {
                    conversation = Some(Conversation::open(village.path()));
                }
                conversation.as_mut().unwrap().say(&said);
                continue;
            }
            let heard = conversation.as_mut().unwrap().hear();
            let heard = heard.unwrap_or_else(|| panic!("the daemon has hung up before\n{said:#}"));
            let heard = without_version(heard);
            assert_eq!(
                heard,
                without_version(said),
                "the daemon says\n{heard:#}\nand not what the document says in\n{block}"
            );
            replies += 1;
        }
    }
    assert_eq!(
        conversation.unwrap().hear(),
        None,
        "the last example ends it"
    );
    assert!(replies >= 10, "{replies} replies are as good as none");
}
