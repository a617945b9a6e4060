//! Files for tests, made on the spot: `<fixture NAME>` and `<hex 00ff>` in a corpus. Pictures are named by kind and
//! size, such as `png-40x30`; they hold colours that change along both sides, so that a wrong cut shows.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, Rgba, RgbaImage};

use crate::diff::Difference;

/// The bytes that a corpus names; `None` for a plain text.
pub fn named(text: &str) -> Option<Vec<u8>> {
    let text = text.strip_prefix('<')?.strip_suffix('>')?;
    match text.split_once(' ')? {
        ("fixture", name) => Some(bytes(name)),
        ("hex", digits) => {
            let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).expect("hex digits");
            Some((0..digits.len()).step_by(2).map(byte).collect())
        }
        _ => None,
    }
}

/// `png`, `clear` (a PNG with transparency), `jpg`, `gif`, `webp` or `turned` (a JPEG that says it lies on its side)
/// with a size; `bytes-N`; `cut-N` (the first N bytes of a PNG); `frames-N` (a moving GIF).
pub fn bytes(name: &str) -> Vec<u8> {
    let (kind, rest) = name.split_once('-').unwrap_or((name, ""));
    let number = || rest.parse::<usize>().unwrap_or_else(|_| panic!("{name}: no number"));
    match kind {
        "bytes" => vec![b'a'; number()],
        "cut" => encoded(picture(40, 30, false), ImageFormat::Png)[..number()].to_vec(),
        "frames" => frames(number()),
        _ => {
            let (width, height) = rest.split_once('x').unwrap_or_else(|| panic!("{name}: no size"));
            let side = |text: &str| text.parse::<u32>().unwrap_or_else(|_| panic!("{name}: no size"));
            let picture = picture(side(width), side(height), kind == "clear");
            match kind {
                "png" | "clear" => encoded(picture, ImageFormat::Png),
                "jpg" => encoded(picture, ImageFormat::Jpeg),
                "gif" => encoded(picture, ImageFormat::Gif),
                "webp" => encoded(picture, ImageFormat::WebP),
                "turned" => turned(&encoded(picture, ImageFormat::Jpeg)),
                _ => panic!("no fixture {name}"),
            }
        }
    }
}

fn picture(width: u32, height: u32, clear: bool) -> DynamicImage {
    let shade = |at: u32, of: u32| (at * 255 / of.max(1)) as u8;
    let picture = RgbaImage::from_fn(width, height, |x, y| {
        let alpha = if clear { shade(x, width) } else { u8::MAX };
        Rgba([shade(x, width), shade(y, height), 128, alpha])
    });
    match clear {
        true => DynamicImage::ImageRgba8(picture),
        false => DynamicImage::ImageRgb8(DynamicImage::ImageRgba8(picture).into_rgb8()),
    }
}

fn encoded(picture: DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    picture.write_to(&mut out, format).expect("a picture is encoded");
    out.into_inner()
}

fn frames(count: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = image::codecs::gif::GifEncoder::new_with_speed(&mut out, 30);
    for shade in 0..count {
        let frame = RgbaImage::from_pixel(8, 8, Rgba([shade as u8, 0, 0, u8::MAX]));
        encoder.encode_frame(image::Frame::new(frame)).expect("a frame is encoded");
    }
    drop(encoder);
    out
}

/// Adds an Exif segment with orientation 6: turn right to see it upright.
fn turned(jpeg: &[u8]) -> Vec<u8> {
    let exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let mut out = jpeg[..2].to_vec();
    out.extend_from_slice(&[0xff, 0xe1]);
    out.extend_from_slice(&(exif.len() as u16 + 2).to_be_bytes());
    out.extend_from_slice(exif);
    out.extend_from_slice(&jpeg[2..]);
    out
}

/// The checksum of PNG chunks.
pub fn crc32(bytes: &[u8]) -> u32 {
    let mut sum = u32::MAX;
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = if sum & 1 == 1 { sum >> 1 ^ 0xEDB8_8320 } else { sum >> 1 };
        }
    }
    !sum
}

/// Where two pictures differ: in size, or by more than `most` in the mean of all colours.
pub fn compare(expected: &[u8], actual: &[u8], most: f64) -> Option<Difference> {
    let read = |bytes: &[u8]| image::load_from_memory(bytes).map(DynamicImage::into_rgba8);
    let (e, a) = match (read(expected), read(actual)) {
        (Ok(e), Ok(a)) => (e, a),
        (e, a) => {
            let of = |read: image::ImageResult<RgbaImage>| {
                read.map_or_else(|e| e.to_string(), |_| "a picture".into())
            };
            return Some(Difference::new("picture", of(e), of(a)));
        }
    };
    if e.dimensions() != a.dimensions() {
        return Some(Difference::new(
            "size",
            format!("{:?}", e.dimensions()),
            format!("{:?}", a.dimensions()),
        ));
    }
    let apart: u64 = e.as_raw().iter().zip(a.as_raw()).map(|(e, a)| u64::from(e.abs_diff(*a))).sum();
    let mean = apart as f64 / e.as_raw().len().max(1) as f64;
    (mean > most).then(|| Difference::new("colours", format!("at most {most} apart"), format!("{mean:.2}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_told_apart() {
        let (small, large) = (bytes("png-10x10"), bytes("png-20x10"));
        assert_eq!(compare(&small, &small, 0.0), None);
        assert!(compare(&small, &large, 255.0).is_some());
        assert!(compare(&bytes("clear-10x10"), &small, 1.0).is_some());
        assert_eq!(compare(&bytes("jpg-40x30"), &bytes("png-40x30"), 8.0), None);
        assert_eq!(named("<hex 00ff>"), Some(vec![0, 255]));
        assert_eq!(named("plain"), None);
    }
}
