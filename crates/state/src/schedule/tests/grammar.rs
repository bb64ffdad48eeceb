//! What is read and what is refused, in the words of either service.

use proptest::prelude::*;

use super::*;
use crate::schedule::{MAX_LENGTH, Reason};

/// Taken by both services: the guides' examples, what users had taken by them, and what the guides' words allow.
const CRON: &[&str] = &[
    "cron(0 10 * * ? *)",
    "cron(15 12 * * ? *)",
    "cron(0 18 ? * MON-FRI *)",
    "cron(0 8 1 * ? *)",
    "cron(0/15 * * * ? *)",
    "cron(0/10 * ? * MON-FRI *)",
    "cron(0/5 8-17 ? * MON-FRI *)",
    "cron(0/30 20-2 ? * MON-FRI *)",
    "cron(0 12 * * ? *)",
    "cron(5,35 14 * * ? *)",
    "cron(15 10 ? * 6L 2019-2022)",
    "cron(0 9 ? * 2#1 *)",
    "cron(0 2 ? * SAT#3 *)",
    "cron(0/5 5 ? JAN 1-5 2022)",
    "cron(0-15/1 8-8 ? * 2,3,4,5,6,7 *)",
    "cron(30-30 13-13 ? * 2,4,6 *)",
    "cron(1-31/30 1-1 ? * 1,7 *)",
    "cron(*/15 * * * ? *)",
    "cron(0-59/10 0-23/2 ? * * *)",
    "cron(* * ? * mon-sun *)",
    "cron(0 0 1/10,2,3/8 * ? *)",
    "cron(0/5, 9-18, ?, *, MON-FRI, *)",
    "cron(10 10 31 04,09,DeC ? *)",
    "cron(0 07/12 ? * * 2020,2021,2199)",
    "cron(0 0 L * ? *)",
    "cron(0 0 LW * ? *)",
    "cron(0 0 L-3 * ? *)",
    "cron(0 0 3W,31W * ? *)",
    "cron(0 0 ? * L *)",
    "cron(0 0 ? * monL *)",
    "cron(0 0 ? * 1/2 *)",
    "cron(0 0 29 2 ? 2100)",
    "cron(0 20 * * ? 2500)",
    "cron(0 20 * * ? 1960-2030/10)",
    "cron(0  0\t1 1 ? 1970/50)",
];

