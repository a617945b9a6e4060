//! Binary kinds, by bytes at fixed places.

use super::{Kind, kind};

/// Where, which bytes, and what it is then. The first that fits counts.
type Magic = (usize, &'static [u8], Kind);

const PLAIN: &[Magic] = &[
    (0, b"\xff\xd8\xff", kind("image/jpeg", ".jpg")),
    (0, b"GIF87a", kind("image/gif", ".gif")),
    (0, b"GIF89a", kind("image/gif", ".gif")),
    (0, b"\0\0\x01\0", kind("image/x-icon", ".ico")),
    (0, b"\0\0\x02\0", kind("image/x-icon", ".ico")),
    (0, b"II*\0", kind("image/tiff", ".tiff")),
    (0, b"MM\0*", kind("image/tiff", ".tiff")),
    (0, b"8BPS", kind("image/vnd.adobe.photoshop", ".psd")),
    (0, b"\xff\x0a", kind("image/jxl", ".jxl")),
    (0, b"\0\0\0\x0cJXL \r\n\x87\n", kind("image/jxl", ".jxl")),
    (16, b"ftypjp2 ", kind("image/jp2", ".jp2")),
    (16, b"ftypjpm ", kind("image/jpm", ".jpm")),
    (16, b"ftypjpx ", kind("image/jpx", ".jpf")),
    (0, b"BPG\xfb", kind("image/bpg", ".bpg")),
    (0, b"gimp xcf", kind("image/x-xcf", ".xcf")),
    (20, b"GIMP", kind("image/x-gimp-gbr", ".gbr")),
    (0, b"AC10", kind("image/vnd.dwg", ".dwg")),
    (0, b"icns", kind("image/x-icns", ".icns")),
    (0, b"#?RADIANCE\n", kind("image/vnd.radiance", ".hdr")),
    (0, b"/* XPM */", kind("image/x-xpixmap", ".xpm")),
    (0, b"AT&TFORM", kind("image/vnd.djvu", ".djvu")),
    (0, b"%!PS-Adobe-", kind("application/postscript", ".ps")),
    (0, b"\x1f\x8b", kind("application/gzip", ".gz")),
    (0, b"7z\xbc\xaf\x27\x1c", kind("application/x-7z-compressed", ".7z")),
    (0, b"Rar!\x1a\x07\0", kind("application/vnd.rar", ".rar")),
    (0, b"Rar!\x1a\x07\x01\0", kind("application/vnd.rar", ".rar")),
    (0, b"BZh", kind("application/x-bzip2", ".bz2")),
    (0, b"\xfd7zXZ\0", kind("application/x-xz", ".xz")),
    (0, b"\x28\xb5\x2f\xfd", kind("application/zstd", ".zst")),
    (0, b"LZIP", kind("application/lzip", ".lz")),
    (0, b"070707", kind("application/x-cpio", ".cpio")),
    (0, b"!<arch>\ndebian-binary", kind("application/vnd.debian.binary-package", ".deb")),
    (0, b"!<arch>", kind("application/x-archive", ".a")),
    (0, b"\xed\xab\xee\xdb", kind("application/x-rpm", ".rpm")),
    (0, b"MSCF", kind("application/vnd.ms-cab-compressed", ".cab")),
    (0, b"fLaC", kind("audio/flac", ".flac")),
    (0, b"MThd", kind("audio/midi", ".midi")),
    (0, b"#!AMR", kind("audio/amr", ".amr")),
    (0, b"MPCK", kind("audio/musepack", ".mpc")),
    (0, b".snd", kind("audio/basic", ".au")),
    (0, b"FLV\x01", kind("video/x-flv", ".flv")),
    (0, b"\0\0\x01\xba", kind("video/mpeg", ".mpeg")),
    (0, b"\0\0\x01\xb3", kind("video/mpeg", ".mpeg")),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", kind("video/x-ms-asf", ".asf")),
    (0, b"wOFF", kind("font/woff", ".woff")),
    (0, b"wOF2", kind("font/woff2", ".woff2")),
    (0, b"ttcf", kind("font/collection", ".ttc")),
    (0, b"\0\x01\0\0", kind("font/ttf", ".ttf")),
    (0, b"MZ", kind("application/vnd.microsoft.portable-executable", ".exe")),
    (0, b"\xca\xfe\xba\xbe", kind("application/x-java-applet", ".class")),
    (0, b"\0asm", kind("application/wasm", ".wasm")),
    (0, b"SQLite format 3\0", kind("application/vnd.sqlite3", ".sqlite")),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", kind("application/x-ole-storage", "")),
    (0, b"CWS", kind("application/x-shockwave-flash", ".swf")),
    (0, b"FWS", kind("application/x-shockwave-flash", ".swf")),
    (0, b"ZWS", kind("application/x-shockwave-flash", ".swf")),
    (128, b"DICM", kind("application/dicom", ".dcm")),
    (0, b"glTF\x02\0\0\0", kind("model/gltf-binary", ".glb")),
    (0, b"PAR1", kind("application/vnd.apache.parquet", ".parquet")),
    (0, b"L\0\0\0\x01\x14\x02\0", kind("application/x-ms-shortcut", ".lnk")),
    (60, b"BOOKMOBI", kind("application/x-mobipocket-ebook", ".mobi")),
    (0, b"\0\0\x27\x0a", kind("application/vnd.shx", ".shx")),
    (0, b"\xcf\xfa\xed\xfe", kind("application/x-mach-binary", ".macho")),
    (0, b"NES\x1a", kind("application/vnd.nintendo.snes.rom", ".nes")),
    (0, b"SIMPLE  =                    T", kind("application/fits", ".fits")),
    (0, b"d8:announce", kind("application/x-bittorrent", ".torrent")),
    (0, b"-----BEGIN PKCS7", kind("application/pkcs7-signature", ".p7s")),
    (0, b"\xff\xf1", kind("audio/aac", ".aac")),
    (0, b"\xff\xf9", kind("audio/aac", ".aac")),
];

/// Brands of files that begin with an `ftyp` box; another brand is a plain MP4.
const BRANDS: &[(&[u8], Kind)] = &[
    (b"avif", kind("image/avif", ".avif")),
    (b"avis", kind("image/avif", ".avif")),
    (b"heic", kind("image/heic", ".heic")),
    (b"heix", kind("image/heic", ".heic")),
    (b"hevc", kind("image/heic-sequence", ".heic")),
    (b"hevx", kind("image/heic-sequence", ".heic")),
    (b"mif1", kind("image/heif", ".heif")),
    (b"heim", kind("image/heif", ".heif")),
    (b"heis", kind("image/heif", ".heif")),
    (b"avic", kind("image/heif", ".heif")),
    (b"msf1", kind("image/heif-sequence", ".heif")),
    (b"hevm", kind("image/heif-sequence", ".heif")),
    (b"hevs", kind("image/heif-sequence", ".heif")),
    (b"avcs", kind("image/heif-sequence", ".heif")),
    (b"qt  ", kind("video/quicktime", ".mov")),
    (b"mqt ", kind("video/quicktime", ".mqv")),
    (b"M4A ", kind("audio/x-m4a", ".m4a")),
    (b"M4V", kind("video/x-m4v", ".m4v")),
    (b"3gp", kind("video/3gpp", ".3gp")),
    (b"3gs", kind("video/3gpp", ".3gp")),
    (b"3ge", kind("video/3gpp", ".3gp")),
    (b"3g2", kind("video/3gpp2", ".3g2")),
    (b"F4A ", kind("audio/mp4", ".mp4")),
    (b"F4B ", kind("audio/mp4", ".mp4")),
    (b"M4B ", kind("audio/mp4", ".mp4")),
    (b"M4P ", kind("audio/mp4", ".mp4")),
    (b"MSNV", kind("audio/mp4", ".mp4")),
];

pub fn sniff(head: &[u8]) -> Option<Kind> {
    let at = |offset: usize, bytes: &[u8]| head.get(offset..).is_some_and(|rest| rest.starts_with(bytes));
    if at(0, b"\x89PNG\r\n\x1a\n") {
        return Some(match at(37, b"acTL") {
            true => kind("image/apng", ".apng"),
            false => kind("image/png", ".png"),
        });
    }
    if at(4, b"ftyp") && head.len() >= 12 {
        let brand = &head[8..];
        let found = BRANDS.iter().find(|(name, _)| brand.starts_with(name));
        return Some(found.map_or(kind("video/mp4", ".mp4"), |(_, kind)| *kind));
    }
    if [b"moov", b"mdat", b"free", b"skip", b"wide"].iter().any(|atom| at(4, *atom)) && head.len() > 12 {
        return Some(kind("video/quicktime", ".mov"));
    }
    if at(0, b"RIFF") && head.len() > 15 {
        return match &head[8..12] {
            b"WEBP" => Some(kind("image/webp", ".webp")),
            b"WAVE" => Some(kind("audio/wav", ".wav")),
            b"QLCM" => Some(kind("audio/qcelp", ".qcp")),
            b"AVI " if at(12, b"LIST") && head.len() > 16 => Some(kind("video/x-msvideo", ".avi")),
            _ => None,
        };
    }
    if at(0, b"FORM") && at(8, b"AIFF") && head.len() > 12 {
        return Some(kind("audio/aiff", ".aiff"));
    }
    if at(0, b"BM") && head.len() > 17 && bitmap_header(head) {
        return Some(kind("image/bmp", ".bmp"));
    }
    if at(0, b"OggS") {
        return Some(ogg(head));
    }
    if at(0, b"\x1a\x45\xdf\xa3") {
        return matroska(head);
    }
    if at(0, b"\x7fELF") {
        return Some(match head.get(16) {
            Some(3) => kind("application/x-sharedlib", ".so"),
            _ => kind("application/x-executable", ""),
        });
    }
    // Junk before the signature is common, and readers accept it.
    let near = &head[..head.len().min(1024)];
    if contains(near, b"%PDF-") {
        return Some(kind("application/pdf", ".pdf"));
    }
    if at(257, b"ustar") && tape_sum(head) {
        return Some(kind("application/x-tar", ".tar"));
    }
    if at(0, b"ID3") {
        return id3(head);
    }
    if matches!(head, [0xff, second, ..] if matches!(second, 0xfa | 0xfb | 0xf2 | 0xf3 | 0xe2 | 0xe3)) {
        return Some(kind("audio/mpeg", ".mp3"));
    }
    PLAIN.iter().find(|(offset, bytes, _)| at(*offset, bytes)).map(|(.., kind)| *kind)
}

pub fn contains(bytes: &[u8], part: &[u8]) -> bool {
    part.is_empty() || bytes.windows(part.len()).any(|window| window == part)
}

/// Whether the sum that a tape archive's first header tells is right.
fn tape_sum(head: &[u8]) -> bool {
    let Some(header) = head.get(..512) else { return false };
    let (told, blank) = (&header[148..156], 8 * u32::from(b' '));
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    let sum = sum - told.iter().map(|byte| u32::from(*byte)).sum::<u32>() + blank;
    let digits: String = told.iter().map(|byte| char::from(*byte)).filter(char::is_ascii_digit).collect();
    u32::from_str_radix(&digits, 8) == Ok(sum)
}

/// Sizes of the information header that bitmaps have.
fn bitmap_header(head: &[u8]) -> bool {
    matches!(head.get(14..18), Some([12 | 40 | 52 | 56 | 64 | 108 | 124, 0, 0, 0]))
}

fn ogg(head: &[u8]) -> Kind {
    let first = &head[..head.len().min(64)];
    let holds = |names: &[&[u8]]| names.iter().any(|name| contains(first, name));
    if holds(&[b"theora", b"fishead", b"\x01video"]) {
        kind("video/ogg", ".ogv")
    } else if holds(&[b"\x01vorbis", b"OpusHead", b"Speex", b"\x7fFLAC"]) {
        kind("audio/ogg", ".oga")
    } else {
        kind("application/ogg", ".ogg")
    }
}

fn matroska(head: &[u8]) -> Option<Kind> {
    let first = &head[..head.len().min(4096)];
    if contains(first, b"webm") {
        return Some(kind("video/webm", ".webm"));
    }
    contains(first, b"matroska").then_some(kind("video/matroska", ".mkv"))
}

/// A tag, which says how long it is, and then sound.
fn id3(head: &[u8]) -> Option<Kind> {
    let size = head.get(6..10)?.iter().fold(0, |size, byte| size << 7 | usize::from(byte & 0x7f));
    (size > 0).then_some(kind("audio/mpeg", ".mp3"))
}
