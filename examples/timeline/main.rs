//! A timeline of a small program, as JSON for Perfetto and as a page that needs no other tool than a browser.
//!
//! `cargo run --example timeline [FOLDER]` writes both; `cargo run --example timeline -- --page trace.json page.html` makes a page
//! of a trace that another program has written, as with `EXECUTOR_TRACE=trace.json`.

mod program;

use std::path::PathBuf;
use std::{env, fs, io};

use executor::{runtime, trace};

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--page", json, html] => fs::write(html, page(&fs::read_to_string(json)?)),
        [] => record(PathBuf::from(".")),
        [folder] => record(PathBuf::from(folder)),
        _ => Err(io::Error::other(
            "usage: timeline [FOLDER | --page JSON HTML]",
        )),
    }
}

fn record(folder: PathBuf) -> io::Result<()> {
    let runtime = runtime::Builder::new().worker_threads(2).build()?;
    let mut json = Vec::new();
    trace::start();
    program::run(&runtime);
    trace::stop(&mut json)?;
    let (trace, html) = (folder.join("timeline.json"), folder.join("timeline.html"));
    fs::write(&html, page(&String::from_utf8_lossy(&json)))?;
    fs::write(&trace, json)?;
    println!("{}: open it in a browser", html.display());
    println!("{}: open it in https://ui.perfetto.dev", trace.display());
    Ok(())
}

/// The trace within the page that draws it, where no text of it can end the script.
fn page(json: &str) -> String {
    include_str!("page.html").replacen("/*trace*/", &json.replace("</", "<\\/"), 1)
}
