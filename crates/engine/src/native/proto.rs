//! What the engine and a supervisor say to each other: one JSON value a line, over a unix socket.
//!
//! A request carries a number and gets one reply with it. Events come by themselves. Nothing here is
//! kept: what must last is in the task's folder before it is said.

use serde::{Deserialize, Serialize};

use crate::spec::OutputPolicy;
use crate::state::{Exit, Started};

/// Longest line either side reads, in bytes.
pub(crate) const LINE_BYTES_MAX: usize = 1 << 20;

/// Most output of an exec that is kept, in bytes (as hex it must fit a line).
pub(crate) const EXEC_OUTPUT_BYTES_MAX: usize = 256 << 10;

/// From the engine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) id: u64,
    pub(crate) op: Op,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Op {
    /// Runs a container from its plan. Answers [`Answer::Started`].
    Start { name: String, io: Io },
    /// Sends `signal` now and kills after `timeout_ms`. Answers [`Answer::Done`] at once.
    Stop { name: String, signal: i32, timeout_ms: u64 },
    /// Runs a command in a running container. Answers [`Answer::Exec`] at its end.
    Exec { name: String, command: Vec<String>, timeout_ms: u64, max_output_bytes: usize },
    /// Announce output written beyond `cursor`. Answers [`Answer::Done`].
    Watch { name: String, cursor: u64 },
    /// Output up to `cursor` may go. Answers [`Answer::Done`].
    Release { name: String, cursor: u64 },
    /// Answers [`Answer::Done`] once no start is under way: one may be, that an engine asked for which died.
    Settle,
    /// Kill every container, record their ends, and leave. Answers [`Answer::Done`] when all ended.
    Shutdown,
}

/// What the supervisor must know of a container's streams.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Io {
    pub(crate) terminal: bool,
    pub(crate) interactive: bool,
    pub(crate) output: OutputPolicy,
}

/// From the supervisor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Message {
    /// The first line: the supervisor listens now.
    Hello {
        pid: i32,
    },
    Reply {
        id: u64,
        answer: Result<Answer, String>,
    },
    /// A container ended; its state is on disk and its output is whole.
    Exited {
        name: String,
        exit: Exit,
    },
    /// A watched container wrote; said once for each watch.
    Output {
        name: String,
    },
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    Done,
    Started(Started),
    /// `code` is `None` when the time-out ended it. `output` is hexadecimal.
    Exec {
        code: Option<i32>,
        output: String,
    },
}

/// A value as a line.
pub(crate) fn line<T: Serialize>(value: &T) -> Vec<u8> {
    let mut line = serde_json::to_vec(value).unwrap_or_default();
    line.push(b'\n');
    line
}

/// What a runner, or the container's first process before its exec, tells the supervisor: one message
/// a packet. End of file with [`Progress::Pid`] said and no [`Progress::Failed`] means that the
/// command runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Progress {
    /// The container's first process, in the host's PID namespace. With a terminal, its master is
    /// attached.
    Pid(i32),
    /// Something went wrong. If nothing else comes, this is why.
    Note(String),
    Failed(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_one_line() {
        let request = Request {
            id: 1,
            op: Op::Exec {
                name: "a".into(),
                command: vec!["x\ny".into()],
                timeout_ms: 1,
                max_output_bytes: 2,
            },
        };
        let line = line(&request);
        assert_eq!(line.iter().filter(|b| **b == b'\n').count(), 1);
        assert_eq!(serde_json::from_slice::<Request>(&line).unwrap(), request);
    }
}
