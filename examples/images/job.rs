//! The job itself: files in, filtered files out, a thumbnail of each for `main`.

use std::fmt;
use std::io;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures::FutureExt;
use image::{GrayImage, ImageError};
use indicatif::ProgressBar;

use crate::filter;

/// Why an image has no result.
pub(crate) enum Failure {
    Input(io::Error),
    Image(ImageError),
    Panicked,
    Output(io::Error),
}

pub(crate) struct Report {
    /// By the name of the file.
    pub(crate) thumbnails: Vec<(PathBuf, GrayImage)>,
    pub(crate) failures: Vec<(PathBuf, Failure)>,
    pub(crate) threads: usize,
    pub(crate) wall: Duration,
}

/// Longer than a picture takes. Each is one poll, as is meant here, so it is no stall: standard error need not name it after the
/// usual 100 ms.
pub(crate) const PICTURE: Duration = Duration::from_secs(60);

/// Filters all `files` into `output` on a runtime of its own with so many workers.
pub(crate) fn run(files: &[PathBuf], output: &Path, workers: usize) -> io::Result<Report> {
    let mut builder = executor::Builder::new()
        .worker_threads(workers)
        .stall_threshold(PICTURE);
    if workers == 1 {
        // Else a filter of more than 10 ms gives its processor to another thread, and one worker keeps two CPUs busy.
        builder = builder.max_threads(1);
    }
    let runtime = builder.build()?;
    let bar = ProgressBar::new(files.len() as u64); // hidden when standard error is no terminal
    let (results, results_out) = async_channel::unbounded();
    // At most four images a worker are in memory at once, however many files there are.
    let (enter, leave) = async_channel::bounded(4 * workers);
    let todo: Vec<_> = files
        .iter()
        .map(|file| (file.clone(), target(file, output)))
        .collect();

    let begin = Instant::now();
    let feeder = runtime.spawn(async move {
        for (input, output) in todo {
            let _ = enter.send(()).await; // cannot be closed: this task holds both ends
            let (results, leave) = (results.clone(), leave.clone());
            drop(executor::spawn(async move {
                // A decoder that panics costs this image and nothing else.
                let result = AssertUnwindSafe(image(&input, output)).catch_unwind().await;
                let result = result.unwrap_or(Err(Failure::Panicked));
                let _ = results.try_send((input, result));
                let _ = leave.try_recv();
            }));
        }
    });
    let (mut thumbnails, mut failures) = (Vec::new(), Vec::new());
    runtime.block_on(async {
        while let Ok((file, result)) = results_out.recv().await {
            match result {
                Ok(thumbnail) => thumbnails.push((file, thumbnail)),
                Err(failure) => failures.push((file, failure)),
            }
            bar.inc(1);
        }
        feeder.await
    })?;
    let (wall, threads) = (begin.elapsed(), runtime.metrics().num_threads());
    bar.finish_and_clear();
    thumbnails.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(Report {
        thumbnails,
        failures,
        threads,
        wall,
    })
}

/// What happens to one image: read, decode + filter + encode, write.
async fn image(input: &Path, output: PathBuf) -> Result<GrayImage, Failure> {
    let input = input.to_owned();
    let bytes = blocking(move || std::fs::read(input))
        .await
        .map_err(Failure::Input)?;
    let (png, thumbnail) = filter::develop(&bytes).map_err(Failure::Image)?;
    blocking(move || std::fs::write(output, png))
        .await
        .map_err(Failure::Output)?;
    Ok(thumbnail)
}

async fn blocking<T: Send + 'static>(
    job: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    executor::spawn_blocking(job).await?
}

/// The input's whole name with an ending, so that `a.gif` and `a.png` do not meet.
fn target(input: &Path, output: &Path) -> PathBuf {
    let mut name = input.file_name().unwrap_or_default().to_owned();
    name.push(".filtered.png");
    output.join(name)
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Input(error) => write!(f, "cannot be read: {error}"),
            Failure::Image(error) => write!(f, "is no image: {error}"),
            Failure::Panicked => write!(f, "made the decoder panic"),
            Failure::Output(error) => write!(f, "cannot be written: {error}"),
        }
    }
}
