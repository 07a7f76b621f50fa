//! The costly algorithm: a picture becomes a pencil drawing. Decode, blur (21 x 21 Gaussian), edges (Sobel), encode.

use std::io::Cursor;

use image::imageops::thumbnail;
use image::{GrayImage, ImageFormat, ImageResult, Luma};

/// Turns an image file into the PNG file of its drawing and a thumbnail of at most 160 x 120 pixels.
pub(crate) fn develop(file: &[u8]) -> ImageResult<(Vec<u8>, GrayImage)> {
    let drawing = draw(&image::load_from_memory(file)?.into_luma8());
    let mut png = Cursor::new(Vec::new());
    drawing.write_to(&mut png, ImageFormat::Png)?;
    let (width, height) = drawing.dimensions();
    let scale = (160.0 / width as f32).min(120.0 / height as f32).min(1.0);
    let side = |length: u32| ((length as f32 * scale) as u32).max(1);
    Ok((
        png.into_inner(),
        thumbnail(&drawing, side(width), side(height)),
    ))
}

fn draw(image: &GrayImage) -> GrayImage {
    let blurred = convolve(image, &gaussian::<21>(2.5));
    let (right, bottom) = (image.width() - 1, image.height() - 1);
    GrayImage::from_fn(image.width(), image.height(), |x, y| {
        let at = |dx: u32, dy: u32| {
            let x = (x + dx).saturating_sub(1).min(right);
            let y = (y + dy).saturating_sub(1).min(bottom);
            f32::from(blurred.get_pixel(x, y).0[0])
        };
        let across = at(2, 0) + 2.0 * at(2, 1) + at(2, 2) - at(0, 0) - 2.0 * at(0, 1) - at(0, 2);
        let down = at(0, 2) + 2.0 * at(1, 2) + at(2, 2) - at(0, 0) - 2.0 * at(1, 0) - at(2, 0);
        Luma([255 - (3.0 * across.hypot(down)).min(255.0) as u8])
    })
}

/// Two-dimensional convolution; beyond the border the nearest pixel goes on.
fn convolve<const N: usize>(image: &GrayImage, kernel: &[[f32; N]; N]) -> GrayImage {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let mut output = GrayImage::new(image.width(), image.height());
    let mut padded = vec![0.0; width + N - 1];
    let mut sums = vec![0.0; width];
    for (y, pixels) in output.chunks_exact_mut(width).enumerate() {
        sums.fill(0.0);
        for (dy, weights) in kernel.iter().enumerate() {
            let source = (y + dy).saturating_sub(N / 2).min(height - 1) * width;
            for (i, value) in padded.iter_mut().enumerate() {
                let x = i.saturating_sub(N / 2).min(width - 1);
                *value = f32::from(image.as_raw()[source + x]);
            }
            for (dx, weight) in weights.iter().enumerate() {
                for (sum, value) in sums.iter_mut().zip(&padded[dx..]) {
                    *sum += weight * value;
                }
            }
        }
        for (pixel, sum) in pixels.iter_mut().zip(&sums) {
            *pixel = sum.round() as u8;
        }
    }
    output
}

fn gaussian<const N: usize>(sigma: f32) -> [[f32; N]; N] {
    let bell = |i: usize| (-(i as f32 - (N / 2) as f32).powi(2) / (2.0 * sigma * sigma)).exp();
    let total: f32 = (0..N).map(bell).sum();
    std::array::from_fn(|y| std::array::from_fn(|x| bell(y) * bell(x) / (total * total)))
}
