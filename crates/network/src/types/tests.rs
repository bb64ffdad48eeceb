//! Properties of the plain data.

use proptest::prelude::*;

use super::*;

#[test]
fn what_is_not_a_subnet_is_refused() {
    for bad in
        ["", "10.0.0.0", "10.0.0.0/33", "10.0.0/8", "10.0.0.0/x", "::/0", "10.0.0.0/-1", "10.0.0.0/8/8"]
    {
        assert!(bad.parse::<Subnet>().is_err(), "{bad}");
    }
    let subnet: Subnet = "172.28.17.9/20".parse().unwrap();
    assert_eq!(subnet.to_string(), "172.28.16.0/20");
    assert_eq!(
        (subnet.gateway(), subnet.at(subnet.last_offset())),
        ("172.28.16.1".parse().unwrap(), "172.28.31.255".parse().unwrap())
    );
    assert_eq!("0.0.0.0/0".parse::<Subnet>().unwrap().last_offset(), u16::MAX);
}

#[test]
fn ids_are_checked() {
    for bad in ["", "0123abc", "0123abcde", "0123ABCD", "0123abcg", "0123abc\u{e9}"] {
        assert!(bad.parse::<InstanceId>().is_err(), "{bad}");
    }
    assert!(AttachmentId::new("").is_err());
    assert!(AttachmentId::new("a\nb").is_err());
    assert!(AttachmentId::new("x".repeat(513)).is_err());
    assert!(serde_json::from_str::<AttachmentId>("\"\"").is_err());
}

proptest! {
    #[test]
    fn subnets_overlap_when_they_share_an_address(a: u32, b: u32, p in 0u8..=32, q in 0u8..=32, near: bool) {
        let b = if near { a ^ (b & 0xff) } else { b };
        let (x, y) = (Subnet::new(a.into(), p).unwrap(), Subnet::new(b.into(), q).unwrap());
        let range = |s: &Subnet, p| {
            let first = u64::from(s.addr().to_bits());
            first..first + (1u64 << (32 - u32::from(p)))
        };
        let (r, s) = (range(&x, p), range(&y, q));
        prop_assert_eq!(x.overlaps(&y), r.start < s.end && s.start < r.end);
        prop_assert_eq!(x.overlaps(&y), y.overlaps(&x));
        prop_assert_eq!(x.to_string().parse::<Subnet>().unwrap(), x);
    }

    #[test]
    fn hardware_addresses_survive_text(bytes: [u8; 6]) {
        let mac = Mac(bytes);
        prop_assert_eq!(Mac::try_from(mac.to_string()).unwrap(), mac);
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,24}") {
        let _ = (Mac::try_from(text.clone()), text.parse::<Subnet>(), text.parse::<InstanceId>());
    }
}
