//! One operation of a service: what goes in and out, and how HTTP names it.

use super::{ErrorShape, Member, Shape};

/// One operation of a service.
#[derive(Debug)]
pub struct Operation {
    /// Its name, such as `RunTask`.
    pub name: &'static str,
    /// Whether its shapes are generated; of an untyped operation only the name is known, and how it is called.
    pub typed: bool,
    /// The input structure; `None` takes no member.
    pub input: Option<&'static Shape>,
    /// The output structure; `None` gives no member.
    pub output: Option<&'static Shape>,
    /// The element around the output in the query protocol.
    pub result_wrapper: Option<&'static str>,
    /// HTTP method; empty for one that no request can be told to mean.
    pub method: &'static str,
    /// HTTP path, with labels and parameters in the REST protocols: `/{Bucket}/{Key+}?acl`.
    pub uri: &'static str,
    /// What else must be in a request that could mean several operations: `?parameter`s and headers.
    pub needs: &'static [&'static str],
    /// The HTTP status of its replies.
    pub status: u16,
    /// What SDKs may put before the host's name, with labels: `data-`.
    pub host_prefix: Option<&'static str>,
    /// Whether its input or output is a stream of events, which is not built.
    pub event_stream: bool,
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
            needs: &[],
            status: 200,
            host_prefix: None,
            event_stream: false,
            errors: &[],
        }
    }

    /// An operation whose shapes are generated.
    pub const fn typed(name: &'static str) -> Self {
        Self { typed: true, ..Self::untyped(name) }
    }

    /// Gives it an input.
    pub const fn input(self, shape: &'static Shape) -> Self {
        Self { input: Some(shape), ..self }
    }

    /// Gives it an output.
    pub const fn output(self, shape: &'static Shape) -> Self {
        Self { output: Some(shape), ..self }
    }

    /// Names the element around the output.
    pub const fn wrapped(self, wrapper: &'static str) -> Self {
        Self { result_wrapper: Some(wrapper), ..self }
    }

    /// Gives it another method and path than `POST /`.
    pub const fn at(self, method: &'static str, uri: &'static str) -> Self {
        Self { method, uri, ..self }
    }

    /// Says what tells it from others with the same method and path.
    pub const fn needs(self, needs: &'static [&'static str]) -> Self {
        Self { needs, ..self }
    }

    /// Gives it another status than 200.
    pub const fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// Gives it a host prefix.
    pub const fn host_prefix(self, prefix: &'static str) -> Self {
        Self { host_prefix: Some(prefix), ..self }
    }

    /// Marks it a stream of events.
    pub const fn event_stream(self) -> Self {
        Self { event_stream: true, ..self }
    }

    /// Lists its errors.
    pub const fn errors(self, errors: &'static [&'static ErrorShape]) -> Self {
        Self { errors, ..self }
    }

    /// The top-level members of the input.
    pub fn input_members(&self) -> &'static [Member] {
        self.input.map_or(&[], Shape::members)
    }

    /// The top-level members of the output.
    pub fn output_members(&self) -> &'static [Member] {
        self.output.map_or(&[], Shape::members)
    }
}
