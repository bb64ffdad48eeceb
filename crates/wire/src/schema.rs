//! The service models as tables: names, types, constraints, and what each protocol needs to know. The
//! generated statics are built from these types; validation and protocols read them. Holds no AWS prose.

mod operation;
mod pattern;

pub use operation::Operation;
pub use pattern::Pattern;

use crate::protocol::Index;

/// One AWS service.
#[derive(Debug)]
pub struct Service {
    /// Roadstead's name for it, botocore's directory: `ecs`, `logs`, `sts`.
    pub name: &'static str,
    /// The service name in a SigV4 credential scope.
    pub signing_name: &'static str,
    /// The model's service id, such as `CloudWatch Logs`.
    pub service_id: &'static str,
    /// The API version, also the `Version` of the query protocols.
    pub api_version: &'static str,
    /// What stands before the dot in `X-Amz-Target` (JSON protocols only).
    pub target_prefix: Option<&'static str>,
    /// The namespace of XML responses.
    pub xml_namespace: Option<&'static str>,
    /// An error in XML stands alone, without the element `ErrorResponse` around it (S3).
    pub bare_errors: bool,
    /// A JSON service that also names its errors by the query protocol's codes.
    pub query_compatible: bool,
    /// Every protocol that the model lists.
    pub protocols: &'static [Protocol],
    /// Every operation of the model, sorted by name.
    pub operations: &'static [Operation],
    /// Every error of the model, sorted by name.
    pub errors: &'static [&'static ErrorShape],
    /// What the protocols work out of these tables when they first need it.
    pub index: Index,
}

impl Service {
    /// The operation of exactly that name.
    pub fn operation(&self, name: &str) -> Option<&Operation> {
        let at = self.operations.binary_search_by(|operation| operation.name.cmp(name)).ok()?;
        self.operations.get(at)
    }

    /// The error with that code on the wire.
    pub fn error_of_code(&self, code: &str) -> Option<&'static ErrorShape> {
        self.errors.iter().copied().find(|error| error.code == code)
    }

    /// The error of that shape name.
    pub fn error(&self, name: &str) -> Option<&'static ErrorShape> {
        self.errors.iter().copied().find(|error| error.name == name)
    }
}

/// A wire protocol of the AWS models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// `application/x-amz-json-1.0`.
    Json10,
    /// `application/x-amz-json-1.1`.
    Json11,
    /// Form in, XML out.
    Query,
    /// EC2's dialect of the query protocol.
    Ec2Query,
    /// JSON bound to paths, queries and headers.
    RestJson,
    /// XML bound to paths, queries and headers.
    RestXml,
    /// Smithy RPC v2 with CBOR bodies.
    Cbor,
}

/// One error of a service.
#[derive(Debug)]
pub struct ErrorShape {
    /// The shape's name.
    pub name: &'static str,
    /// The code on the wire; differs from the name in some query services.
    pub code: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// Its structure.
    pub shape: &'static Shape,
}

/// One shape of a model.
#[derive(Debug)]
pub struct Shape {
    /// Its name.
    pub name: &'static str,
    /// Its type and constraints.
    pub kind: Kind,
}

impl Shape {
    /// The members of a structure; empty for any other shape.
    pub fn members(&self) -> &'static [Member] {
        match self.kind {
            Kind::Structure { members, .. } => members,
            _ => &[],
        }
    }

    /// The member of a structure with that name.
    pub fn member(&self, name: &str) -> Option<&'static Member> {
        self.members().iter().find(|member| member.name == name)
    }
}

/// Type and constraints of a shape. `min` and `max` bound a length, or a number's value; both inclusive.
#[derive(Debug)]
#[allow(missing_docs)]
pub enum Kind {
    /// `union`: exactly one member is set.
    Structure {
        union: bool,
        members: &'static [Member],
    },
    List {
        member: &'static Member,
        flattened: bool,
        min: Option<i64>,
        max: Option<i64>,
    },
    Map {
        key: &'static Member,
        value: &'static Member,
        flattened: bool,
        min: Option<i64>,
        max: Option<i64>,
    },
    /// `values` is empty unless the shape is an enum.
    String {
        min: Option<i64>,
        max: Option<i64>,
        pattern: Option<&'static Pattern>,
        values: &'static [&'static str],
    },
    /// 32 bits.
    Integer {
        min: Option<i64>,
        max: Option<i64>,
    },
    /// 64 bits.
    Long {
        min: Option<i64>,
        max: Option<i64>,
    },
    Double {
        min: Option<f64>,
        max: Option<f64>,
    },
    Boolean,
    /// The format, where the shape has one of its own and not that of the protocol and place.
    Timestamp(Option<TimestampFormat>),
    Blob {
        min: Option<i64>,
        max: Option<i64>,
    },
    /// Any JSON.
    Document,
}

