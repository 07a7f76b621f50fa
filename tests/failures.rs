//! `docs/failures.md` names the tests for each class of failure: each of them exists, and each class has its row.

use std::fs;
use std::path::Path;

const CLASSES: usize = 25;

#[test]
fn each_test_that_the_list_names_exists() {
    let list = read("docs/failures.md").unwrap();
    let missing: Vec<&str> = named(&list).filter(|name| !exists(name)).collect();
    assert!(missing.is_empty(), "\n{}\n", missing.join("\n"));
    assert!(named(&list).count() > 3 * CLASSES, "the list is read");
}

#[test]
fn each_class_has_its_row() {
    let list = read("docs/failures.md").unwrap();
    let classes: Vec<usize> = (list.lines())
        .filter_map(|line| line.strip_prefix("| ")?.split(' ').next()?.parse().ok())
        .collect();
    assert_eq!(classes, Vec::from_iter(1..=CLASSES));
}

/// The rules find their faults.
#[test]
fn a_test_that_does_not_exist_is_told() {
    assert!(exists("failures.rs::each_class_has_its_row"));
    assert!(exists("model::submit"));
    for wrong in [
        "failures.rs::no_such",
        "nowhere.rs::each_class_has_its_row",
        "failures.rs::each_class",
        "model::nothing",
        "row::nothing",
    ] {
        assert!(!exists(wrong), "{wrong}");
    }
}

/// What stands in the table's cells between backquotes and has a place.
fn named(list: &str) -> impl Iterator<Item = &str> {
    let rows = list.lines().filter(|line| line.starts_with("| "));
    rows.flat_map(|row| row.split('`').skip(1).step_by(2))
        .filter(|name| name.contains("::"))
}

fn exists(name: &str) -> bool {
    let Some((place, name)) = name.split_once("::") else {
        return false;
    };
    let (file, line) = match place {
        "model" => ("tests/model/README.md".to_owned(), format!("| {name} ")),
        "row" => (
            format!("tests/reliability/src/rows/{name}.rs"),
            format!("name: \"{name}\","),
        ),
        _ if place.starts_with("src/") => (place.to_owned(), format!("fn {name}(")),
        _ => (format!("tests/{place}"), format!("fn {name}(")),
    };
    read(&file).is_some_and(|text| text.contains(&line))
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).ok()
}
