//! The main example: one task for each image of a directory. Reading a file is a blocking job, the costly filter runs
//! on the workers, the results come back to `main` over a channel.
//!
//! `cargo run --release --example images [-- [DIR] [--out DIR] [--once]]`
//! Without DIR it makes its own pictures in a temporary folder, one of them broken. The job then runs a second
//! time on one worker, to show the speed-up (`--once` leaves that out).

mod filter;
mod job;
mod pictures;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use job::Failure;

fn main() -> ExitCode {
    match images() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("images: {error}");
            ExitCode::FAILURE
        }
    }
}

fn images() -> Result<(), Box<dyn Error>> {
    let Options {
        input,
        output,
        once,
    } = Options::parse(std::env::args().skip(1))?;
    let files = pictures::list(&input)?;
    let workers = std::thread::available_parallelism()?.get();

    let report = job::run(&files, &output, workers)?;
    let mut unwritten = 0;
    for (file, failure) in &report.failures {
        eprintln!("{}: {failure}", file.display());
        unwritten += usize::from(matches!(failure, Failure::Output(_)));
    }
    let (tasks, threads) = (files.len(), report.threads);
    println!(
        "{tasks} tasks, {threads} threads for {workers} workers, {:.2?}",
        report.wall
    );
    let sheet = output.join("contact-sheet.png");
    pictures::contact_sheet(&report.thumbnails)
        .save(&sheet)
        .map_err(|error| format!("cannot write {}: {error}", sheet.display()))?;
    let drawn = report.thumbnails.len();
    println!(
        "{drawn} filtered, {} not; all in {}",
        tasks - drawn,
        sheet.display()
    );

    if !once {
        // Second and not first: the files are in the page cache by now, which favours this run.
        let alone = job::run(&files, &output, 1)?;
        let times = alone.wall.as_secs_f64() / report.wall.as_secs_f64();
        println!(
            "once more on one worker: {:.2?}; the speed-up is {times:.2}",
            alone.wall
        );
    }
    match unwritten {
        0 => Ok(()),
        n => Err(format!("{n} images could not be written").into()),
    }
}

struct Options {
    input: PathBuf,
    output: PathBuf,
    once: bool,
}

impl Options {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Options, Box<dyn Error>> {
        let (mut input, mut output, mut once) = (None, None, false);
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--out" => output = Some(args.next().ok_or("--out needs a directory")?.into()),
                "--once" => once = true,
                _ if input.is_some() || arg.starts_with('-') => {
                    return Err(
                        format!("what is {arg}? usage: images [DIR] [--out DIR] [--once]").into(),
                    );
                }
                _ => input = Some(PathBuf::from(arg)),
            }
        }
        let scratch = std::env::temp_dir().join(format!("executor-images-{}", std::process::id()));
        let output: PathBuf = output.unwrap_or_else(|| scratch.join("filtered"));
        std::fs::create_dir_all(&output)
            .map_err(|error| format!("cannot create {}: {error}", output.display()))?;
        let input = input.map_or_else(|| pictures::make(scratch.join("pictures")), Ok)?;
        Ok(Options {
            input,
            output,
            once,
        })
    }
}
