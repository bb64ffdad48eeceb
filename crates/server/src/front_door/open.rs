//! Places where nobody signs. There are as few as can be: whoever can reach the listener can come here.

use std::net::IpAddr;

use async_trait::async_trait;
use bytes::Bytes;
use http::Response;

use super::ReplyBody;

/// A handler of POSTs to one path, of whomever. It has to bound by itself what it does for them.
#[async_trait]
pub trait OpenDoor: Send + Sync {
    /// Where it is; paths that are nobody's but ours begin with `/_roadstead/`.
    fn path(&self) -> &str;

    /// The longest body, in bytes.
    fn body_bytes(&self) -> usize;

    /// Answers.
    async fn answer(&self, knock: Knock) -> Response<ReplyBody>;
}

/// Who is there, as far as that is known.
pub struct Knock {
    /// The body, whole.
    pub body: Bytes,
    /// The client's address, or that of a proxy before us.
    pub from: IpAddr,
    /// It is TLS to us.
    pub tls: bool,
}
