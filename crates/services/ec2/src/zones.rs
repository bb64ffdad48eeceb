//! Availability zones: three in each region, named after it.

/// The letters of the zones.
const LETTERS: [char; 3] = ['a', 'b', 'c'];

/// A zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    /// Such as `us-east-1a`.
    pub name: String,
    /// Such as `use1-az1`.
    pub id: String,
}

/// The zones of a region.
pub fn of(region: &str) -> Vec<Zone> {
    let short = short(region);
    let zone = |(at, letter): (usize, &char)| Zone {
        name: format!("{region}{letter}"),
        id: format!("{short}-az{}", at + 1),
    };
    LETTERS.iter().enumerate().map(zone).collect()
}

/// The identifier of a zone by its name; none of one that the region has not.
pub fn id(region: &str, name: &str) -> Option<String> {
    of(region).into_iter().find(|zone| zone.name == name).map(|zone| zone.id)
}

/// A region as identifiers of zones begin: `us-east-1` is `use1`, `ap-southeast-2` is `apse2`.
/// <https://docs.aws.amazon.com/global-infrastructure/latest/regions/az-ids.html>
fn short(region: &str) -> String {
    let word = |(at, word): (usize, &str)| match word {
        word if at == 0 || word.bytes().all(|byte| byte.is_ascii_digit()) => word.to_owned(),
        "northeast" => "ne".to_owned(),
        "northwest" => "nw".to_owned(),
        "southeast" => "se".to_owned(),
        "southwest" => "sw".to_owned(),
        word => word.chars().take(1).collect(),
    };
    region.split('-').enumerate().map(word).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn zones_are_named_after_their_region() {
        for (region, first) in [
            ("us-east-1", "use1-az1"),
            ("eu-west-1", "euw1-az1"),
            ("ap-southeast-2", "apse2-az1"),
            ("ap-northeast-3", "apne3-az1"),
            ("us-gov-west-1", "usgw1-az1"),
            ("ca-central-1", "cac1-az1"),
            ("cn-north-1", "cnn1-az1"),
            ("moon", "moon-az1"),
        ] {
            let zones = super::of(region);
            assert_eq!((zones.len(), zones[0].id.as_str()), (3, first), "{region}");
            assert_eq!(super::id(region, &zones[2].name).as_deref(), Some(zones[2].id.as_str()));
        }
        assert_eq!(super::id("us-east-1", "us-east-1d"), None);
    }
}
