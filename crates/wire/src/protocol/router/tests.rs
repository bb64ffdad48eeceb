//! Labels are taken out of a path as they were put in. Which operation a path names is in `tests/it/routes.rs`.

use super::*;

#[test]
fn labels_are_decoded_once() {
    static OPERATION: Operation = Operation::untyped("Do").at("GET", "/tags/{Arn}/{Rest+}?acl");
    for (path, expected) in [
        ("/tags/a%2Fb/c/d", [("Arn", "a/b"), ("Rest", "c/d")]),
        ("/tags/%2525/c/d/", [("Arn", "%25"), ("Rest", "c/d/")]),
        ("/tags/a+b/%C3%A9", [("Arn", "a+b"), ("Rest", "é")]),
        ("/tags/a", [("Arn", "a"), ("Rest", "")]),
        ("/", [("Arn", ""), ("Rest", "")]),
    ] {
        let found = labels(&OPERATION, path);
        let found: Vec<(&str, &str)> = found.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(found, expected, "{path}");
    }
}

#[test]
fn what_takes_everything_leaves_what_stands_behind_it() {
    static OPERATION: Operation = Operation::untyped("Do").at("GET", "/{Key+}/end");
    assert_eq!(labels(&OPERATION, "/a/b/end"), [("Key", "a/b".to_owned())]);
}
