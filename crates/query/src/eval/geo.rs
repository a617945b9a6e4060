//! Distances on a sphere.

/// Kilometres between (lon, lat) and (lon, lat) in degrees, on a sphere of radius 6371.
pub fn distance([lon_a, lat_a, lon_b, lat_b]: [f64; 4]) -> f64 {
    let (lon_a, lat_a) = (lon_a.to_radians(), lat_a.to_radians());
    let (lon_b, lat_b) = (lon_b.to_radians(), lat_b.to_radians());
    let cosine = lat_a.cos() * lat_b.cos() * (lon_b - lon_a).cos() + lat_a.sin() * lat_b.sin();
    // Rounding may push the cosine of equal points out of range.
    6371.0 * cosine.clamp(-1.0, 1.0).acos()
}
