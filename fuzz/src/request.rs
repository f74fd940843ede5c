//! What clients of the HTTP endpoint say.

use lvsd::web::request::{LONGEST, Reading, read};

/// However a request is cut, it is the same one, and what is refused once stays so. Paths are harmless, and nobody is waited for who has
/// said too much.
pub fn request(input: &[u8]) {
    let input = &input[..input.len().min(LONGEST)];
    let mut decided: Option<Reading> = None;
    for end in 0..=input.len() {
        let reading = read(&input[..end]);
        match (&decided, reading) {
            (None, Reading::Partial) => assert!(end < LONGEST),
            (None, reading) => {
                if let Reading::Whole(request) = &reading {
                    let path = &request.path;
                    assert!(path.starts_with('/') && path.len() < end && !path.contains('?'));
                    assert!(
                        !path.chars().any(|c| c.is_ascii_control() || c == ' '),
                        "{path:?}"
                    );
                }
                decided = Some(reading);
            }
            (Some(decided), reading) => assert_eq!(reading, *decided, "at {end}"),
        }
    }
}
