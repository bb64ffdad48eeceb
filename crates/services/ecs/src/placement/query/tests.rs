//! Expressions: what they select, what is refused, and that no text makes the parser panic.

use imbl::OrdMap;
use proptest::prelude::*;
use wire::Timestamp;

use super::*;
use crate::{
    placement::tests::instance,
    rows::{Attribute, Resources},
};

/// An instance of type t2.small in us-east-1a, stack=prod, rank=9, with tasks of two groups.
fn holds(expression: &str) -> Result<bool, Error> {
    let mut row = instance("i", 1024, 1024);
    row.attributes = [
        ("ecs.instance-type", "t2.small"),
        ("ecs.availability-zone", "us-east-1a"),
        ("stack", "prod"),
        ("rank", "9"),
        ("long", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!"),
    ]
    .map(|(name, value)| Attribute { name: name.into(), value: Some(value.into()) })
    .into();
    row.attributes.push(Attribute { name: "bare".into(), value: None });
    row.version_info.agent_version = Some("1.68.2".to_owned());
    row.registered_at = Timestamp::parse_iso8601("2018-06-18T22:28:28Z").unwrap();
    let groups: OrdMap<String, i32> =
        [("service:web".to_owned(), 2), ("family:db".to_owned(), 1)].into_iter().collect();
    let candidate =
        Candidate { row: &row, used: &Resources::default(), groups: &groups, running: 3, slot: 0 };
    Ok(parse(expression)?.holds(&candidate))
}

#[test]
fn expressions_select_as_documented() {
    for (expression, expected) in [
        ("attribute:ecs.instance-type == t2.small", true),
        ("attribute:ecs.instance-type equals t2.small", true),
        ("attribute:ecs.instance-type==t2.small", true),
        ("attribute:stack != prod", false),
        ("attribute:stack not_equals dev", true),
        // An attribute that is not there is neither equal nor unequal.
        ("attribute:missing != prod", false),
        ("attribute:missing not_in [a, b]", false),
        ("attribute:missing !~ a.*", false),
        ("!(attribute:missing == prod)", true),
        ("attribute:missing exists", false),
        ("attribute:missing !exists", true),
        ("attribute:missing not_exists", true),
        ("attribute:bare exists", true),
        ("attribute:bare == \"\"", true),
        ("attribute:ecs.instance-type in [t2.small, t2.medium]", true),
        ("attribute:ecs.instance-type in [t2.medium,t3.medium]", false),
        ("attribute:ecs.instance-type !in [t2.medium]", true),
        ("attribute:ecs.instance-type =~ t2.* and attribute:ecs.availability-zone == us-east-1a", true),
        ("attribute:ecs.instance-type =~ t2", false),
        ("attribute:ecs.instance-type =~ (t2|t3)\\..*", true),
        ("attribute:ecs.instance-type matches \"t[0-9].*\"", true),
        ("attribute:ecs.instance-type !~ g2.*", true),
        // The guide's own, and more of Java's dialect.
        ("attribute:stack =~ (?!dev).*", true),
        ("attribute:stack =~ (?!prod).*", false),
        ("attribute:stack !~ (?!dev).*", false),
        ("not(attribute:stack =~ (?!dev).*) or attribute:rank == 9", true),
        ("(attribute:stack =~ [(p)]rod) && attribute:rank =~ \\d++", true),
        ("attribute:stack =~ \"[a-z&&[^x]]+\"", true),
        ("attribute:stack =~ \\Qprod\\E", true),
        // What takes too long is neither a match nor none.
        ("attribute:long =~ (?:(?=a)(a+))+b", false),
        ("attribute:long !~ (?:(?=a)(a+))+b", false),
        ("attribute:rank > 10", false),
        ("attribute:rank >= 9.0", true),
        ("attribute:rank == 9.0", false),
        ("attribute:stack > o", true),
        ("agentConnected == true", true),
        ("agentConnected != false", true),
        ("agentVersion >= 1.9.0", true),
        ("agentVersion < 1.68.10", true),
        ("agentVersion == 1.68.2", true),
        ("registeredAt >= 2018-06-18", true),
        ("registeredAt == 2018-06-18T22:28:28+00:00", true),
        ("registeredAt < 2018-06-18T22:28:28", false),
        ("runningTasksCount > 2", true),
        ("runningTasksCount less_than_equal 2", false),
        ("task:group == service:web", true),
        ("task:group == service:other", false),
        ("task:group != service:other", true),
        ("task:group != service:web", false),
        ("not(task:group == database)", true),
        ("task:group in [family:db, x]", true),
        ("task:group =~ service:.*", true),
        ("ec2InstanceId == i-0", false),
        ("ec2InstanceId == i-0123456789abcdef0", true),
        ("ec2InstanceId in [i-1, i-0123456789abcdef0]", true),
        ("attribute:stack == dev or attribute:stack == prod", true),
        ("attribute:stack == dev||attribute:stack == prod&&attribute:rank == 1", false),
        ("(attribute:stack == dev || attribute:stack == prod) && !(attribute:rank == 1)", true),
        ("not attribute:stack == dev AND NOT attribute:rank == 1", true),
        ("!!(attribute:stack == prod)", true),
    ] {
        assert_eq!(holds(expression), Ok(expected), "{expression}");
    }
}

#[test]
fn what_cannot_be_read_is_refused_with_its_place() {
    let deep = "(".repeat(100);
    let long = "x".repeat(3000);
    let wide = vec!["attribute:a exists"; 99].join("||") + &"||attribute:a in [1,2]".repeat(40);
    let heavy = "attribute:a =~ (\\pL{100}){100}";
    for (expression, what) in [
        ("", "unknown subject at position 0"),
        ("colour == red", "unknown subject at position 0"),
        ("attribute: == red", "unknown subject at position 0"),
        ("attribute:a", "unknown operator at position 11"),
        ("attribute:a is red", "unknown operator at position 12"),
        ("attribute:a ==", "expected an argument at position 14"),
        ("attribute:a == red blue", "unexpected text at position 19"),
        ("attribute:a in red", "expected [ at position 15"),
        ("attribute:a in [red", "expected , or ] at position 19"),
        ("attribute:a in []", "expected an argument at position 16"),
        ("(attribute:a == red", "expected ) at position 19"),
        ("attribute:a == \"red", "an open quotation at position 15"),
        (
            "attribute:a =~ [",
            "the regular expression '[' cannot be used (a class is not closed) at position 15",
        ),
        (
            "attribute:a =~ (?U)y",
            "the regular expression '(?U)y' cannot be used ('(?U' is not supported; flags are i and s) at position 15",
        ),
        ("agentVersion =~ 1.*", "an operator that this subject does not take at position 13"),
        ("agentConnected > 1", "an operator that this subject does not take at position 15"),
        ("agentVersion == new", "an argument that this subject does not take at position 16"),
        ("registeredAt > soon", "an argument that this subject does not take at position 15"),
        ("runningTasksCount == -1", "an argument that this subject does not take at position 21"),
        (&deep, "too deep nesting at position 32"),
        (&long, "it is longer than 2000 characters"),
        (&wide, "it is longer than 2000 characters"),
        (
            heavy,
            "the regular expression '(\\pL{100}){100}' cannot be used (it is not supported, or too large) at position 15",
        ),
    ] {
        let refused = holds(expression).expect_err(expression);
        assert_eq!(refused.to_string(), format!("Invalid expression: {what}"), "{expression}");
    }
    let error = wire::Error::from(holds("x").unwrap_err());
    assert_eq!(error.code(), "InvalidParameterException");
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in ".{0,200}") {
        let _ = holds(&text);
    }

    /// Texts that look like expressions reach deeper.
    #[test]
    fn no_mixture_of_words_makes_it_panic(words in prop::collection::vec(prop::sample::select(vec![
        "attribute:a", "task:group", "agentVersion", "==", "!=", "in", "!in", "=~", ">", "exists", "!exists",
        "and", "or", "not", "!", "(", ")", "[", "]", ",", "a", "1.2", "\"", "'", "é", "||", "&&", "(?", "x.*",
    ]), 0..30), space in prop::sample::select(vec!["", " "])) {
        let _ = holds(&words.join(space));
    }
}
