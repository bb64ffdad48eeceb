//! Numbers, as patterns compare them: by value, however they are written.

/// Numeric comparison works between minus and plus this, inclusive:
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html>.
pub(super) const COMPARABLE_MAX: f64 = 5e9;

/// A number with a total order. `5`, `5.0` and `5e0` are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Number {
    /// Within the range of numeric comparison; see [`ordered`].
    Comparable(u64),
    /// A whole number beyond it, such as an account's: it can be equal, and no more.
    Whole(i128),
    /// Any other.
    Other(u64),
}

impl Number {
    pub(super) fn unsigned(value: u64) -> Number {
        // Exact: the range is far below what a double counts in ones.
        if value <= COMPARABLE_MAX as u64 {
            Number::Comparable(ordered(value as f64))
        } else {
            Number::Whole(i128::from(value))
        }
    }

    pub(super) fn signed(value: i64) -> Number {
        if value.unsigned_abs() <= COMPARABLE_MAX as u64 {
            Number::Comparable(ordered(value as f64))
        } else {
            Number::Whole(i128::from(value))
        }
    }

    pub(super) fn double(value: f64) -> Number {
        if value.abs() <= COMPARABLE_MAX {
            Number::Comparable(ordered(value))
        } else if value.fract() == 0.0 && value.abs() < 1e38 {
            Number::Whole(value as i128)
        } else {
            Number::Other(ordered(value))
        }
    }

    /// The number of a JSON text; `None` where it is beyond a double.
    pub(super) fn parse(text: &str) -> Option<Number> {
        let number: serde_json::Number = serde_json::from_str(text).ok()?;
        if let Some(value) = number.as_u64() {
            Some(Number::unsigned(value))
        } else if let Some(value) = number.as_i64() {
            Some(Number::signed(value))
        } else {
            number.as_f64().map(Number::double)
        }
    }
}

/// A whole number that orders as the double does. Both zeros are one.
pub(super) fn ordered(value: f64) -> u64 {
    let bits = if value == 0.0 { 0 } else { value.to_bits() };
    if bits >> 63 == 0 { bits | 1 << 63 } else { !bits }
}
