//! What a caller may not do, in IAM's words and in the form of each protocol.

use crate::{Error, schema::Protocol};

/// A call that its caller has no right to: nothing that is the caller's own allows it.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html>
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// The caller's ARN.
    pub who: String,
    /// `<service>:<action>`.
    pub action: String,
    /// The ARN of what it would be done to; `*` where the action has no resource of its own.
    pub resource: String,
}

impl Denied {
    /// The error, as a client of this protocol expects it.
    pub fn into_error(self, protocol: Protocol) -> Error {
        let Denied { who, action, resource } = self;
        // EC2 has a sentence of its own before all else, and says nothing of a resource where there is none.
        let (before, on) = match protocol {
            Protocol::Ec2Query if resource == "*" => (EC2, String::new()),
            Protocol::Ec2Query => (EC2, format!(" on resource: {resource}")),
            _ => ("", format!(" on resource: {resource}")),
        };
        let text = format!(
            "{before}User: {who} is not authorized to perform: {action}{on} because no identity-based policy allows the \
             {action} action"
        );
        match protocol {
            Protocol::Json10 | Protocol::Json11 | Protocol::Cbor => {
                Error::new("AccessDeniedException", 400, text)
            }
            Protocol::RestJson => Error::new("AccessDeniedException", 403, text),
            Protocol::Query | Protocol::RestXml => Error::new("AccessDenied", 403, text),
            Protocol::Ec2Query => Error::new("UnauthorizedOperation", 403, text),
        }
    }
}

const EC2: &str = "You are not authorized to perform this operation. ";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::codec;

    fn denied(resource: &str) -> Denied {
        let of = str::to_owned;
        Denied { who: of("arn:aws:iam::1:user/u"), action: of("svc:Act"), resource: of(resource) }
    }

    #[test]
    fn each_protocol_has_its_code_status_and_form() {
        const SAID: &str = "User: arn:aws:iam::1:user/u is not authorized to perform: svc:Act on resource: arn:r because no \
                            identity-based policy allows the svc:Act action";
        let json = format!(r#""message":"{SAID}""#);
        let error = |code: &str| {
            format!("<Error><Type>Sender</Type><Code>{code}</Code><Message>{SAID}</Message></Error>")
        };
        for (protocol, code, status, body) in [
            (Protocol::Json10, "AccessDeniedException", 400, json.clone()),
            (Protocol::Json11, "AccessDeniedException", 400, json.clone()),
            (Protocol::Cbor, "AccessDeniedException", 400, "AccessDeniedException".to_owned()),
            (Protocol::RestJson, "AccessDeniedException", 403, json),
            (Protocol::Query, "AccessDenied", 403, error("AccessDenied")),
            (Protocol::RestXml, "AccessDenied", 403, "<Code>AccessDenied</Code>".to_owned()),
            (
                Protocol::Ec2Query,
                "UnauthorizedOperation",
                403,
                format!("<Error><Code>UnauthorizedOperation</Code><Message>{EC2}{SAID}</Message></Error>"),
            ),
        ] {
            let told = denied("arn:r").into_error(protocol);
            assert_eq!((told.code(), told.status()), (code, status), "{protocol:?}");
            let reply = codec(protocol).error(None, &told, "r");
            let sent = String::from_utf8_lossy(&reply.body).into_owned();
            assert!(reply.status == status && sent.contains(&body), "{protocol:?}: {sent}");
        }
    }

    #[test]
    fn ec2_alone_says_nothing_of_what_has_no_resource() {
        for (protocol, on) in [(Protocol::Json11, " on resource: *"), (Protocol::Ec2Query, "")] {
            let told = denied("*").into_error(protocol);
            let said = format!("svc:Act{on} because no identity-based policy allows the svc:Act action");
            assert!(told.message().ends_with(&said), "{told}");
        }
    }
}
