//! Which part of a picture a thumbnail shows, and how large.

/// How a picture becomes a thumbnail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// Scaled to one side; the other follows.
    Width(u32),
    Height(u32),
    /// Scaled to lie within the box, never enlarged.
    Fit(u32, u32),
    /// Scaled to fill the box, and cut to it.
    Fill(u32, u32, Anchor),
}

/// Which part is kept when a picture is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    Center,
    Top,
    Bottom,
}

/// What is cut from the picture before and after it is scaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steps {
    /// The part of the source, as x, y, width and height.
    pub source: [u32; 4],
    pub scaled: (u32, u32),
    /// The part of the scaled picture.
    pub cut: [u32; 4],
}

/// Pictures with a shorter side than this are scaled first and cut then.
const CUT_FIRST_MIN: u32 = 100;

impl Size {
    /// `WxH` with an optional `t`, `b` or `f`; 0 for a side that follows the other.
    pub fn parse(text: &str) -> Option<Size> {
        let (sides, mode) = match text.as_bytes().last()? {
            b't' | b'b' | b'f' => text.split_at(text.len() - 1),
            _ => (text, ""),
        };
        let (width, height) = sides.split_once('x')?;
        let (width, height): (u32, u32) = (width.parse().ok()?, height.parse().ok()?);
        Some(match (width, height, mode) {
            (0, 0, _) => return None,
            (0, height, _) => Size::Height(height),
            (width, 0, _) => Size::Width(width),
            (width, height, "f") => Size::Fit(width, height),
            (width, height, "t") => Size::Fill(width, height, Anchor::Top),
            (width, height, "b") => Size::Fill(width, height, Anchor::Bottom),
            (width, height, _) => Size::Fill(width, height, Anchor::Center),
        })
    }

    /// For a picture of a size, of which no side is 0.
    pub fn steps(self, width: u32, height: u32) -> Steps {
        let whole = [0, 0, width, height];
        let scaled = |scaled: (u32, u32)| Steps { source: whole, scaled, cut: [0, 0, scaled.0, scaled.1] };
        match self {
            Size::Width(to) => scaled((to, follow(to, height, width))),
            Size::Height(to) => scaled((follow(to, width, height), to)),
            Size::Fit(max_width, max_height) if width <= max_width && height <= max_height => {
                let _ = (max_width, max_height);
                scaled((width, height))
            }
            Size::Fit(max_width, max_height) => {
                let ratio = f64::from(width) / f64::from(height);
                if ratio > f64::from(max_width) / f64::from(max_height) {
                    match (f64::from(max_width) / ratio) as u32 {
                        0 => scaled((max_width, follow(max_width, height, width))),
                        fitting => scaled((max_width, fitting)),
                    }
                } else {
                    match (f64::from(max_height) * ratio) as u32 {
                        0 => scaled((follow(max_height, width, height), max_height)),
                        fitting => scaled((fitting, max_height)),
                    }
                }
            }
            Size::Fill(to_width, to_height, anchor) => {
                let ratio = f64::from(width) / f64::from(height);
                let narrow = ratio < f64::from(to_width) / f64::from(to_height);
                if width >= CUT_FIRST_MIN && height >= CUT_FIRST_MIN {
                    let part = |side: u32, to: u32, by: u32| {
                        ((f64::from(side) * f64::from(to) / f64::from(by)).max(1.0) + 0.5) as u32
                    };
                    let kept = match narrow {
                        true => (width, part(width, to_height, to_width).min(height)),
                        false => (part(height, to_width, to_height).min(width), height),
                    };
                    let source = anchor.part((width, height), kept);
                    return Steps { source, scaled: (to_width, to_height), cut: [0, 0, to_width, to_height] };
                }
                let scaled = match narrow {
                    true => (to_width, follow(to_width, height, width)),
                    false => (follow(to_height, width, height), to_height),
                };
                let kept = (to_width.min(scaled.0), to_height.min(scaled.1));
                Steps { source: whole, scaled, cut: anchor.part(scaled, kept) }
            }
        }
    }
}

/// The side that keeps the proportions.
fn follow(to: u32, side: u32, by: u32) -> u32 {
    ((f64::from(to) * f64::from(side) / f64::from(by)).max(1.0) + 0.5).floor() as u32
}

impl Anchor {
    fn part(self, (width, height): (u32, u32), (to_width, to_height): (u32, u32)) -> [u32; 4] {
        let x = (width - to_width) / 2;
        let y = match self {
            Anchor::Center => (height - to_height) / 2,
            Anchor::Top => 0,
            Anchor::Bottom => height - to_height,
        };
        [x, y, to_width, to_height]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sizes that the reference gave.
    #[test]
    fn sizes_are_the_references() {
        for (size, source, made) in [
            ("30x20", (40, 30), (30, 20)),
            ("30x20f", (40, 30), (26, 20)),
            ("0x20", (40, 30), (27, 20)),
            ("30x0", (40, 30), (30, 23)),
            ("200x200", (40, 30), (200, 200)),
            ("30x20f", (1, 1), (1, 1)),
            ("0x20", (1, 1), (20, 20)),
            ("30x20f", (1, 50), (1, 20)),
            ("30x0", (1, 50), (30, 1500)),
            ("30x20f", (200, 1), (30, 1)),
            ("0x20", (200, 1), (4000, 20)),
            ("30x0", (200, 1), (30, 1)),
            ("30x20f", (10, 7), (10, 7)),
            ("100x100", (200, 1), (100, 100)),
        ] {
            let steps = Size::parse(size).unwrap().steps(source.0, source.1);
            assert_eq!((steps.cut[2], steps.cut[3]), made, "{size} of {source:?}");
        }
        for size in ["", "x", "0x0", "0x0t", "10", "10x", "axb", "10x10z", "-1x5", "99999999999x1"] {
            assert_eq!(Size::parse(size), None, "{size}");
        }
    }
}
