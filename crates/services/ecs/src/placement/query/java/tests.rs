//! Patterns as Java reads them: what each matches whole, what not, and what is refused.

use proptest::prelude::*;

use super::*;

#[test]
fn patterns_mean_what_they_mean_to_java() {
    for (pattern, found, not) in [
        ("(?!dev).*", &["prod", "", "de"][..], &["dev", "develop"][..]),
        ("(?!.*test).*", &["prod"], &["a-test-b"]),
        ("(?=.*x)a.*", &["abxc"], &["abc", "xa"]),
        (".*(?<=prod)", &["a-prod"], &["prod-a"]),
        (".*(?<!-dev)", &["a-prod"], &["a-dev"]),
        ("t2\\.(micro|small)", &["t2.micro"], &["t2xmicro", "t2.micro2"]),
        ("prod|production", &["prod", "production"], &["products"]),
        ("a*+a", &[], &["aaa"]),
        ("(?>a|ab)c", &["ac"], &["abc"]),
        ("a++b", &["aab"], &["b"]),
        ("x?+x", &[], &["x"]),
        ("a{2}+b", &["aab"], &["ab"]),
        ("a{2,}?b", &["aaab"], &["ab"]),
        ("(a|b)\\1", &["aa", "bb"], &["ab"]),
        ("(?<x>a|b)-\\k<x>", &["a-a"], &["a-b"]),
        ("(a)\\12", &["aa2"], &["aa", "a12"]),
        ("\\d\\D\\w\\W\\s\\S", &["1a_- x"], &["\u{663}a_- x"]),
        ("\\h\\v", &["\u{a0}\u{b}"], &["a\u{b}"]),
        ("[\\h]", &["\t"], &["\n"]),
        ("a\\Rb", &["a\r\nb", "a\nb"], &["ab"]),
        ("[a-z&&[^bc]]+", &["ad"], &["ab"]),
        ("[a-c[x-z]]+", &["axz"], &["am"]),
        ("[a&&b]", &[], &["a", "b", "&"]),
        ("[a&b]+", &["a&b"], &["c"]),
        ("[[:alpha:]]+", &["alpha:"], &["z"]),
        ("[]a]+", &["]a"], &["b"]),
        ("[^]a]", &["b"], &["]"]),
        ("[a-]+", &["a-"], &["b"]),
        ("[!--]+", &["!+-"], &["a"]),
        ("[a~~b]+", &["a~b"], &["c"]),
        ("[\\d-z]+", &["1-z"], &["a"]),
        ("[\\[\\]\\\\]+", &["[]\\"], &["a"]),
        ("\\p{Lower}\\p{Upper}\\p{Digit}", &["aA1"], &["\u{e9}A1"]),
        ("\\P{Alpha}", &["1"], &["a"]),
        ("[\\p{Alpha}-]+", &["a-b"], &["1"]),
        ("\\pL\\p{Lu}\\p{IsLatin}\\p{IsAlphabetic}", &["\u{e9}Axx"], &["1Axx"]),
        ("\\Qa.b|c\\E+", &["a.b|ccc"], &["axb"]),
        ("\\x41\\u0042\\x{43}\\0104\\cA\\e", &["ABCD\x01\x1b"], &["ABCD"]),
        ("^prod$", &["prod"], &["aprod", "prod\n"]),
        ("(prod$)", &["prod"], &["prod\n"]),
        ("prod$\\n", &["prod\n"], &["prod"]),
        ("prod\\Z.*", &["prod"], &["production"]),
        ("\\Aprod\\z", &["prod"], &["prod\n"]),
        ("a.b", &["a\u{e9}b"], &["a\nb", "a\rb", "a\u{2028}b"]),
        ("(?s)a.b", &["a\nb"], &["ab"]),
        ("(?s:a.)b.", &["a\nbc"], &["a\nb\n"]),
        ("((?s)a.)b.", &["a\nbc"], &["a\nb\n"]),
        ("(?i)PROD", &["prod", "PrOd"], &["dev"]),
        ("(?i:p)rod", &["Prod"], &["PROD"]),
        ("(?i)a(?-i)b", &["Ab"], &["AB"]),
        ("a\\b.*", &["a-b"], &["ab"]),
        ("a\\Bb", &["ab"], &["a"]),
        ("}]a", &["}]a"], &["a"]),
        ("a b #c", &["a b #c"], &["ab"]),
        ("", &[""], &["a"]),
    ] {
        let compiled = Pattern::new(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
        for text in found {
            assert_eq!(compiled.matches(text), Some(true), "{pattern} does not match {text:?}");
        }
        for text in not {
            assert_eq!(compiled.matches(text), Some(false), "{pattern} matches {text:?}");
        }
    }
}

#[test]
fn what_cannot_be_said_is_refused_with_the_reason() {
    for (pattern, why) in [
        ("*", "'*' has nothing to repeat"),
        ("a|+", "'+' has nothing to repeat"),
        ("a**", "'*' repeats a repetition"),
        ("a{2}{3}", "'{3}' repeats a repetition"),
        ("{a", "'{' begins no repetition"),
        ("a{,2}", "'{' begins no repetition"),
        ("a{x}", "'{' begins no repetition"),
        ("(a", "a group is not closed"),
        ("a)", "')' closes no group"),
        ("(?x)a", "'(?x' is not supported; flags are i and s"),
        ("(?U)\\w", "'(?U' is not supported; flags are i and s"),
        ("(?m)^a", "'(?m' is not supported; flags are i and s"),
        ("(?P<a>x)", "'(?P' is not supported; flags are i and s"),
        ("(?<1>x)", "a group has no proper name"),
        ("(?<a>x)(?<a>y)", "two groups are named 'a'"),
        ("\\k<a>", "'\\k' names no group before it"),
        ("\\1", "'\\1' names no group"),
        ("\\Gx", "the escape '\\G' is not supported"),
        ("\\E", "the escape '\\E' is not supported"),
        ("\\X", "the escape '\\X' is not supported"),
        ("\\y", "the escape '\\y' is not supported"),
        ("\\u12", "the escape '\\u' is not supported"),
        ("\\p{InGreek}", "the property 'InGreek' is not supported"),
        ("\\p{javaLowerCase}", "the property 'javaLowerCase' is not supported"),
        ("\\p{script=Latin}", "the property 'script=Latin' is not supported"),
        ("\\p{Nope}", "it is not supported, or too large"),
        ("[a", "a class is not closed"),
        ("[z-a]", "the range 'z-a' is empty"),
        ("[a--z]", "the range 'a--' is empty"),
        ("[&&a]", "'&&' has nothing on one side"),
        ("[a&&]", "'&&' has nothing on one side"),
        ("[a-\\d]", "the escape '\\d' is not supported"),
        ("a\\", "a backslash stands at the end"),
        ("(\\pL{100}){100}", "it is not supported, or too large"),
    ] {
        assert_eq!(Pattern::new(pattern).err().as_deref(), Some(why), "{pattern}");
    }
}

/// What never ends in other engines is given up, soon; no clock is needed to see it.
#[test]
fn a_match_has_a_bounded_number_of_steps() {
    let text = "a".repeat(64) + "!";
    for pattern in ["(?:(a+)\\1?)+b", "(?:(?=a)(a+))+b", "((a|aa)\\2?)+b", "(?:a+(?!b))+c"] {
        assert_eq!(Pattern::new(pattern).unwrap().matches(&text), None, "{pattern}");
    }
    // Without such features a match takes no steps back at all.
    assert_eq!(Pattern::new("(a+)+").unwrap().matches(&text), Some(false));
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(pattern in r"[\\\[\](){}?*+|^$.:a-z0-9,PQEkux<>=!&é-]{0,24}", text in ".{0,12}") {
        if let Ok(compiled) = Pattern::new(&pattern) {
            let _ = compiled.matches(&text);
        }
    }
}
