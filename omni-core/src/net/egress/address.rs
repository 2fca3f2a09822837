//! What kind of address an address is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where an address leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Somewhere on the internet.
    Global,
    /// This machine.
    Loopback,
    /// A network of somebody's own: private, shared (CGNAT) or unique local.
    Private,
    /// The machines beside this one, among them those that give clouds their credentials.
    LinkLocal,
    /// Many machines.
    Multicast,
    /// Another address within it: a way around every rule on the other one.
    Tunnel,
    /// Nothing that anybody should be asked at.
    Reserved,
}

impl Kind {
    /// The kind of an address. An IPv4 address that is written as an IPv6 one is what it is.
    pub(super) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => v4(address),
            IpAddr::V6(address) => v6(address),
        }
    }

    /// What it is called in an error.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Global => "an address of the internet",
            Self::Loopback => "this machine",
            Self::Private => "an address of a private network",
            Self::LinkLocal => "a link-local address",
            Self::Multicast => "a multicast address",
            Self::Tunnel => "an address with another one in it",
            Self::Reserved => "a reserved address",
        }
    }
}

const V4: [([u8; 4], u32, Kind); 17] = [
    ([0, 0, 0, 0], 8, Kind::Reserved),
    ([10, 0, 0, 0], 8, Kind::Private),
    ([100, 64, 0, 0], 10, Kind::Private),
    ([127, 0, 0, 0], 8, Kind::Loopback),
    ([169, 254, 0, 0], 16, Kind::LinkLocal),
    ([172, 16, 0, 0], 12, Kind::Private),
    ([192, 0, 0, 0], 24, Kind::Reserved),
    ([192, 0, 2, 0], 24, Kind::Reserved),
    ([192, 31, 196, 0], 24, Kind::Reserved),
    ([192, 52, 193, 0], 24, Kind::Reserved),
    ([192, 88, 99, 0], 24, Kind::Tunnel),
    ([192, 168, 0, 0], 16, Kind::Private),
    ([198, 18, 0, 0], 15, Kind::Reserved),
    ([198, 51, 100, 0], 24, Kind::Reserved),
    ([203, 0, 113, 0], 24, Kind::Reserved),
    ([224, 0, 0, 0], 4, Kind::Multicast),
    ([240, 0, 0, 0], 4, Kind::Reserved),
];

fn v4(address: Ipv4Addr) -> Kind {
    let of = |(network, bits, _): &&([u8; 4], u32, Kind)| {
        let mask = u32::MAX << (32 - bits);
        u32::from_be_bytes(*network) == address.to_bits() & mask
    };
    V4.iter().find(of).map_or(Kind::Global, |(_, _, kind)| *kind)
}

/// In their order: what is within another network stands before it.
const V6: [(u128, u32, Kind); 14] = [
    (0x1, 128, Kind::Loopback),
    (0x0, 128, Kind::Reserved),
    // IPv4-compatible, and what translates to an IPv4 address on the way.
    (0x0, 96, Kind::Tunnel),
    (0x0000_0000_0000_0000_ffff_0000_0000_0000, 96, Kind::Tunnel),
    (0x0064_ff9b << 96, 96, Kind::Tunnel),
    (0x0064_ff9b_0001 << 80, 48, Kind::Tunnel),
    // Teredo and 6to4.
    (0x2001_0000 << 96, 32, Kind::Tunnel),
    (0x2002 << 112, 16, Kind::Tunnel),
    (0x2001_0db8 << 96, 32, Kind::Reserved),
    (0x2001_0000 << 96, 23, Kind::Reserved),
    (0x3fff << 112, 20, Kind::Reserved),
    (0xfc00 << 112, 7, Kind::Private),
    (0xfe80 << 112, 10, Kind::LinkLocal),
    (0xff00 << 112, 8, Kind::Multicast),
];

