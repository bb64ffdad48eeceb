//! How much of everything there may be. Where AWS has a quota that it raises for who asks, it is the raised one.
//! <https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html>

/// VPCs of an account and region. AWS: 5, and more for who asks.
pub const VPCS: usize = 100;
/// Subnets of a VPC.
pub const SUBNETS: usize = 200;
/// Security groups of an account and region.
pub const GROUPS: usize = 2500;
/// Rules of a security group in one direction. AWS: 60, and more for who asks, while that times the groups of an interface,
/// of which there are 5, is at most 1,000.
pub const RULES: usize = 200;
/// Internet gateways of an account and region: as many as VPCs.
pub const GATEWAYS: usize = VPCS;
/// Route tables of a VPC.
pub const TABLES: usize = 200;
/// Routes of a route table. AWS: fewer, and so many for who asks.
pub const ROUTES: usize = 1000;
/// Elastic IP addresses of an account and region. AWS: 5, and more for who asks.
pub const ADDRESSES: usize = 100;
/// NAT gateways of an account and region that are not deleted. AWS: 5 in a zone, and more for who asks.
pub const NATS: usize = 100;
/// NAT gateways that are deleted and still shown; beyond, those that were deleted first are forgotten before their time.
pub const NATS_SHOWN: usize = 1000;
/// Network interfaces of an account and region. AWS: 5,000, and more for who asks.
/// <https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html#vpc-limits-enis>
pub const INTERFACES: usize = 200_000;
/// Network ACLs of a VPC.
pub const ACLS: usize = 200;
/// Entries of a network ACL in one direction. AWS: 20, and up to 40 for who asks.
pub const ENTRIES: usize = 40;
/// Tags of one thing. <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html>
pub const TAGS: usize = 50;
/// Characters of a tag's key.
pub const TAG_KEY: usize = 128;
/// Characters of a tag's value.
pub const TAG_VALUE: usize = 256;
/// Things that one request may tag. <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateTags.html>
pub const TAGGED: usize = 1000;
/// Values of all filters of a request. <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html>
pub const FILTER_VALUES: usize = 200;

/// Characters of a security group's name, of its description, and of a rule's.
pub const TEXT: usize = 255;
/// What a page of a list holds if it is not said, and the most that it can hold.
pub const PAGE: i32 = 1000;
/// How long a NAT gateway is shown that is deleted.
/// <https://docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-working-with.html>
pub const NAT_SHOWN_MS: i64 = 3_600_000;
/// How long a client token is good for.
/// <https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html>
pub const TOKEN_KEPT_MS: i64 = 86_400_000;
/// Client tokens that are remembered; beyond, a request with a new one is refused.
pub const TOKENS: usize = 10_000;
/// Characters of a client token. Same page.
pub const TOKEN: usize = 64;

/// The shortest and the longest prefix of a VPC and of a subnet.
pub const PREFIXES: std::ops::RangeInclusive<u8> = 16..=28;
/// Addresses of a subnet that nothing can have: the first four and the last.
pub const RESERVED: u64 = 5;

/// How many addresses of the pool of 131,072 are tried, each by chance, before it is said that none is free.
pub const ADDRESSES_TRIED: usize = 256;
