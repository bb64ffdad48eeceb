//! Inputs: what targets get, as AWS was seen to answer and as its guide says, and what PutTargets refuses.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const EVENT: &str = r#"{"version":"0","id":"7bf73129","detail-type":"EC2 Instance State-change Notification",
 "source":"aws.ec2","account":"123456789012","time":"2015-11-11T21:29:54Z","region":"us-east-1",
 "resources":["arn:aws:ec2:us-east-1:123456789012:instance/i-abcd1111"],
 "detail":{"instance-id":"i-0123456789","state":"RUNNING","valid":true,"count":3,"nothing":null,"quote":"a \"b\" c\\",
  "payload":{"acc_id": "0a787ecb-4015", "sf_id": "baz"},"listsingle":["HIGH"],"listmulti":["ACTIVE", "INACTIVE"],
  "items":[{"id":1,"tags":{"a/b":"x"}},{"id":2},{"no":3}],"dotted.key":"d"}}"#;

const CONTEXT: Context<'static> = Context {
    rule_arn: "arn:aws:events:us-east-1:123456789012:rule/bus/r",
    rule_name: "r",
    ingestion_time: "2015-11-11T21:29:55Z",
};

fn paths() -> BTreeMap<String, String> {
    let paths = [
        ("instance", "$.detail.instance-id"),
        ("state", "$.detail.state"),
        ("valid", "$.detail.valid"),
        ("count", "$.detail.count"),
        ("nothing", "$.detail.nothing"),
        ("quote", "$.detail.quote"),
        ("payload", "$.detail.payload"),
        ("listsingle", "$.detail.listsingle"),
        ("listmulti", "$.detail.listmulti"),
        ("first", "$.resources[0]"),
        ("ids", "$.detail.items[*].id"),
        ("missing", "$.detail.notinmessage"),
    ];
    paths.into_iter().map(|(name, path)| (name.to_owned(), path.to_owned())).collect()
}

fn transformer(template: &str) -> Result<Input, Error> {
    let paths = paths();
    Input::new("t", Wanted { input_transformer: Some((&paths, template)), ..Wanted::default() })
}

fn filled(template: &str) -> String {
    transformer(template).unwrap_or_else(|error| panic!("{template}: {error}")).of(EVENT, &CONTEXT)
}

