//! Addresses of the network as text.

use std::net::IpAddr;

/// An address as the reference writes it: IPv6 without shortening.
pub fn spelled(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => {
            let (mut text, mut digits) = (String::with_capacity(15), itoa::Buffer::new());
            for (at, part) in address.octets().into_iter().enumerate() {
                if at > 0 {
                    text.push('.');
                }
                text.push_str(digits.format(part));
            }
            text
        }
        IpAddr::V6(address) => address.segments().map(|part| format!("{part:04x}")).join(":"),
    }
}
