//! One section of an AWS file: pure. All other bytes of the file stay as they are.

/// The line by which a section that was made here is known.
const MARK: &str = "# Made by `roadstead env --profile`, which writes it anew.";

/// `content` with `keys` in the section `header`; none when there is such a section that was not made here.
pub fn put(content: &[u8], header: &str, keys: &[(&str, &str)]) -> Option<Vec<u8>> {
    let lines: Vec<&[u8]> = content.split_inclusive(|&b| b == b'\n').collect();
    let Some(at) = lines.iter().position(|line| name_of(line).as_deref() == Some(header)) else {
        return Some(append(content, header, keys));
    };
    let length = lines[at + 1..].iter().take_while(|line| name_of(line).is_none()).count();
    let (own, behind) = (&lines[at + 1..=at + length], &lines[at + 1 + length..]);
    let mark = own.iter().position(|line| line.trim_ascii() == MARK.as_bytes())?;
    let mut out = lines[..=at].concat();
    for (n, line) in own.iter().enumerate() {
        if keys.iter().any(|(key, _)| key_of(line) == Some(key.as_bytes())) {
            continue;
        }
        out.extend_from_slice(line);
        if n == mark {
            end_line(&mut out);
            write_keys(&mut out, keys);
        }
    }
    out.extend(behind.concat());
    Some(out)
}

fn append(content: &[u8], header: &str, keys: &[(&str, &str)]) -> Vec<u8> {
    let mut out = content.to_vec();
    end_line(&mut out);
    if !out.is_empty() {
        out.push(b'\n');
    }
    out.extend_from_slice(format!("[{header}]\n{MARK}\n").as_bytes());
    write_keys(&mut out, keys);
    out
}

fn end_line(out: &mut Vec<u8>) {
    if out.last().is_some_and(|&last| last != b'\n') {
        out.push(b'\n');
    }
}

fn write_keys(out: &mut Vec<u8>, keys: &[(&str, &str)]) {
    for (key, value) in keys {
        out.extend_from_slice(format!("{key} = {value}\n").as_bytes());
    }
}

/// The name in a line that begins a section, its blanks and quotes as the AWS tools read them.
fn name_of(line: &[u8]) -> Option<String> {
    let line = line.strip_prefix(b"[")?;
    let end = line.iter().position(|&b| b == b']')?;
    let words = String::from_utf8_lossy(&line[..end]).replace(['"', '\''], " ");
    Some(words.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The key of a line that sets one; a line that is indented goes on with the one before it.
fn key_of(line: &[u8]) -> Option<&[u8]> {
    if line.first().is_none_or(|b| b" \t#;[".contains(b)) {
        return None;
    }
    let equals = line.iter().position(|&b| b == b'=')?;
    Some(line[..equals].trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: &[(&str, &str)] = &[("region", "r"), ("endpoint_url", "e")];

    fn made(content: &str) -> Option<String> {
        put(content.as_bytes(), "profile x", KEYS).map(|out| String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_section_is_added_behind_what_is_there() {
        let section = format!("[profile x]\n{MARK}\nregion = r\nendpoint_url = e\n");
        for (before, between) in [
            ("", ""),
            ("[default]\nregion = eu-west-1\n", "\n"),
            ("[default]\r\nregion=eu-west-1\r\n\r\n# end", "\n\n"),
            ("[profile xx]\n[profile]\n# [profile x]\n [profile x]\n", "\n"),
            ("no file of sections\0\n", "\n"),
        ] {
            let after = made(before).unwrap();
            assert_eq!(after, format!("{before}{between}{section}"));
            assert_eq!(made(&after).unwrap(), after, "once more changes nothing");
        }
        let bytes = b"\xff\xfe\n[caf\xe9]\n";
        assert!(put(bytes, "x", KEYS).unwrap().starts_with(bytes));
    }

    #[test]
    fn of_a_section_that_was_made_here_only_its_keys_change() {
        let before = format!(
            "[a]\nregion = keep\n[ profile  \"x\" ] # mine\n{MARK}\noutput = json\nregion=old\ns3 =\n  region = keep\nendpoint_url = old\n[b]\nregion = keep"
        );
        let after = format!(
            "[a]\nregion = keep\n[ profile  \"x\" ] # mine\n{MARK}\nregion = r\nendpoint_url = e\noutput = json\ns3 =\n  region = keep\n[b]\nregion = keep"
        );
        assert_eq!(made(&before).unwrap(), after);
    }

    #[test]
    fn a_section_of_somebody_else_is_left_alone() {
        for theirs in ["[profile x]\nregion = theirs\n", "[profile x]", "[profile 'x']\n\n[y]\n"] {
            assert_eq!(made(theirs), None, "{theirs}");
        }
        assert_eq!(made(&format!("[profile x]\n[y]\n{MARK}\n")), None);
    }
}
