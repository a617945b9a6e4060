//! Content codings, and which of them a client takes: RFC 9110, section 12.5.3.

use std::cmp::Reverse;

use hyper::header::{self, HeaderMap, HeaderValue};

/// A coding that the edge can make. They are told apart on disk by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Coding {
    Brotli = 0,
    Zstd = 1,
    Gzip = 2,
}

impl Coding {
    /// The first is what the edge likes best of what a client likes equally: it is the smallest.
    pub const ALL: [Coding; 3] = [Coding::Brotli, Coding::Zstd, Coding::Gzip];

    pub fn name(self) -> &'static str {
        match self {
            Coding::Brotli => "br",
            Coding::Zstd => "zstd",
            Coding::Gzip => "gzip",
        }
    }

    pub fn named(name: &str) -> Option<Coding> {
        if name.eq_ignore_ascii_case("x-gzip") {
            return Some(Coding::Gzip);
        }
        Coding::ALL.into_iter().find(|coding| name.eq_ignore_ascii_case(coding.name()))
    }

    pub fn numbered(number: u8) -> Option<Coding> {
        Coding::ALL.into_iter().find(|coding| *coding as u8 == number)
    }

    pub(super) fn value(self) -> HeaderValue {
        HeaderValue::from_static(self.name())
    }
}

/// What a client said in `Accept-Encoding`, in thousandths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    weights: [u16; Coding::ALL.len()],
    /// None where nothing is said of it: it is taken, and anything else is better.
    identity: Option<u16>,
}

impl Accepted {
    pub fn of(headers: &HeaderMap) -> Self {
        let (mut weights, mut identity, mut any) = ([None; Coding::ALL.len()], None, None);
        for value in headers.get_all(header::ACCEPT_ENCODING) {
            for item in value.to_str().unwrap_or_default().split(',') {
                let (name, parameters) = item.split_once(';').unwrap_or((item, ""));
                let (name, weight) = (name.trim(), weight(parameters));
                match Coding::named(name) {
                    Some(coding) => weights[coding as usize] = Some(weight),
                    None if name == "*" => any = Some(weight),
                    None if name.eq_ignore_ascii_case("identity") => identity = Some(weight),
                    None => {}
                }
            }
        }
        Accepted {
            weights: weights.map(|weight| weight.or(any).unwrap_or(0)),
            // A star refuses it, too, but does not wish for it: its value is about whatever else there is.
            identity: identity.or(any.filter(|any| *any == 0)),
        }
    }

    pub fn takes(&self, coding: Coding) -> bool {
        self.weights[coding as usize] > 0
    }

    pub fn refuses_identity(&self) -> bool {
        self.identity == Some(0)
    }

    /// The codings that are taken rather than none, the most wanted first.
    pub fn best_first(&self) -> impl Iterator<Item = Coding> + use<> {
        let Accepted { weights, identity } = *self;
        let mut row = Coding::ALL;
        row.sort_by_key(|coding| Reverse(weights[*coding as usize]));
        let least = identity.unwrap_or(0).max(1);
        row.into_iter().filter(move |coding| weights[*coding as usize] >= least)
    }
}

/// A thousand where nothing is said; what is no number is wanted by nobody.
fn weight(parameters: &str) -> u16 {
    let weight = parameters.split(';').find_map(|parameter| {
        let (name, weight) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("q").then(|| weight.trim())
    });
    let weight = weight.map_or(1.0, |weight| weight.parse::<f32>().unwrap_or(0.0));
    // What is not zero is not refused, however little it is; this makes zero of NaN.
    (weight.clamp(0.0, 1.0) * 1_000.0).ceil() as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_wanted_comes_first() {
        for (said, expected) in [
            (&["gzip, deflate, br, zstd"][..], "br zstd gzip"),
            (&["gzip", "br"], "br gzip"),
            (&["br;q=0.5, gzip;q=0.8"], "gzip br"),
            (&["br;q=0.5, gzip;q=0.8, identity;q=0.6"], "gzip"),
            (&["identity, gzip;q=0.9"], ""),
            (&["identity, gzip"], "gzip"),
            (&["*"], "br zstd gzip"),
            (&["*;q=0.2, gzip"], "gzip br zstd"),
            (&["*, br;q=0"], "zstd gzip"),
            (&["*;q=0"], ""),
            (&["gzip;q=0"], ""),
            (&["gzip;q=0.000"], ""),
            (&["gzip;q=0.0001"], "gzip"),
            (&["gzip;q=nan"], ""),
            (&["gzip;q=x"], ""),
            (&["gzip;q=7"], "gzip"),
            (&["gzip ; Q=1"], "gzip"),
            (&["X-GZIP"], "gzip"),
            (&["identity;q=0, br"], "br"),
            (&["deflate, compress, brr"], ""),
            (&[""], ""),
            (&[], ""),
        ] {
            let mut headers = HeaderMap::new();
            for value in said {
                headers.append(header::ACCEPT_ENCODING, value.parse().unwrap());
            }
            let found: Vec<_> = Accepted::of(&headers).best_first().map(Coding::name).collect();
            assert_eq!(found.join(" "), expected, "{said:?}");
        }
    }

    #[test]
    fn what_is_not_packed_can_be_refused() {
        for (said, refused) in [
            ("identity;q=0", true),
            ("*;q=0", true),
            ("*;q=0, identity", false),
            ("*;q=0.5", false),
            ("br", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, said.parse().unwrap())]);
            assert_eq!(Accepted::of(&headers).refuses_identity(), refused, "{said}");
        }
    }
}
