//! An ignored test is the body of a process of its own: another test beside it starts it, so `cargo test` runs each.

use std::path::Path;

use super::layering::source::each_rust_file;

/// What each of them gives as its reason, after the name of the test that starts it.
const REASON: &str = " starts it in a process of its own";

/// In two pieces: this file has no such test.
const IGNORED: &str = concat!("#[", "ignore");

#[test]
fn each_ignored_test_is_started_by_the_test_that_its_reason_names() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for folder in ["src", "tests", "tokio", "benches", "examples"] {
        each_rust_file(&root.join(folder), &mut |path, text| {
            for part in text.split(IGNORED).skip(1) {
                count += 1;
                let place = format!("{}: {}", path.display(), part.lines().next().unwrap());
                let reason = part.split('"').nth(1).expect(&place);
                let starter = reason.strip_suffix(REASON).expect(&place);
                let (_, rest) = part.split_once("fn ").expect(&place);
                let name = rest.split('(').next().unwrap();
                let (before, _) = text
                    .split_once(&format!("fn {starter}("))
                    .unwrap_or_else(|| panic!("{place}: there is no {starter}"));
                let attributes = before.rsplit("\n\n").next().unwrap();
                assert!(attributes.contains("#[test]"), "{place}: {attributes}");
                assert!(!attributes.contains(IGNORED), "{place}: {attributes}");
                let is_started = text.contains(&format!("\"{name}\""));
                assert!(is_started, "{place}: nobody starts {name}");
            }
        });
    }
    assert!(count > 20, "the sources are read: {count}");
}
