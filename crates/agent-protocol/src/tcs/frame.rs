//! A frame from agent to control plane: HTTP-like header lines (a SigV4 signature of the session URL with the
//! body's hash), an empty line, then the envelope.

/// A frame taken apart; it borrows from the frame's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Name and value of each header line, in order; names as sent.
    pub headers: Vec<(&'a str, &'a str)>,
    /// The JSON envelope.
    pub body: &'a str,
}

/// A header block that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// No empty line after the headers.
    #[error("the frame's headers do not end")]
    NoEnd,
    /// A line without a colon, or more than fits the limits (16 KiB, 32 lines).
    #[error("the frame's headers cannot be read")]
    BadHeader,
}

const MAX_HEADER_BYTES: usize = 16 * 1024;
const MAX_HEADERS: usize = 32;

impl<'a> Frame<'a> {
    /// Takes a frame apart. A frame that begins with `{` has no headers.
    pub fn parse(text: &'a str) -> Result<Self, FrameError> {
        if text.starts_with('{') {
            return Ok(Self { headers: Vec::new(), body: text });
        }
        let mut headers = Vec::new();
        let mut rest = text;
        loop {
            let (line, after) = rest.split_once('\n').ok_or(FrameError::NoEnd)?;
            rest = after;
            let line = line.strip_suffix('\r').unwrap_or(line);
            if line.is_empty() {
                return Ok(Self { headers, body: rest });
            }
            let (name, value) = line.split_once(':').ok_or(FrameError::BadHeader)?;
            headers.push((name.trim(), value.trim()));
            if headers.len() > MAX_HEADERS || text.len() - rest.len() > MAX_HEADER_BYTES {
                return Err(FrameError::BadHeader);
            }
        }
    }

    /// The value of a header, by its name in any case.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }

    /// Puts a frame together.
    pub fn write(&self) -> String {
        let mut text = String::with_capacity(self.body.len() + 512);
        for (name, value) in &self.headers {
            text.push_str(name);
            text.push_str(": ");
            text.push_str(value);
            text.push_str("\r\n");
        }
        text.push_str("\r\n");
        text.push_str(self.body);
        text
    }
}
