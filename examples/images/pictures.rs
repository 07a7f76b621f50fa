//! Around the job: the list of files, home-made pictures, the contact sheet.

use std::error::Error;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use image::codecs::gif::GifEncoder;
use image::{Frame, GrayImage, Luma, Rgb, RgbImage, imageops};

use crate::job::PICTURE;

/// The image files of a directory, by name.
pub(crate) fn list(directory: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let cannot = |error: std::io::Error| {
        format!("cannot read the directory {}: {error}", directory.display())
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(cannot)? {
        let path = entry.map_err(cannot)?.path();
        let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
        if ["png", "jpg", "jpeg", "bmp", "gif"]
            .iter()
            .any(|known| extension == *known)
            && path.is_file()
        {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(format!("no png, jpeg, bmp or gif file in {}", directory.display()).into());
    }
    files.sort();
    Ok(files)
}

/// Fills `directory` with forty pictures of several sizes and formats, and a broken one.
pub(crate) fn make(directory: PathBuf) -> Result<PathBuf, Box<dyn Error>> {
    fs::create_dir_all(&directory)?;
    println!("making pictures in {}", directory.display());
    fs::write(
        directory.join("broken.png"),
        b"\x89PNG\r\n\x1a\n but the rest was lost",
    )?;
    let runtime = executor::Builder::new().stall_threshold(PICTURE).build()?;
    runtime.block_on(async {
        let makers: Vec<_> = (0..40)
            .map(|n| {
                let directory = directory.clone();
                executor::spawn(
                    async move { picture(n, &directory).map_err(|error| error.to_string()) },
                )
            })
            .collect();
        for maker in makers {
            maker.await??;
        }
        Ok(directory)
    })
}

fn picture(n: u32, directory: &Path) -> Result<(), Box<dyn Error>> {
    let (width, height) = [
        (640, 480),
        (800, 600),
        (1280, 720),
        (600, 900),
        (1600, 1200),
    ][n as usize % 5];
    let extension = ["png", "jpeg", "bmp", "gif"][n as usize % 4];
    let mut grain = n + 1;
    let image = RgbImage::from_fn(width, height, |x, y| {
        grain = grain.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // Rings around a point that differs from picture to picture, and a few checks.
        let (dx, dy) = (
            x as f32 - (width * (n % 7) / 7) as f32,
            y as f32 - (height / 2) as f32,
        );
        let ring = (dx.hypot(dy) / (12.0 + n as f32)).sin() * 90.0 + 120.0;
        let check = if (x / 97 + y / 61) % 3 == 0 { 40 } else { 0 };
        let noise = (grain >> 28) as u8;
        Rgb([
            ring as u8 + noise,
            (ring as u8 / 2) + check,
            (x * 255 / width) as u8,
        ])
    });
    let path = directory.join(format!("picture-{n:02}.{extension}"));
    if extension == "gif" {
        let rgba = image::DynamicImage::from(image).into_rgba8();
        GifEncoder::new_with_speed(File::create(path)?, 30).encode_frame(Frame::new(rgba))?;
    } else {
        image.save(path)?;
    }
    Ok(())
}

/// All thumbnails on one sheet, as near to a square as it goes.
pub(crate) fn contact_sheet(thumbnails: &[(PathBuf, GrayImage)]) -> GrayImage {
    let columns = (thumbnails.len() as f64).sqrt().ceil().max(1.0) as u32;
    let rows = (thumbnails.len() as u32).div_ceil(columns).max(1);
    let mut sheet = GrayImage::from_pixel(columns * 170, rows * 130, Luma([255]));
    for (n, (_, thumbnail)) in (0..).zip(thumbnails) {
        imageops::replace(
            &mut sheet,
            thumbnail,
            (n % columns * 170 + 5).into(),
            (n / columns * 130 + 5).into(),
        );
    }
    sheet
}