/// Refused by both.
const NOT_CRON: &[(&str, Reason)] = &[
    ("cron(0 1 * * * *)", Reason::DayFields),
    ("cron(0 1 ? * ? *)", Reason::DayFields),
    ("cron(7 20 * * NOT *)", Reason::DayFields),
    ("cron(0 0 1 * 2 *)", Reason::DayFields),
    ("cron(INVALID)", Reason::FieldCount),
    ("cron()", Reason::FieldCount),
    ("cron(0 0 * * ? * *)", Reason::FieldCount),
    ("cron(0 dummy ? * MON-FRI *)", Reason::Field("hours")),
    ("cron(71 8 1 * ? *)", Reason::Field("minutes")),
    ("cron(60 8 1 * ? *)", Reason::Field("minutes")),
    ("cron(*/60 * * * ? *)", Reason::Field("minutes")),
    ("cron(*/0 * * * ? *)", Reason::Field("minutes")),
    ("cron(-1 * * * ? *)", Reason::Field("minutes")),
    ("cron(+1 * * * ? *)", Reason::Field("minutes")),
    ("cron(, * * * ? *)", Reason::Field("minutes")),
    ("cron(1- * * * ? *)", Reason::Field("minutes")),
    ("cron(1/ * * * ? *)", Reason::Field("minutes")),
    ("cron(/5 * * * ? *)", Reason::Field("minutes")),
    ("cron(*-5 * * * ? *)", Reason::Field("minutes")),
    ("cron(1/2/3 * * * ? *)", Reason::Field("minutes")),
    ("cron(? * * * ? *)", Reason::Field("minutes")),
    ("cron(99999999999999999999 * * * ? *)", Reason::Field("minutes")),
    ("cron(* ? * * ? *)", Reason::Field("hours")),
    ("cron(* 24 * * ? *)", Reason::Field("hours")),
    ("cron(* */24 * * ? *)", Reason::Field("hours")),
    ("cron(0 0 0 * ? *)", Reason::Field("day-of-month")),
    ("cron(0 0 32 * ? *)", Reason::Field("day-of-month")),
    ("cron(0 0 L,1 * ? *)", Reason::Field("day-of-month")),
    ("cron(0 0 1,L * ? *)", Reason::Field("day-of-month")),
    ("cron(0 0 L-31 * ? *)", Reason::Field("day-of-month")),
    ("cron(0 0 8L * ? *)", Reason::Field("day-of-month")),
    ("cron(0 0 W * ? *)", Reason::Field("day-of-month")),
    ("cron(0 0 1-5W * ? *)", Reason::Field("day-of-month")),
    ("cron(0 0 3#2 * ? *)", Reason::Field("day-of-month")),
    ("cron(0 0 1,? * ? *)", Reason::Field("day-of-month")),
    ("cron(0 0 * 0 ? *)", Reason::Field("month")),
    ("cron(0 0 * 13 ? *)", Reason::Field("month")),
    ("cron(0 0 * JANUARY ? *)", Reason::Field("month")),
    ("cron(0 0 * L ? *)", Reason::Field("month")),
    ("cron(0 0 ? * 0 *)", Reason::Field("day-of-week")),
    ("cron(0 0 ? * 8 *)", Reason::Field("day-of-week")),
    ("cron(0 0 ? * MONDAY *)", Reason::Field("day-of-week")),
    ("cron(0 0 ? * 3#0 *)", Reason::Field("day-of-week")),
    ("cron(0 0 ? * 3#6 *)", Reason::Field("day-of-week")),
    ("cron(0 0 ? * 3#1,6#3 *)", Reason::Field("day-of-week")),
    ("cron(0 0 ? * 3#1,6 *)", Reason::Field("day-of-week")),
    ("cron(0 0 ? * 2,6L *)", Reason::Field("day-of-week")),
    ("cron(0 0 ? * 6L,2 *)", Reason::Field("day-of-week")),
    ("cron(0 0 ? * 3W *)", Reason::Field("day-of-week")),
    ("cron(0 0 * * ? 2030-2020)", Reason::Field("year")),
    ("cron(0 0 * * ? ?)", Reason::Field("year")),
    ("cron(0 0 * * ? *", Reason::Form),
    (" cron(0 0 * * ? *)", Reason::Form),
    ("cron 0 0 * * ? *", Reason::Form),
    ("", Reason::Form),
    ("rate(10 seconds)", Reason::Rate),
    ("rate(10 years)", Reason::Rate),
    ("rate()", Reason::Rate),
    ("rate(10)", Reason::Rate),
    ("rate(10 minutess)", Reason::Rate),
    ("rate(foo minutes)", Reason::Rate),
    ("rate(0 minutes)", Reason::Rate),
    ("rate(-10 minutes)", Reason::Rate),
    ("rate(+10 minutes)", Reason::Rate),
    ("rate(1.5 hours)", Reason::Rate),
    ("rate(minutes)", Reason::Rate),
    ("rate(5 weeks)", Reason::Rate),
    ("rate( 10 minutes )", Reason::Rate),
    ("rate(99999999999999999999 minutes)", Reason::Rate),
    (" rate(10 minutes)", Reason::Form),
    ("rate(10 minutes) ", Reason::Form),
];

#[test]
fn both_services_take_and_refuse_the_same() {
    for dialect in [Dialect::Rules, Dialect::Scheduler] {
        for text in CRON {
            assert!(Expression::parse(text, dialect).is_ok(), "{text} in {dialect:?}");
        }
        for (text, reason) in NOT_CRON {
            let error = Expression::parse(text, dialect).expect_err(text);
            assert_eq!(error.reason(), *reason, "{text} in {dialect:?}");
        }
    }
}

