//! The service models as tables: names, types, constraints, and what each protocol needs to know. The
//! generated statics are built from these types; validation and protocols read them. Holds no AWS prose.

use std::sync::OnceLock;

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
    /// A JSON service that also names its errors by the query protocol's codes.
    pub query_compatible: bool,
    /// Every protocol that the model lists.
    pub protocols: &'static [Protocol],
    /// Every operation of the model, sorted by name.
    pub operations: &'static [Operation],
    /// Every error of the model, sorted by name.
    pub errors: &'static [&'static ErrorShape],
}

impl Service {
    /// The operation of exactly that name.
    pub fn operation(&self, name: &str) -> Option<&Operation> {
        let at = self.operations.binary_search_by(|operation| operation.name.cmp(name)).ok()?;
        self.operations.get(at)
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

/// One operation of a service.
#[derive(Debug)]
pub struct Operation {
    /// Its name, such as `RunTask`.
    pub name: &'static str,
    /// Whether its shapes are generated; of an untyped operation only the name is known.
    pub typed: bool,
    /// The input structure; `None` takes no member.
    pub input: Option<&'static Shape>,
    /// The output structure; `None` gives no member.
    pub output: Option<&'static Shape>,
    /// The element around the output in the query protocol.
    pub result_wrapper: Option<&'static str>,
    /// HTTP method.
    pub method: &'static str,
    /// HTTP path, with labels in the REST protocols.
    pub uri: &'static str,
    /// The errors that the model lists for it.
    pub errors: &'static [&'static ErrorShape],
}

impl Operation {
    /// An operation of which only the name is known.
    pub const fn untyped(name: &'static str) -> Self {
        Self {
            name,
            typed: false,
            input: None,
            output: None,
            result_wrapper: None,
            method: "POST",
            uri: "/",
            errors: &[],
        }
    }

    /// The top-level members of the input.
    pub fn input_members(&self) -> &'static [Member] {
        self.input.map_or(&[], Shape::members)
    }
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
    Timestamp(TimestampFormat),
    Blob {
        min: Option<i64>,
        max: Option<i64>,
    },
    /// Any JSON.
    Document,
}

/// How a timestamp is written in a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampFormat {
    /// A number of seconds.
    EpochSeconds,
    /// `2026-11-23T10:00:00Z`.
    Iso8601,
    /// `Mon, 23 Nov 2026 10:00:00 GMT`.
    HttpDate,
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
    /// An attribute of the XML element around it.
    pub attribute: bool,
    /// A list or map without an element around its entries.
    pub flattened: bool,
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
            attribute: false,
            flattened: false,
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

    /// Makes it an XML attribute.
    pub const fn attribute(self) -> Self {
        Self { attribute: true, ..self }
    }

    /// Flattens it.
    pub const fn flattened(self) -> Self {
        Self { flattened: true, ..self }
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
}

/// A regular expression of a model, compiled when first used. It has to match the whole text.
#[derive(Debug)]
pub struct Pattern {
    source: &'static str,
    compiled: OnceLock<Option<regex::Regex>>,
}

impl Pattern {
    /// The pattern as the model writes it.
    pub const fn new(source: &'static str) -> Self {
        Self { source, compiled: OnceLock::new() }
    }

    /// The pattern as the model writes it.
    pub const fn source(&self) -> &'static str {
        self.source
    }

    /// Whether the whole text matches. A pattern that this engine cannot read matches all (a test shows
    /// that there is none in the generated tables).
    pub fn matches(&self, text: &str) -> bool {
        self.compiled().is_none_or(|regex| regex.is_match(text))
    }

    /// Whether the pattern can be read at all.
    pub fn is_readable(&self) -> bool {
        self.compiled().is_some()
    }

    fn compiled(&self) -> Option<&regex::Regex> {
        self.compiled
            .get_or_init(|| regex::Regex::new(&format!("^(?:{})$", rust_syntax(self.source))).ok())
            .as_ref()
    }
}

/// The models write `\uXXXX`, this engine `\u{XXXX}`; the models' class `[\w-_]` ends in a plain hyphen.
fn rust_syntax(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find("\\u") {
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        match after.get(2..6).filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit())) {
            Some(hex) => {
                out.push_str(&format!("\\u{{{hex}}}"));
                rest = &after[6..];
            }
            None => {
                out.push_str("\\u");
                rest = &after[2..];
            }
        }
    }
    out.push_str(rest);
    out.replace("[\\w-_]", "[\\w\\-_]")
}
