//! Errors of the macros, and of the compiler in functions that have them, are where a user looks for them.
//!
//! Each file in `errors/` is compiled with the macros and with a library that has what they name, `executor.rs`. What the
//! compiler shall say stands in comments: `//~` at the end of the line, or below it with a `^` for each line. First comes what
//! the error points to, then how the message begins. Nothing else may be said, not even a warning.
//!
//! The compiler alone is asked, and compiles the macros once more: they depend on nothing. So no artefact of cargo has to be
//! found, and both sets of features are there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Line, column and message.
type Said = (usize, usize, String);

#[test]
fn errors_are_where_they_belong() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let cases = root.join("tests/it/macros/errors");
    let scratch = Scratch::new();
    let folders = ["no_sim", "sim"].map(|sim| scratch.0.join(sim));
    for folder in &folders {
        fs::create_dir(folder).unwrap();
        let mut macros = rustc(folder, &root.join("macros/src/lib.rs"));
        macros.args([
            "--crate-name=gosched_macros",
            "--crate-type=proc-macro",
            "--extern=proc_macro",
        ]);
        if folder.ends_with("sim") {
            macros.args(["--cfg", "feature=\"sim\""]);
        }
        assert_eq!(said(macros), []);
        let mut library = rustc(folder, &cases.join("executor.rs"));
        library.args(["--crate-type=lib", "--extern=gosched_macros"]);
        assert_eq!(said(library), []);
    }
    let files = fs::read_dir(&cases)
        .unwrap()
        .map(|file| file.unwrap().path());
    let mut files: Vec<PathBuf> = files
        .filter(|file| !file.ends_with("executor.rs"))
        .collect();
    files.sort();
    assert!(files.len() > 10, "{files:?}");
    let [no_sim, sim] = &folders;
    let wrong = files
        .iter()
        .filter_map(|file| match stem(file).ends_with("_with_sim") {
            true => differs(sim, file),
            false => differs(no_sim, file),
        });
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// `None`: the compiler says of the file what its comments say.
fn differs(folder: &Path, file: &Path) -> Option<String> {
    let mut compiler = rustc(folder, file);
    compiler.args(["--extern=executor", "--emit=metadata"]);
    compiler.arg(match stem(file).split('_').next() {
        Some("test") => "--test",
        Some("lib") => "--crate-type=lib",
        _ => "--crate-type=bin",
    });
    let (said, wanted) = (said(compiler), wanted(&fs::read_to_string(file).unwrap()));
    let fits = |said: &Said, wanted: &Said| {
        (said.0, said.1) == (wanted.0, wanted.1) && said.2.starts_with(&wanted.2)
    };
    let line = |(line, column, message): &Said| format!("  {line}:{column}: {message}\n");
    let unsaid = wanted
        .iter()
        .filter(|wanted| !said.iter().any(|said| fits(said, wanted)));
    let unwanted = said
        .iter()
        .filter(|said| !wanted.iter().any(|wanted| fits(said, wanted)));
    let [unsaid, unwanted] = [
        unsaid.map(line).collect::<String>(),
        unwanted.map(line).collect(),
    ];
    let (is, should) = (said.len(), wanted.len());
    (is != should || !unsaid.is_empty() || !unwanted.is_empty()).then(|| {
        format!(
            "{}: {is} for {should}; not said:\n{unsaid}said:\n{unwanted}",
            file.display()
        )
    })
}

/// What the comments say.
fn wanted(text: &str) -> Vec<Said> {
    let lines: Vec<&str> = text.lines().collect();
    let comments = lines.iter().enumerate();
    let said = comments.filter_map(|(at, line)| {
        let comment = line.split_once("//~")?.1;
        let said = comment.trim_start_matches('^');
        let (what, message) = said.split_once(" => ").expect(line);
        let at = at - (comment.len() - said.len());
        let column = lines[at].find(what.trim_start()).expect(line);
        Some((at + 1, column + 1, message.to_owned()))
    });
    said.collect()
}

/// What the compiler says: `path:line:column: error[code]: message`.
#[track_caller]
fn said(mut compiler: Command) -> Vec<Said> {
    let output = compiler.output().expect("rustc is there");
    let errors = String::from_utf8(output.stderr).unwrap();
    let said: Vec<Said> = errors.lines().filter_map(parsed).collect();
    assert!(output.status.success() || !said.is_empty(), "{errors}");
    said
}

/// `None`: it is about no line, as "aborting due to 2 previous errors".
fn parsed(line: &str) -> Option<Said> {
    let kind = [": error", ": warning"]
        .iter()
        .filter_map(|kind| line.find(kind))
        .min()?;
    let (place, rest) = line.split_at(kind);
    let mut place = place.rsplitn(3, ':');
    let column = place.next()?.parse().ok()?;
    let line = place.next()?.parse().ok()?;
    let (_, message) = rest[2..].split_once(": ")?;
    Some((line, column, message.to_owned()))
}

/// The compiler that has compiled this, as far as cargo's environment tells. What it makes, and what it looks for, is in the folder.
fn rustc(folder: &Path, file: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("RUSTC").unwrap_or("rustc".into()));
    command.args(["--edition=2024", "--error-format=short"]);
    command
        .arg("--out-dir")
        .arg(folder)
        .arg("-L")
        .arg(folder)
        .arg(file);
    command
}

fn stem(file: &Path) -> &str {
    file.file_stem().unwrap().to_str().unwrap()
}

/// A folder, until the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Scratch {
        let name = format!("executor-macros-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder).unwrap();
        Scratch(folder)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