#[test]
fn each_service_has_its_own_rules() {
    let (rules, scheduler) = (Dialect::Rules, Dialect::Scheduler);
    for (text, in_rules, in_scheduler) in [
        ("rate(1 minute)", true, true),
        ("rate(5 minutes)", true, true),
        ("rate(1 hour)", true, true),
        ("rate(1 day)", true, true),
        // "If the value is equal to 1, then the unit must be singular. If the value is greater than 1, the unit
        // must be plural." Scheduler's guide has `rate(1 days)`, its API reference all six units.
        ("rate(1 minutes)", false, true),
        ("rate(1 hours)", false, true),
        ("rate(1 days)", false, true),
        ("rate(10 minute)", false, true),
        ("rate(10 hour)", false, true),
        ("rate(10 day)", false, true),
        ("rate(10 MINUTES)", false, true),
        // "One optional field, year".
        ("cron(0 10 * * ?)", false, true),
        ("at(2022-11-20T13:00:00)", false, true),
        // What Scheduler was seen to take beyond its guide.
        ("rate(1minute)", false, true),
        ("rate(5  hours)", false, true),
        ("RATE(5 minutes)", false, true),
        ("CRON(0 10 * * ? *)", false, true),
        ("AT(2022-11-20T13:00:00)", false, true),
        ("at(2022-11-20T13:00)", false, true),
    ] {
        assert_eq!(Expression::parse(text, rules).is_ok(), in_rules, "{text} in rules");
        assert_eq!(Expression::parse(text, scheduler).is_ok(), in_scheduler, "{text} in Scheduler");
    }
    for text in [
        "at(2021-12-31T23:59:59Z)",
        "at(2021-12-31)",
        "at(2021-12-31T23:59:)",
        "at(2021-12-31T23)",
        "at(2021-02-29T00:00:00)",
        "at(2021-12-31T24:00:00)",
        "at(2021-12-31T23:59:60)",
        "at(2021-12-31 23:59:59)",
        "at(2021-12-31T23:59:59.5)",
        "at(+021-12-31T23:59:59)",
        "at()",
    ] {
        assert_eq!(Expression::parse(text, scheduler).expect_err(text).reason(), Reason::At, "{text}");
    }
}

#[test]
fn errors_have_the_words_of_the_service() {
    let error = |dialect| Expression::parse("cron(71 8 1 * ? *)", dialect).expect_err("refused").to_string();
    assert_eq!(error(Dialect::Rules), "Parameter ScheduleExpression is not valid.");
    assert_eq!(error(Dialect::Scheduler), "Invalid Schedule Expression cron(71 8 1 * ? *).");
}

#[test]
fn the_length_is_limited() {
    let long = |length: usize| format!("cron({} 0 * * ? *)", "0,".repeat(length / 2));
    let fits = (MAX_LENGTH - "cron( 0 * * ? *)".len()) & !1;
    assert!(Expression::parse(&long(fits), Dialect::Rules).is_ok());
    let error = Expression::parse(&long(MAX_LENGTH), Dialect::Scheduler).expect_err("refused");
    assert_eq!(error.reason(), Reason::TooLong);
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC*", at in any::<i64>(), anchor in any::<i64>()) {
        nothing_panics(&text, at, anchor);
    }

    #[test]
    fn nothing_like_an_expression_panics(
        text in "(rate|cron|at)\\([0-9A-Z*?,/#LW -]{0,40}\\)",
        at in any::<i64>(),
        anchor in any::<i64>(),
    ) {
        nothing_panics(&text, at, anchor);
    }
}

fn nothing_panics(text: &str, at: i64, anchor: i64) {
    for dialect in [Dialect::Rules, Dialect::Scheduler] {
        if let Ok(expression) = Expression::parse(text, dialect) {
            let (anchor, at, zone) = (Timestamp(anchor), Timestamp(at), zone("America/New_York"));
            expression.next_after(anchor, at, &zone);
            expression.last_until(anchor, at, &zone);
            expression.runs_between(anchor, Timestamp(i64::MIN), at, &zone);
            expression.runs_between(anchor, at, Timestamp(i64::MAX), &zone);
        }
    }
}
