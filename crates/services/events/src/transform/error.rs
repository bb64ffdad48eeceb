//! Why the input of a target is refused, in the words of PutTargets.

/// What is wrong with a target's input; each names the target's id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// More than one of the three.
    #[error("Only one of Input, InputPath, or InputTransformer must be provided for target {0}.")]
    Several(String),
    /// `Input` is no JSON, or too long.
    #[error("Input for target {0} is not a valid JSON text.")]
    Input(String),
    /// `InputPath` is no path that EventBridge knows.
    #[error("InputPath for target {0} is invalid.")]
    InputPath(String),
    /// A path of `InputPathsMap` is none, or a name may not be one, or there are too many.
    #[error("InputPathsMap for target {target} is invalid: {name}.")]
    Variable {
        /// The target's id.
        target: String,
        /// The variable's name.
        name: String,
    },
    /// `InputTemplate` names a variable that there is not.
    #[error("InputTemplate for target {target} contains invalid placeholder {placeholder}.")]
    Placeholder {
        /// The target's id.
        target: String,
        /// The name.
        placeholder: String,
    },
    /// `InputTemplate` does not become JSON whatever its variables are.
    #[error(
        "Invalid InputTemplate for target {target} : [Source: (String)\"{template}\"; line: {line}, column: {column}]."
    )]
    Template {
        /// The target's id.
        target: String,
        /// The template with `null` for all its variables.
        template: String,
        /// Where it stops being JSON, from 1.
        line: usize,
        /// The byte of that line, from 1.
        column: usize,
    },
}
