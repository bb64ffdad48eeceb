//! Which service a request is for: by the service that it was signed for, and by what its head names.

use wire::protocol::{self, Incoming};
use wire::schema::Protocol;
use wire::sigv4::{Refusal, Signature};

use super::FrontDoor;
use crate::gate::Mounted;

/// Where a request goes, and how to answer it if it goes nowhere.
pub(super) struct Route<'a> {
    pub mounted: Option<&'a Mounted>,
    pub protocol: Protocol,
}

impl FrontDoor {
    /// Finds the service. Only the head is looked at, so this works before the body is there.
    pub(super) fn route(&self, request: &Incoming, signature: &Result<Signature, Refusal>) -> Route<'_> {
        let named = self.named(request);
        let mounted = match signature {
            // The head is more telling than the signature: a request that was signed for another service
            // is refused as that, by the service that it names.
            Ok(signature) => named.or_else(|| self.signed_for(&signature.service)),
            Err(_) => named,
        };
        let protocol = match mounted {
            Some(mounted) => protocol::pick(mounted.schema, request),
            None => protocol::spoken(
                request,
                signature.as_ref().map_or("", |signature| signature.service.as_str()),
            ),
        };
        Route { mounted, protocol }
    }

    /// The service that `X-Amz-Target` or the path of the CBOR protocol names.
    fn named(&self, request: &Incoming) -> Option<&Mounted> {
        let (prefix, _) = protocol::target(request)?;
        self.gate.find(|schema| schema.target_prefix == Some(prefix))
    }

    fn signed_for(&self, service: &str) -> Option<&Mounted> {
        self.gate.find(|schema| schema.signing_name == service)
    }
}
