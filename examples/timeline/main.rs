//! What a runtime does, as a picture: records a small program that has a bit of everything, and writes its timeline as
//! `timeline.html`, which needs a browser and nothing else, and as `timeline.json`, which <https://ui.perfetto.dev> opens.
//!
//! `cargo run --release --example timeline [FOLDER]`. With `-- --page TRACE.json PAGE.html` it makes such a page of a trace
//! that is there already, as `trace::stop`, `trace::snapshot` and `Builder::trace_to` write one.

mod program;

use std::error::Error;
use std::path::Path;
use std::{env, fs};

use executor::trace;

const SCRIPT: &str = concat!(
    include_str!("read.js"),
    include_str!("view.js"),
    include_str!("draw.js"),
    include_str!("words.js"),
    include_str!("hands.js"),
);

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => record(Path::new(".")),
        ["--page", trace, html] => Ok(fs::write(html, page(&fs::read_to_string(trace)?))?),
        [folder] if Path::new(folder).is_dir() => record(Path::new(folder)),
        _ => Err(
            "usage: timeline [FOLDER THAT EXISTS], or timeline --page TRACE.json PAGE.html".into(),
        ),
    }
}

fn record(folder: &Path) -> Result<(), Box<dyn Error>> {
    let runtime = executor::Builder::new().worker_threads(3).build()?;
    trace::start();
    runtime.block_on(program::run());
    let mut json = Vec::new();
    trace::stop(&mut json)?;
    let json = String::from_utf8(json)?;

    let (html, trace) = (folder.join("timeline.html"), folder.join("timeline.json"));
    fs::write(&html, page(&json))?;
    fs::write(&trace, json)?;
    println!("{}: open it in a browser", html.display());
    println!("{}: open it at https://ui.perfetto.dev", trace.display());
    Ok(())
}

/// In JSON a `<` stands in strings only; written like this it can neither end the script element nor begin a comment.
fn page(json: &str) -> String {
    let json = json.replace('<', "\\u003c");
    let page = include_str!("page.html").replace("%SCRIPT%", SCRIPT);
    page.replacen("%TRACE%", &json, 1)
}
