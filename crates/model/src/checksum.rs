//! CRC-32 (IEEE), which ids are derived from.

/// Bitwise, because it only ever sees names.
pub fn crc32(bytes: &[u8]) -> u32 {
    let mut sum = !0u32;
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 };
        }
    }
    !sum
}

#[cfg(test)]
mod tests {
    #[test]
    fn known_names() {
        assert_eq!(super::crc32(b"id"), 3208210256);
        assert_eq!(super::crc32(b"base_mfas"), 2279338944);
    }
}
