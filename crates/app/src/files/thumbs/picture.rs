//! Decoding, scaling and encoding a picture. Whatever the bytes are, the work is bounded: by the sides, the pixels and
//! the memory that a picture may have.

use std::io::Cursor;

use base::limits::{
    THUMB_DECODE_BYTES_MAX, THUMB_PIXELS_MAX, THUMB_SOURCE_PIXELS_MAX, THUMB_SOURCE_SIDE_MAX,
};
use fast_image_resize::images::Image;
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::codecs::jpeg::JpegEncoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbaImage};

use super::size::{Size, Steps};

/// Kinds of pictures that thumbnails are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Jpeg,
    Png,
    Gif,
    Webp,
}

/// Of 100, as the reference has it.
const JPEG_QUALITY: u8 = 95;

impl Format {
    /// By the kind of file found when it was uploaded.
    pub fn of(content_type: &str) -> Option<Format> {
        match content_type {
            "image/jpeg" | "image/jpg" => Some(Format::Jpeg),
            "image/png" => Some(Format::Png),
            "image/gif" => Some(Format::Gif),
            "image/webp" => Some(Format::Webp),
            _ => None,
        }
    }

    fn decoded_as(self) -> ImageFormat {
        match self {
            Format::Jpeg => ImageFormat::Jpeg,
            Format::Png => ImageFormat::Png,
            Format::Gif => ImageFormat::Gif,
            Format::Webp => ImageFormat::WebP,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Failed {
    #[error("not a picture that can be read: {0}")]
    Unreadable(#[from] image::ImageError),
    #[error("the picture or its thumbnail is too large")]
    TooLarge,
    #[error("the picture cannot be scaled: {0}")]
    Scaling(String),
}

/// The encoded thumbnail and its content type. Of a moving picture, the first frame.
pub fn make(bytes: &[u8], format: Format, size: Size) -> Result<(Vec<u8>, &'static str), Failed> {
    let picture = decode(bytes, format)?;
    let opaque = picture.pixels().all(|pixel| pixel.0[3] == u8::MAX);
    let steps = size.steps(picture.width(), picture.height());
    let made = scale(picture, steps)?;
    encode(made, format, opaque)
}

fn decode(bytes: &[u8], format: Format) -> Result<RgbaImage, Failed> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format.decoded_as());
    let mut limits = Limits::default();
    limits.max_image_width = Some(THUMB_SOURCE_SIDE_MAX);
    limits.max_image_height = Some(THUMB_SOURCE_SIDE_MAX);
    limits.max_alloc = Some(THUMB_DECODE_BYTES_MAX);
    reader.limits(limits);
    let mut decoder = reader.into_decoder()?;
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 || u64::from(width) * u64::from(height) > THUMB_SOURCE_PIXELS_MAX {
        return Err(Failed::TooLarge);
    }
    let orientation = match format {
        Format::Jpeg => decoder.orientation().unwrap_or(Orientation::NoTransforms),
        _ => Orientation::NoTransforms,
    };
    let mut picture = DynamicImage::from_decoder(decoder)?;
    picture.apply_orientation(orientation);
    Ok(picture.into_rgba8())
}

fn scale(picture: RgbaImage, steps: Steps) -> Result<RgbaImage, Failed> {
    let (width, height) = steps.scaled;
    if u64::from(width) * u64::from(height) > THUMB_PIXELS_MAX {
        return Err(Failed::TooLarge);
    }
    let failed = |error: &dyn std::fmt::Display| Failed::Scaling(error.to_string());
    let [x, y, from_width, from_height] = steps.source;
    let scaled = if (from_width, from_height) == (width, height) {
        image::imageops::crop_imm(&picture, x, y, width, height).to_image()
    } else {
        let (whole_width, whole_height) = picture.dimensions();
        let source = Image::from_vec_u8(whole_width, whole_height, picture.into_raw(), PixelType::U8x4)
            .map_err(|error| failed(&error))?;
        let mut target = Image::new(width, height, PixelType::U8x4);
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear)).crop(
            x.into(),
            y.into(),
            from_width.into(),
            from_height.into(),
        );
        Resizer::new().resize(&source, &mut target, &options).map_err(|error| failed(&error))?;
        RgbaImage::from_raw(width, height, target.into_vec())
            .ok_or_else(|| failed(&"the scaled picture has another size"))?
    };
    let [x, y, cut_width, cut_height] = steps.cut;
    if (cut_width, cut_height) == (width, height) {
        return Ok(scaled);
    }
    Ok(image::imageops::crop_imm(&scaled, x, y, cut_width, cut_height).to_image())
}

fn encode(picture: RgbaImage, format: Format, opaque: bool) -> Result<(Vec<u8>, &'static str), Failed> {
    let picture = DynamicImage::ImageRgba8(picture);
    let picture = match opaque || format == Format::Jpeg {
        true => DynamicImage::ImageRgb8(picture.into_rgb8()),
        false => picture,
    };
    let mut out = Cursor::new(Vec::new());
    let content_type = match format {
        Format::Jpeg => {
            picture.write_with_encoder(JpegEncoder::new_with_quality(&mut out, JPEG_QUALITY))?;
            "image/jpeg"
        }
        Format::Gif => {
            picture.write_to(&mut out, ImageFormat::Gif)?;
            "image/gif"
        }
        // Browsers read the one for the other, and its encoder is a simple one.
        Format::Png | Format::Webp => {
            picture.write_to(&mut out, ImageFormat::Png)?;
            "image/png"
        }
    };
    Ok((out.into_inner(), content_type))
}

/// Makes a thumbnail of arbitrary bytes: the first chooses the kind of picture, the second the size.
pub fn fuzz(data: &[u8]) {
    let [kind, size, rest @ ..] = data else { return };
    let format = [Format::Jpeg, Format::Png, Format::Gif, Format::Webp][usize::from(kind % 4)];
    let size = ["10x10", "10x20t", "20x10b", "15x15f", "0x10", "10x0"][usize::from(size % 6)];
    if let Some(size) = Size::parse(size) {
        let _ = make(rest, format, size);
    }
}
