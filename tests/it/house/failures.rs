//! `docs/failures.md` names the tests for each class of failure, and the bugs that turn them red: each of them exists, and each
//! class has its row. That the tests do see the bugs, `ci/seeds.sh` shows.

use std::fs;
use std::path::Path;

const CLASSES: usize = 29;

/// What an unsound dependency would be seen by is no test of this crate.
const WITHOUT_SEED: [usize; 1] = [25];

#[test]
fn each_test_that_the_list_names_exists() {
    let list = read("docs/failures.md").unwrap();
    let missing: Vec<&str> = (rows(&list).flat_map(|row| row.names))
        .filter(|name| !exists(name))
        .collect();
    assert!(missing.is_empty(), "\n{}\n", missing.join("\n"));
    let names = rows(&list).map(|row| row.names.len()).sum::<usize>();
    assert!(names > 3 * CLASSES, "the list is read");
}

#[test]
fn each_class_has_its_row() {
    let list = read("docs/failures.md").unwrap();
    let classes: Vec<usize> = rows(&list).map(|row| row.class).collect();
    assert_eq!(classes, Vec::from_iter(1..=CLASSES));
}

#[test]
fn each_class_has_a_seed_that_its_own_tests_see() {
    let list = read("docs/failures.md").unwrap();
    for row in rows(&list) {
        let seeds: Vec<&str> = row.seeds().collect();
        assert_eq!(
            seeds.is_empty(),
            WITHOUT_SEED.contains(&row.class),
            "class {}",
            row.class
        );
        for name in seeds {
            let seed = Seed::read(name);
            assert!(
                row.names.iter().any(|test| seed.is_checked_by(test)),
                "class {}: `{}` runs none of its tests",
                row.class,
                seed.check
            );
        }
    }
}

#[test]
fn each_seed_has_its_row() {
    let list = read("docs/failures.md").unwrap();
    let named: Vec<&str> = rows(&list)
        .flat_map(|row| row.seeds().collect::<Vec<_>>())
        .collect();
    let all = seeds();
    assert!(all.len() >= named.len() && !all.is_empty());
    for seed in all {
        assert!(named.contains(&&*seed), "{seed} stands in no row");
    }
}

/// `ci/seeds.sh` takes long and does not run for every change; that the code has moved on under a patch is seen here.
#[test]
fn each_seed_says_what_it_is_and_still_fits_the_code() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reliability.md");
    let page = fs::read_to_string(page).unwrap();
    for name in seeds() {
        let seed = Seed::read(&name);
        assert!(seed.what.ends_with('.'), "{name}: {}", seed.what);
        assert!(!seed.check.is_empty(), "{name}: no check");
        let row = format!("| {} | `{}` |", seed.what.trim_end_matches('.'), seed.check);
        assert!(page.contains(&row), "docs/reliability.md has no row\n{row}");
        let hunks = seed.hunks();
        assert!(!hunks.is_empty(), "{name}: nothing in it");
        for (file, old, new) in hunks {
            let text = read(&file).unwrap_or_else(|| panic!("{name}: no {file}"));
            assert!(
                text.contains(&old),
                "{name} does not fit {file} any more:\n{old}"
            );
            assert_ne!(old, new, "{name}");
        }
    }
}

/// The rules find their faults.
#[test]
fn a_test_that_does_not_exist_is_told() {
    assert!(exists("it/house/failures.rs::each_class_has_its_row"));
    assert!(exists("model::submit"));
    assert!(exists("seed::stale-key"));
    for wrong in [
        "it/house/failures.rs::no_such",
        "nowhere.rs::each_class_has_its_row",
        "it/house/failures.rs::each_class",
        "model::nothing",
        "row::nothing",
        "seed::nothing",
    ] {
        assert!(!exists(wrong), "{wrong}");
    }
}

#[test]
fn a_check_is_told_from_the_tests_of_another_row() {
    let seed = |check: &str| Seed {
        what: String::new(),
        check: check.to_owned(),
        patch: String::new(),
    };
    let stall = seed("cargo test --test it stall::ends::");
    assert!(stall.is_checked_by("it/stall/ends.rs::name"));
    for other in [
        "it/stall/mix.rs",
        "alone/stall/ends.rs",
        "src/stall/ends.rs",
    ] {
        assert!(!stall.is_checked_by(&format!("{other}::name")), "{other}");
    }
    let deadlock = seed("cargo test --test deadlock");
    assert!(deadlock.is_checked_by("deadlock.rs::name"));
    assert!(!deadlock.is_checked_by("it/deadlock.rs::name"));
    let reactor = seed("cargo test --lib reactor");
    assert!(reactor.is_checked_by("src/reactor/tests.rs::name"));
    assert!(
        !reactor.is_checked_by("src/blocking/tests.rs::name")
            && !reactor.is_checked_by("reactor.rs::name")
    );
    let models = seed("env CHECKERS=loom ci/models.sh submit readiness");
    assert!(models.is_checked_by("model::submit") && models.is_checked_by("model::readiness"));
    assert!(!models.is_checked_by("model::next-slot"));
    let two = "--- a/src/a.rs\n+++ b/src/a.rs\n@@ -1,2 +1,2 @@\n one\n-two\n+three\n@@ -9 +9,2 @@\n nine\n+ten\n";
    let patch = Seed {
        patch: two.to_owned(),
        ..seed("")
    };
    let hunk = |old: &str, new: &str| ("src/a.rs".to_owned(), old.to_owned(), new.to_owned());
    assert_eq!(
        patch.hunks(),
        [
            hunk("one\ntwo\n", "one\nthree\n"),
            hunk("nine\n", "nine\nten\n")
        ]
    );
}

