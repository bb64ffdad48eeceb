//! The headers that AWS's protocols and signatures look at, by names that are read and hashed once: every request asks
//! for most of them.

use http::HeaderName;

/// Which operation a request is for, in the JSON protocols.
pub const TARGET: HeaderName = HeaderName::from_static("x-amz-target");
/// When a request was signed.
pub const DATE: HeaderName = HeaderName::from_static("x-amz-date");
/// The session token of temporary credentials.
pub const SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
/// The hash of a request's body.
pub const CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");
/// Says that a request is in the CBOR protocol.
pub const SMITHY_PROTOCOL: HeaderName = HeaderName::from_static("smithy-protocol");
/// The id of a request, in its reply.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
