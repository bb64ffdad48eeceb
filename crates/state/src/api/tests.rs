//! Condition keys are read from inputs of every form that services have.

use serde_json::json;
use wire::Timestamp;

use super::*;

fn ctx() -> Ctx {
    Ctx {
        now: Timestamp(0),
        account: "111111111111".into(),
        region: "eu-west-1".into(),
        partition: "aws".into(),
        caller_arn: "".into(),
        agent: None,
    }
}

fn values(conditions: &'static [Condition], input: Value) -> Vec<(String, Vec<String>)> {
    Built { conditions, ..Built::whole("X") }.condition_values(&ctx(), &input)
}

fn pairs(expected: &[(&str, &[&str])]) -> Vec<(String, Vec<String>)> {
    let owned = |values: &[&str]| values.iter().map(|value| value.to_string()).collect();
    expected.iter().map(|(key, values)| (key.to_string(), owned(values))).collect()
}

#[test]
fn conditions_are_read_through_lists_and_of_every_form_of_tags() {
    const OF: &[Condition] = &[
        Condition::Member("x:one", "A.B"),
        Condition::Made("x:region", |ctx, input| {
            texts(input, "Names").iter().map(|name| format!("{}/{name}", ctx.region)).collect()
        }),
        Condition::Tags("Tags"),
    ];
    for (input, expected) in [
        (json!({}), pairs(&[])),
        (json!({"A": {"B": "b"}, "Tags": []}), pairs(&[("x:one", &["b"])])),
        (
            json!({"A": [{"B": "b"}, {}, {"B": ["c", 1, true, {}]}]}),
            pairs(&[("x:one", &["b", "c", "1", "true"])]),
        ),
        (json!({"Names": ["n"]}), pairs(&[("x:region", &["eu-west-1/n"])])),
        (
            json!({"Tags": [{"Key": "k", "Value": "v"}, {"key": "l"}]}),
            pairs(&[("aws:TagKeys", &["k", "l"]), ("aws:RequestTag/k", &["v"]), ("aws:RequestTag/l", &[""])]),
        ),
        (json!({"Tags": {"k": "v"}}), pairs(&[("aws:TagKeys", &["k"]), ("aws:RequestTag/k", &["v"])])),
        (json!({"Tags": "no", "A": 7}), pairs(&[])),
    ] {
        assert_eq!(values(OF, input.clone()), expected, "{input}");
    }
}