fn v6(address: Ipv6Addr) -> Kind {
    let bits_of = address.to_bits();
    let of = |(network, bits, _): &&(u128, u32, Kind)| *network == bits_of & (u128::MAX << (128 - bits));
    // What nobody has given out yet, and what was taken back (site-local), is nowhere.
    let unlisted = if bits_of >> 125 == 0b001 { Kind::Global } else { Kind::Reserved };
    V6.iter().find(of).map_or(unlisted, |(_, _, kind)| *kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// First and last address of every range that is not the internet's, and those beside it.
    const TABLE: &[(&str, Kind)] = &[
        ("0.0.0.0", Kind::Reserved),
        ("0.255.255.255", Kind::Reserved),
        ("1.0.0.0", Kind::Global),
        ("9.255.255.255", Kind::Global),
        ("10.0.0.0", Kind::Private),
        ("10.255.255.255", Kind::Private),
        ("11.0.0.0", Kind::Global),
        ("100.63.255.255", Kind::Global),
        ("100.64.0.0", Kind::Private),
        ("100.127.255.255", Kind::Private),
        ("100.128.0.0", Kind::Global),
        ("126.255.255.255", Kind::Global),
        ("127.0.0.0", Kind::Loopback),
        ("127.255.255.255", Kind::Loopback),
        ("128.0.0.0", Kind::Global),
        ("169.253.255.255", Kind::Global),
        ("169.254.0.0", Kind::LinkLocal),
        ("169.254.169.254", Kind::LinkLocal),
        ("169.254.255.255", Kind::LinkLocal),
        ("169.255.0.0", Kind::Global),
        ("172.15.255.255", Kind::Global),
        ("172.16.0.0", Kind::Private),
        ("172.31.255.255", Kind::Private),
        ("172.32.0.0", Kind::Global),
        ("191.255.255.255", Kind::Global),
        ("192.0.0.0", Kind::Reserved),
        ("192.0.0.255", Kind::Reserved),
        ("192.0.1.0", Kind::Global),
        ("192.0.2.0", Kind::Reserved),
        ("192.0.2.255", Kind::Reserved),
        ("192.0.3.0", Kind::Global),
        ("192.31.196.7", Kind::Reserved),
        ("192.52.193.7", Kind::Reserved),
        ("192.88.98.255", Kind::Global),
        ("192.88.99.0", Kind::Tunnel),
        ("192.88.99.255", Kind::Tunnel),
        ("192.88.100.0", Kind::Global),
        ("192.167.255.255", Kind::Global),
        ("192.168.0.0", Kind::Private),
        ("192.168.255.255", Kind::Private),
        ("192.169.0.0", Kind::Global),
        ("198.17.255.255", Kind::Global),
        ("198.18.0.0", Kind::Reserved),
        ("198.19.255.255", Kind::Reserved),
        ("198.20.0.0", Kind::Global),
        ("198.51.100.0", Kind::Reserved),
        ("198.51.100.255", Kind::Reserved),
        ("198.51.101.0", Kind::Global),
        ("203.0.112.255", Kind::Global),
        ("203.0.113.0", Kind::Reserved),
        ("203.0.113.255", Kind::Reserved),
        ("203.0.114.0", Kind::Global),
        ("223.255.255.255", Kind::Global),
        ("224.0.0.0", Kind::Multicast),
        ("239.255.255.255", Kind::Multicast),
        ("240.0.0.0", Kind::Reserved),
        ("255.255.255.255", Kind::Reserved),
        ("8.8.8.8", Kind::Global),
        ("::", Kind::Reserved),
        ("::1", Kind::Loopback),
        ("::2", Kind::Tunnel),
        ("::7f00:1", Kind::Tunnel),
        ("::ffff:127.0.0.1", Kind::Loopback),
        ("::ffff:10.0.0.1", Kind::Private),
        ("::ffff:169.254.169.254", Kind::LinkLocal),
        ("::ffff:8.8.8.8", Kind::Global),
        ("::ffff:0:7f00:1", Kind::Tunnel),
        ("64:ff9b::7f00:1", Kind::Tunnel),
        ("64:ff9b::808:808", Kind::Tunnel),
        ("64:ff9b:1::1", Kind::Tunnel),
        ("64:ff9b:1:ffff::1", Kind::Tunnel),
        ("100::1", Kind::Reserved),
        ("1fff:ffff::1", Kind::Reserved),
        ("2000::1", Kind::Global),
        ("2001::1", Kind::Tunnel),
        ("2001:0:ffff::1", Kind::Tunnel),
        ("2001:1::1", Kind::Reserved),
        ("2001:1ff:ffff::1", Kind::Reserved),
        ("2001:200::1", Kind::Global),
        ("2001:db7:ffff::1", Kind::Global),
        ("2001:db8::1", Kind::Reserved),
        ("2001:db8:ffff::1", Kind::Reserved),
        ("2001:db9::1", Kind::Global),
        ("2002:7f00:1::1", Kind::Tunnel),
        ("2002:ffff::1", Kind::Tunnel),
        ("2003::1", Kind::Global),
        ("2606:4700::1111", Kind::Global),
        ("3ffe::1", Kind::Global),
        ("3fff::1", Kind::Reserved),
        ("3fff:fff:ffff::1", Kind::Reserved),
        ("3fff:1000::1", Kind::Global),
        ("4000::1", Kind::Reserved),
        ("5f00::1", Kind::Reserved),
        ("fbff::1", Kind::Reserved),
        ("fc00::1", Kind::Private),
        ("fd12:3456::1", Kind::Private),
        ("fdff:ffff::1", Kind::Private),
        ("fe00::1", Kind::Reserved),
        ("fe80::1", Kind::LinkLocal),
        ("febf:ffff::1", Kind::LinkLocal),
        ("fec0::1", Kind::Reserved),
        ("feff:ffff::1", Kind::Reserved),
        ("ff00::1", Kind::Multicast),
        ("ff02::1", Kind::Multicast),
        ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Kind::Multicast),
    ];

    #[test]
    fn every_range_that_is_not_the_internets_is_known_up_to_its_edges() {
        for (text, kind) in TABLE {
            assert_eq!(Kind::of(text.parse().unwrap()), *kind, "{text}");
        }
    }
}
