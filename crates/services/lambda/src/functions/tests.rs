//! What calls name, and what they find.

use super::*;

fn function(name: &str, qualifier: Option<&str>) -> Function {
    Function {
        account: "000000000000".to_owned(),
        region: "us-east-1".to_owned(),
        name: name.to_owned(),
        qualifier: qualifier.map(str::to_owned),
        url: format!("http://127.0.0.1/{name}/{}", qualifier.unwrap_or("any")),
        timeout_seconds: 3,
    }
}

const FROM: Origin<'static> = Origin {
    partition: "aws",
    account: "000000000000",
    region: "us-east-1",
    caller: "arn:aws:iam::000000000000:root",
};

#[test]
fn functions_are_named_in_each_form() {
    for (text, region, account, name, qualifier) in [
        ("f", None, None, "f", None),
        ("f:prod", None, None, "f", Some("prod")),
        ("function", None, None, "function", None),
        ("function:f", None, None, "f", None),
        ("000000000000:function:f", None, Some("000000000000"), "f", None),
        ("000000000000:function:f:3", None, Some("000000000000"), "f", Some("3")),
        (
            "arn:aws:lambda:us-east-1:000000000000:function:f",
            Some("us-east-1"),
            Some("000000000000"),
            "f",
            None,
        ),
        (
            "arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST",
            Some("us-east-1"),
            Some("000000000000"),
            "f",
            Some("$LATEST"),
        ),
        ("", None, None, "", None),
        (":", None, None, "", Some("")),
    ] {
        assert_eq!(Named::read(text), Named { region, account, name, qualifier }, "{text}");
    }
}

#[test]
fn a_call_finds_what_it_names_or_is_told_what_is_wrong() {
    let all = [function("f", None), function("f", Some("prod")), function("g", Some("prod"))];
    let url = |text: &str, qualifier| {
        find(&all, &FROM, text, qualifier).map(|function| function.url.clone()).map_err(|error| {
            assert!(!error.message().is_empty());
            error.code().to_owned()
        })
    };
    let at = |path: &str| Ok(format!("http://127.0.0.1/{path}"));
    let absent = Err("ResourceNotFoundException".to_owned());
    assert_eq!(url("f", None), at("f/any"));
    assert_eq!(url("f:$LATEST", None), at("f/any"));
    assert_eq!(url("f", Some("prod")), at("f/prod"));
    assert_eq!(url("f:other", None), at("f/any"));
    assert_eq!(url("g", None), absent);
    assert_eq!(url("g:prod", Some("prod")), at("g/prod"));
    assert_eq!(url("h", None), absent);
    assert_eq!(url("arn:aws:lambda:eu-west-1:000000000000:function:f", None), absent);
    assert_eq!(url("111111111111:function:f", None), Err("AccessDeniedException".to_owned()));
    assert_eq!(url("f:prod", Some("test")), Err("InvalidParameterValueException".to_owned()));
    let told = find(&all, &FROM, "h", Some("1")).unwrap_err();
    assert_eq!(told.message(), "Function not found: arn:aws:lambda:us-east-1:000000000000:function:h:1");
}