/// How a timestamp is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampFormat {
    /// A number of seconds.
    EpochSeconds,
    /// `2026-11-23T10:00:00Z`.
    Iso8601,
    /// `Mon, 23 Nov 2026 10:00:00 GMT`.
    HttpDate,
}

/// Where in a request or reply a member stands. Only the REST protocols look at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the body, beside others.
    Body,
    /// It is the whole body.
    Payload,
    /// A label of the path.
    Label,
    /// A parameter of the URL's query; a map is all parameters that have no other place.
    Query,
    /// A header.
    Header,
    /// All headers that begin with the member's wire name, as a map of what follows.
    Headers,
    /// The status of the reply.
    Status,
}

/// One member of a structure, or the inside of a list or map.
#[derive(Debug)]
pub struct Member {
    /// Its name.
    pub name: &'static str,
    /// Its shape.
    pub shape: &'static Shape,
    /// Whether it must be there.
    pub required: bool,
    /// Its name on the wire, where that differs.
    pub location: Option<&'static str>,
    /// Its name in a request of ec2Query, where that is yet another one.
    pub query_name: Option<&'static str>,
    /// Where it stands.
    pub place: Place,
    /// JSON inside of a header, in base64.
    pub json_value: bool,
    /// An attribute of the XML element around it.
    pub attribute: bool,
    /// A list or map without an element around its entries.
    pub flattened: bool,
    /// Prefix and URI of a namespace that its XML element declares.
    pub namespace: Option<(&'static str, &'static str)>,
    /// The client fills it with a random token.
    pub idempotency_token: bool,
}

impl Member {
    /// A plain optional member.
    pub const fn new(name: &'static str, shape: &'static Shape) -> Self {
        Self {
            name,
            shape,
            required: false,
            location: None,
            query_name: None,
            place: Place::Body,
            json_value: false,
            attribute: false,
            flattened: false,
            namespace: None,
            idempotency_token: false,
        }
    }

    /// Marks it required.
    pub const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    /// Gives it another name on the wire.
    pub const fn located(self, location: &'static str) -> Self {
        Self { location: Some(location), ..self }
    }

    /// Gives it another name in requests of ec2Query.
    pub const fn queried(self, name: &'static str) -> Self {
        Self { query_name: Some(name), ..self }
    }

    /// Puts it somewhere else than into the body.
    pub const fn at(self, place: Place) -> Self {
        Self { place, ..self }
    }

    /// Makes it JSON in base64, if it is in a header.
    pub const fn json_value(self) -> Self {
        Self { json_value: true, ..self }
    }

    /// Makes it an XML attribute.
    pub const fn attribute(self) -> Self {
        Self { attribute: true, ..self }
    }

    /// Flattens it.
    pub const fn flattened(self) -> Self {
        Self { flattened: true, ..self }
    }

    /// Has its XML element declare a namespace.
    pub const fn namespaced(self, prefix: &'static str, uri: &'static str) -> Self {
        Self { namespace: Some((prefix, uri)), ..self }
    }

    /// Marks it an idempotency token.
    pub const fn idempotency_token(self) -> Self {
        Self { idempotency_token: true, ..self }
    }

    /// The name that is on the wire.
    pub const fn wire_name(&self) -> &'static str {
        match self.location {
            Some(location) => location,
            None => self.name,
        }
    }

    /// Whether its entries stand without an element, or a step of the name, around them.
    pub fn is_flat(&self) -> bool {
        match &self.shape.kind {
            Kind::List { flattened, .. } | Kind::Map { flattened, .. } => self.flattened || *flattened,
            _ => false,
        }
    }

    /// The name of its elements in XML and of its parameters in awsQuery: the entries of a flat list go by the
    /// inner name where the model gives one.
    pub fn element_name(&self) -> &'static str {
        match &self.shape.kind {
            Kind::List { member, .. } if self.is_flat() => member.location.unwrap_or(self.wire_name()),
            _ => self.wire_name(),
        }
    }
}
