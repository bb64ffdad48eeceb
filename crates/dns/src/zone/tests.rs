//! Tables of what is known of names.

use hickory_proto::rr::rdata::TXT;

use super::*;

fn vpc() -> Vpc {
    Vpc::new("ec2.internal", ["10.0.0.0/16".parse().unwrap(), "100.64.0.0/24".parse().unwrap()]).unwrap()
}

fn view(zones: Vec<Arc<Zone>>) -> View {
    View { vpc: vpc(), zones }
}

fn asked(view: &View, text: &str, kind: RecordType) -> String {
    match view.answer(&name(text).unwrap(), kind) {
        None => "ask others".to_owned(),
        Some(answer) => {
            assert!(answer.authoritative);
            assert_eq!(answer.records.is_empty(), answer.authority.len() == 1, "{text}");
            let records: Vec<String> = answer.records.iter().map(|record| record.data.to_string()).collect();
            if records.is_empty() { answer.code.to_string() } else { records.join(" ") }
        }
    }
}

#[test]
fn names_follow_from_addresses_and_lead_back() {
    let view = view(Vec::new());
    for (text, kind, expected) in [
        ("ip-10-0-1-5.ec2.internal", RecordType::A, "10.0.1.5"),
        ("IP-10-0-1-5.EC2.Internal", RecordType::A, "10.0.1.5"),
        ("ip-100-64-0-9.ec2.internal", RecordType::A, "100.64.0.9"),
        ("ip-10-0-1-5.ec2.internal", RecordType::AAAA, "No Error"),
        ("ip-10-1-0-5.ec2.internal", RecordType::A, "Non-Existent Domain"),
        ("ip-10-0-1-05.ec2.internal", RecordType::A, "Non-Existent Domain"),
        ("ip-10-0-1.5.ec2.internal", RecordType::A, "Non-Existent Domain"),
        ("ip-10-0-1-256.ec2.internal", RecordType::A, "Non-Existent Domain"),
        ("a.ip-10-0-1-5.ec2.internal", RecordType::A, "Non-Existent Domain"),
        ("db.ec2.internal", RecordType::A, "Non-Existent Domain"),
        ("ec2.internal", RecordType::A, "No Error"),
        ("5.1.0.10.in-addr.arpa", RecordType::PTR, "ip-10-0-1-5.ec2.internal."),
        ("5.1.0.10.IN-ADDR.ARPA", RecordType::PTR, "ip-10-0-1-5.ec2.internal."),
        ("5.1.0.10.in-addr.arpa", RecordType::A, "No Error"),
        ("5.1.1.10.in-addr.arpa", RecordType::PTR, "ask others"),
        ("1.0.10.in-addr.arpa", RecordType::PTR, "ask others"),
        ("05.1.0.10.in-addr.arpa", RecordType::PTR, "ask others"),
        ("internal", RecordType::A, "ask others"),
        ("notec2.internal", RecordType::A, "ask others"),
        ("ip-10-0-1-5.us-west-2.compute.internal", RecordType::A, "ask others"),
        ("example.com", RecordType::A, "ask others"),
        (".", RecordType::NS, "ask others"),
    ] {
        assert_eq!(asked(&view, text, kind), expected, "{text} {kind}");
    }
    let soa = asked(&view, "ec2.internal", RecordType::SOA);
    assert!(soa.starts_with("ec2.internal. hostmaster.ec2.internal. 1 "), "{soa}");
}

#[test]
fn a_zone_is_a_table_and_the_smallest_counts() {
    let a = |text: &str, last: u8| {
        Record::from_rdata(name(text).unwrap(), 10, RData::A(A(Ipv4Addr::new(10, 0, 0, last))))
    };
    let zone = |apex: &str, records: Vec<Record>| Arc::new(Zone::new(name(apex).unwrap(), records).unwrap());
    let records = vec![a("web.corp.local", 1), a("WEB.corp.local", 2), a("x.deep.corp.local", 3)];
    let view = view(vec![
        zone("corp.local", records),
        zone("in.corp.local", vec![a("web.in.corp.local", 9)]),
        zone("hosts.ec2.internal", vec![a("ip-10-0-0-1.hosts.ec2.internal", 7)]),
    ]);
    for (text, kind, expected) in [
        ("web.corp.local", RecordType::A, "10.0.0.1 10.0.0.2"),
        ("Web.Corp.Local", RecordType::A, "10.0.0.1 10.0.0.2"),
        ("web.corp.local", RecordType::TXT, "No Error"),
        ("deep.corp.local", RecordType::A, "No Error"),
        ("eep.corp.local", RecordType::A, "Non-Existent Domain"),
        ("corp.local", RecordType::A, "No Error"),
        ("other.corp.local", RecordType::A, "Non-Existent Domain"),
        ("web.in.corp.local", RecordType::A, "10.0.0.9"),
        ("ip-10-0-0-1.hosts.ec2.internal", RecordType::A, "10.0.0.7"),
        ("ip-10-0-0-1.ec2.internal", RecordType::A, "10.0.0.1"),
        ("local", RecordType::A, "ask others"),
    ] {
        assert_eq!(asked(&view, text, kind), expected, "{text} {kind}");
    }
}

#[test]
fn what_is_no_zone_is_refused() {
    let apex = name("corp.local").unwrap();
    let text =
        |at: &str| Record::from_rdata(name(at).unwrap(), 1, RData::TXT(TXT::new(vec!["t".to_owned()])));
    assert!(Zone::new(apex.clone(), [text("a.corp.local")]).is_ok());
    assert!(matches!(Zone::new(apex.clone(), [text("a.corp.other")]), Err(Error::Outside(..))));
    let pointer = RData::PTR(PTR(apex.clone()));
    let pointer = Record::from_rdata(apex.clone(), 1, pointer);
    assert_eq!(Zone::new(apex.clone(), [pointer]), Err(Error::Type(RecordType::PTR)));
    let many = (0..=RECORDS_MAX).map(|_| text("a.corp.local"));
    assert_eq!(Zone::new(apex, many), Err(Error::TooMany));
    for text in ["10.0.0.0/33", "10.0.0/8", "", "10.0.0.0/"] {
        assert!(text.parse::<Block>().is_err(), "{text}");
    }
    let all: Block = "0.0.0.0/0".parse().unwrap();
    assert!(all.contains([1, 2, 3, 4].into()));
}

proptest::proptest! {
    #[test]
    fn each_address_of_the_vpc_comes_back(last: u16) {
        let address = Ipv4Addr::from_bits(u32::from_be_bytes([10, 0, 0, 0]) + u32::from(last));
        let view = view(Vec::new());
        let back = Name::from(address);
        let answer = view.answer(&back, RecordType::PTR).unwrap();
        let RData::PTR(PTR(named)) = &answer.records[0].data else { panic!("{answer:?}") };
        let answer = view.answer(named, RecordType::A).unwrap();
        proptest::prop_assert_eq!(&answer.records[0].data, &RData::A(A(address)));
    }

    #[test]
    fn no_name_is_too_strange(labels in proptest::collection::vec(proptest::collection::vec(0u8.., 1..20), 0..8)) {
        if let Ok(mut strange) = Name::from_labels(labels.iter().map(Vec::as_slice)) {
            strange.set_fqdn(true);
            let _ = view(Vec::new()).answer(&strange, RecordType::PTR);
        }
    }
}