#[test]
fn templates_are_filled() {
    let table = [
        // Texts.
        (r#""instance <instance> is in <state>""#, r#""instance i-0123456789 is in RUNNING""#),
        (r#""<instance> is \"<state>\"""#, r#""i-0123456789 is \"RUNNING\"""#),
        (r#""{[/Check <state> type""#, r#""{[/Check RUNNING type""#),
        (r#""detail <missing>""#, r#""detail ""#),
        (r#""Command is <valid>!""#, r#""Command is true!""#),
        (
            r#""Payload of <payload>, <instance>""#,
            r#""Payload of {acc_id:0a787ecb-4015,sf_id:baz}, i-0123456789""#,
        ),
        (r#""<listsingle> and <listmulti>""#, r#""[HIGH] and [ACTIVE,INACTIVE]""#),
        ("\"<state> one\"\n\"<count> two\"", "\"RUNNING one\"\n\"3 two\""),
        (r#""<quote>""#, r#""a \"b\" c\\""#),
        (r#""a < b, <b, > c""#, r#""a < b, <b, > c""#),
        // JSON.
        (r#"{"instance": <instance>, "s": <state>}"#, r#"{"instance": "i-0123456789", "s": "RUNNING"}"#),
        (r#"{"instance": "<instance>"}"#, r#"{"instance": "i-0123456789"}"#),
        (r#"{"m": "users/<state>/second/<state>"}"#, r#"{"m": "users/RUNNING/second/RUNNING"}"#),
        (r#"{"b": [<state>, "x"], "c": <count>}"#, r#"{"b": ["RUNNING", "x"], "c": 3}"#),
        (r#"{"b": <payload>}"#, r#"{"b": {"acc_id":"0a787ecb-4015","sf_id":"baz"}}"#),
        (r#"{"b": <listsingle>, "v": <valid>}"#, r#"{"b": ["HIGH"], "v": true}"#),
        (r#"{"b": <missing>, "n": <nothing>}"#, r#"{"b": "", "n": null}"#),
        (
            r#"{"a": {"b": {"c": "x/<state>"}}, "f": <first>}"#,
            r#"{"a": {"b": {"c": "x/RUNNING"}}, "f": "arn:aws:ec2:us-east-1:123456789012:instance/i-abcd1111"}"#,
        ),
        (r#"{"ids": <ids>}"#, r#"{"ids": [1,2]}"#),
        ("<payload>", r#"{"acc_id":"0a787ecb-4015","sf_id":"baz"}"#),
        // Variables of AWS.
        (
            r#""<aws.events.rule-arn> <aws.events.rule-name> <aws.events.event.ingestion-time>""#,
            r#""arn:aws:events:us-east-1:123456789012:rule/bus/r r 2015-11-11T21:29:55Z""#,
        ),
        (r#"{"rule": <aws.events.rule-name>}"#, r#"{"rule": "r"}"#),
        (
            r#"{"e": <aws.events.event>}"#,
            r#"{"e": {"id":"7bf73129","account":"123456789012","detailType":"EC2 Instance State-change Notification","time":"2015-11-11T21:29:54Z","source":"aws.ec2","region":"us-east-1","resources":["arn:aws:ec2:us-east-1:123456789012:instance/i-abcd1111"],"version":"0"}}"#,
        ),
    ];
    for (template, wanted) in table {
        assert_eq!(filled(template), wanted, "{template}");
    }
    let whole = filled(r#"{"e": <aws.events.event.json>}"#);
    let whole: serde_json::Value = serde_json::from_str(&whole).expect("JSON");
    assert_eq!(whole["e"], serde_json::from_str::<serde_json::Value>(EVENT).expect("JSON"));
}

#[test]
fn parts_and_constants() {
    let input = |path| Input::new("t", Wanted { input_path: Some(path), ..Wanted::default() });
    let table = [
        ("$.detail.state", r#""RUNNING""#),
        ("$.detail.payload", r#"{"acc_id":"0a787ecb-4015","sf_id":"baz"}"#),
        ("$['detail']['state']", r#""RUNNING""#),
        ("$[\"detail\"].state", r#""RUNNING""#),
        ("$.detail['dotted.key']", r#""d""#),
        ("$.detail.items[1]", r#"{"id":2}"#),
        ("$.detail.items[0].tags.a/b", r#""x""#),
        ("$.detail.items[*].id", "[1,2]"),
        ("$.detail.payload.*", r#"["0a787ecb-4015","baz"]"#),
        ("$.detail.items[9]", "null"),
        ("$.detail.state.more", "null"),
        ("$.detail.nowhere[*]", "[]"),
    ];
    for (path, wanted) in table {
        assert_eq!(
            input(path).unwrap_or_else(|error| panic!("{error}")).of(EVENT, &CONTEXT),
            wanted,
            "{path}"
        );
    }
    assert_eq!(input("$").expect("a path").of(EVENT, &CONTEXT), compact(EVENT));
    for path in
        ["", "detail", "$.", "$..a", "$.a[", "$.a[x]", "$.a[-1]", "$.a[?(@.b)]", "$a", "$.a b", "$.a['b]"]
    {
        assert_eq!(input(path), Err(Error::InputPath("t".to_owned())), "{path}");
    }
    assert_eq!(input(&format!("$.{}", "a".repeat(255))), Err(Error::InputPath("t".to_owned())));
    let constant = Input::new("t", Wanted { input: Some(r#"{"a": 1}"#), ..Wanted::default() }).expect("JSON");
    assert_eq!(constant.of(EVENT, &CONTEXT), r#"{"a": 1}"#);
    assert_eq!(Input::default().of(EVENT, &CONTEXT), EVENT);
}

#[test]
fn refusals_are_those_of_put_targets() {
    let paths = paths();
    let said = |wanted: Wanted<'_>| Input::new("t-1", wanted).expect_err("refused").to_string();
    let template =
        |template| said(Wanted { input_transformer: Some((&paths, template)), ..Wanted::default() });
    assert_eq!(
        said(Wanted { input_path: Some("$"), input_transformer: Some((&paths, "<state>")), input: None }),
        "Only one of Input, InputPath, or InputTransformer must be provided for target t-1."
    );
    assert_eq!(
        said(Wanted { input: Some("no json"), ..Wanted::default() }),
        "Input for target t-1 is not a valid JSON text."
    );
    assert_eq!(
        template(r#""of <state>, <notdefinedkey>""#),
        "InputTemplate for target t-1 contains invalid placeholder notdefinedkey."
    );
    assert_eq!(
        template("instance <instance> is in state"),
        "Invalid InputTemplate for target t-1 : [Source: (String)\"instance null is in state\"; line: 1, column: 1]."
    );
    for text in [
        "",
        " ",
        "<state> single",
        "{\"a\": <state>",
        "{<state>: 1}",
        "{\"<state>\": 1}",
        "{\"x <state> y\" : 1}",
    ] {
        assert!(template(text).starts_with("Invalid InputTemplate for target t-1 : ["), "{text}");
    }
    let long = format!("\"{}\"", "x".repeat(TEXT_MAX));
    assert!(template(&long).starts_with("Invalid InputTemplate"));
    for (name, path) in [("a", "b"), ("a.b", "$"), ("", "$")] {
        let paths = BTreeMap::from([(name.to_owned(), path.to_owned())]);
        let wanted = Wanted { input_transformer: Some((&paths, "1")), ..Wanted::default() };
        assert_eq!(said(wanted), format!("InputPathsMap for target t-1 is invalid: {name}."));
    }
    let many = (0..=VARIABLES_MAX).map(|number| (format!("v{number:03}"), "$".to_owned())).collect();
    let wanted = Wanted { input_transformer: Some((&many, "1")), ..Wanted::default() };
    assert_eq!(said(wanted), "InputPathsMap for target t-1 is invalid: v100.");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]

    /// What is accepted makes JSON of any event, and nothing panics.
    #[test]
    fn what_is_filled_is_json(
        template in "([{}\\[\\]:, \"\\\\x1]|<state>|<payload>|<missing>|<quote>|<aws.events.event>){0,12}",
        quote in any::<String>(),
    ) {
        if let Ok(input) = transformer(&template) {
            let event = serde_json::json!({"detail": {"state": 1, "quote": quote, "payload": {"a\"": [quote]}}}).to_string();
            let made = input.of(&event, &CONTEXT);
            for value in serde_json::Deserializer::from_str(&made).into_iter::<serde_json::Value>() {
                prop_assert!(value.is_ok(), "{template} made {made}");
            }
        }
    }
}