struct Row<'a> {
    class: usize,
    /// What stands between backquotes and has a place: tests, and seeds.
    names: Vec<&'a str>,
}

impl<'a> Row<'a> {
    fn seeds(&self) -> impl Iterator<Item = &'a str> {
        self.names
            .iter()
            .filter_map(|name| name.strip_prefix("seed::"))
    }
}

fn rows(list: &str) -> impl Iterator<Item = Row<'_>> {
    list.lines().filter_map(|line| {
        let class = line.strip_prefix("| ")?.split(' ').next()?.parse().ok()?;
        let quoted = line.split('`').skip(1).step_by(2);
        let names = quoted.filter(|name| name.contains("::")).collect();
        Some(Row { class, names })
    })
}

fn exists(name: &str) -> bool {
    let Some((place, name)) = name.split_once("::") else {
        return false;
    };
    let (file, line) = match place {
        "seed" => (format!("ci/seeds/{name}.patch"), "Caught by: ".to_owned()),
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

/// A patch of `ci/seeds/`.
struct Seed {
    what: String,
    check: String,
    patch: String,
}

impl Seed {
    fn read(name: &str) -> Seed {
        let text = read(&format!("ci/seeds/{name}.patch")).unwrap_or_else(|| panic!("no {name}"));
        let (what, rest) = text.split_once('\n').unwrap();
        let (check, patch) = rest.split_once("\n\n").unwrap();
        Seed {
            what: what.to_owned(),
            check: check
                .strip_prefix("Caught by: ")
                .unwrap_or_default()
                .to_owned(),
            patch: patch.to_owned(),
        }
    }

    /// Whether what it names as its check runs this test.
    fn is_checked_by(&self, test: &str) -> bool {
        let (place, name) = test.split_once("::").unwrap();
        let words: Vec<&str> = self.check.split(' ').collect();
        let after = |flag: &str, wanted: &dyn Fn(&str) -> bool| {
            words
                .windows(2)
                .any(|pair| pair[0] == flag && wanted(pair[1]))
        };
        match place {
            "model" => self.check.contains("ci/models.sh") && words.contains(&name),
            _ if place.starts_with("src/") => after("--lib", &|filter| {
                place.contains(&format!("/{}", filter.replace("::", "/")))
            }),
            // A program of one file, or a module of one: `it/stall/ends.rs` is `--test it stall::ends::`.
            _ => match place.trim_end_matches(".rs").split_once('/') {
                None => after("--test", &|program| place == format!("{program}.rs")),
                Some((program, path)) => {
                    let module = format!("{}::", path.replace('/', "::"));
                    after("--test", &|word| word == program) && words.contains(&&*module)
                }
            },
        }
    }

    /// Of each hunk its file, and that piece of it before and after.
    fn hunks(&self) -> Vec<(String, String, String)> {
        let (mut file, mut hunks) = (String::new(), Vec::new());
        for line in self.patch.lines() {
            if let Some(path) = line.strip_prefix("+++ b/") {
                file = path.to_owned();
            } else if line.starts_with("@@ ") {
                hunks.push((file.clone(), String::new(), String::new()));
            } else if let (Some((_, old, new)), false) = (hunks.last_mut(), line.starts_with("---"))
            {
                let rest = line.get(1..).unwrap_or_default();
                for (side, other) in [(old, '+'), (new, '-')] {
                    if !line.starts_with(other) && !line.starts_with("diff ") {
                        side.push_str(rest);
                        side.push('\n');
                    }
                }
            }
        }
        hunks
    }
}

fn seeds() -> Vec<String> {
    let files = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("ci/seeds")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut seeds: Vec<String> = names
        .filter_map(|name| Some(name.strip_suffix(".patch")?.to_owned()))
        .collect();
    seeds.sort_unstable();
    seeds
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).ok()
}
