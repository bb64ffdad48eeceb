//! What of a service's model is built. Every operation and every top-level input member is in exactly one
//! class: built, refused, or accepted without effect.

/// What of one service is built. An operation that is not listed is refused.
#[derive(Debug)]
pub struct Support {
    /// The operations that are carried out.
    pub built: &'static [Built],
}

/// One operation that is carried out. A top-level input member that is in neither list is built.
#[derive(Debug)]
pub struct Built {
    /// The operation's name.
    pub operation: &'static str,
    /// Input members that are refused by `UnsupportedFeatureException` (or the nearest error that the
    /// service's model has) when a client sends them.
    pub refused: &'static [&'static str],
    /// Input members that are taken and change nothing, each with the reason.
    pub no_effect: &'static [(&'static str, &'static str)],
}

impl Support {
    /// The entry of an operation; `None` when it is not built.
    pub fn of(&self, operation: &str) -> Option<&'static Built> {
        self.built.iter().find(|built| built.operation == operation)
    }
}

impl Built {
    /// An operation of which every member is built.
    pub const fn whole(operation: &'static str) -> Self {
        Self { operation, refused: &[], no_effect: &[] }
    }
}
