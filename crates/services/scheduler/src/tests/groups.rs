//! Schedule groups and their tags.

use serde_json::json;

use crate::testing::{World, refusal, schedule, with};

const ARN: &str = "arn:aws:scheduler:us-east-1:000000000000:schedule-group/";

#[test]
fn the_group_default_is_always_there_and_cannot_be_changed() {
    let mut world = World::new();
    let default = json!({"Arn": format!("{ARN}default"), "Name": "default", "State": "ACTIVE"});
    assert_eq!(world.call("GetScheduleGroup", json!({"Name": "default"})).unwrap(), default);
    assert_eq!(world.call("ListScheduleGroups", json!({})).unwrap(), json!({"ScheduleGroups": [default]}));
    let arn = format!("{ARN}default");
    assert_eq!(world.call("ListTagsForResource", json!({"ResourceArn": arn})).unwrap(), json!({"Tags": []}));
    for (operation, input) in [
        ("CreateScheduleGroup", json!({"Name": "default"})),
        ("DeleteScheduleGroup", json!({"Name": "default"})),
        ("TagResource", json!({"ResourceArn": arn, "Tags": [{"Key": "a", "Value": "b"}]})),
        ("UntagResource", json!({"ResourceArn": arn, "TagKeys": ["a"]})),
    ] {
        let message = "This operation cannot be performed on schedule group default.";
        assert_eq!(refusal(world.call(operation, input)), ("ValidationException".into(), message.into()));
    }
}

#[test]
fn a_group_is_made_shown_and_deleted_with_its_schedules() {
    let mut world = World::new();
    let made = world.call("CreateScheduleGroup", json!({"Name": "jobs"})).unwrap();
    assert_eq!(made, json!({"ScheduleGroupArn": format!("{ARN}jobs")}));
    let again = refusal(world.call("CreateScheduleGroup", json!({"Name": "jobs"})));
    assert_eq!(again, ("ConflictException".into(), "Schedule group jobs already exists.".into()));
    world.pass(1000);
    world.call("CreateScheduleGroup", json!({"Name": "later"})).unwrap();
    let seconds = world.ctx.now.as_seconds();
    let names = |world: &mut World, input| {
        let reply = world.call("ListScheduleGroups", input).unwrap();
        let names = reply["ScheduleGroups"].as_array().unwrap().iter();
        let names: Vec<String> = names.map(|group| group["Name"].as_str().unwrap().to_owned()).collect();
        (names, reply["NextToken"].as_str().map(str::to_owned))
    };
    assert_eq!(names(&mut world, json!({})).0, ["default", "later", "jobs"]);
    assert_eq!(names(&mut world, json!({"NamePrefix": "j"})).0, ["jobs"]);
    let (first, token) = names(&mut world, json!({"MaxResults": 2}));
    assert_eq!(first, ["default", "later"]);
    assert_eq!(
        names(&mut world, json!({"MaxResults": 2, "NextToken": token})),
        (vec!["jobs".to_owned()], None)
    );
    let shown = json!({
        "Arn": format!("{ARN}later"), "Name": "later", "State": "ACTIVE",
        "CreationDate": seconds, "LastModificationDate": seconds,
    });
    assert_eq!(world.call("GetScheduleGroup", json!({"Name": "later"})).unwrap(), shown);

    for name in ["a", "b"] {
        world.schedule(name, "rate(1 hour)", json!({"GroupName": "jobs"}));
    }
    world.schedule("c", "rate(1 hour)", json!({}));
    world.call("DeleteScheduleGroup", json!({"Name": "jobs"})).unwrap();
    let missing = ("ResourceNotFoundException".into(), "Schedule group jobs does not exist.".into());
    assert_eq!(refusal(world.call("GetScheduleGroup", json!({"Name": "jobs"}))), missing);
    assert_eq!(refusal(world.call("GetSchedule", json!({"Name": "a", "GroupName": "jobs"}))), missing);
    assert_eq!(refusal(world.call("DeleteScheduleGroup", json!({"Name": "jobs"}))), missing);
    let create = with(schedule("a", "rate(1 hour)"), json!({"GroupName": "jobs"}));
    assert_eq!(refusal(world.call("CreateSchedule", create)), missing);
    assert_eq!(refusal(world.call("ListSchedules", json!({"GroupName": "jobs"}))), missing);
    assert_eq!(world.state.counts(), (1, 1));
}

#[test]
fn a_group_with_more_schedules_than_a_step_can_take_is_deleting_meanwhile() {
    let mut world = World::new();
    world.call("CreateScheduleGroup", json!({"Name": "jobs"})).unwrap();
    world.schedule("s", "rate(1 hour)", json!({"GroupName": "jobs"}));
    let row = world.state.schedules_of("jobs", "", "").next().unwrap().as_ref().clone();
    for n in 0..6000 {
        let id = crate::rows::ScheduleId { group: "jobs".into(), name: format!("s{n}") };
        let row = crate::rows::ScheduleRow { id, ..row.clone() };
        state::Domain::apply(&mut world.state, &state::Change::Put(row.into()));
    }
    world.call("DeleteScheduleGroup", json!({"Name": "jobs"})).unwrap();
    let shown = world.call("GetScheduleGroup", json!({"Name": "jobs"})).unwrap();
    assert_eq!(shown["State"], "DELETING");
    let create = with(schedule("new", "rate(1 hour)"), json!({"GroupName": "jobs"}));
    let refused = refusal(world.call("CreateSchedule", create));
    assert_eq!(refused, ("ConflictException".into(), "Schedule group jobs is being deleted.".into()));
    // The next process goes on with it.
    world.restart();
    world.pass(0);
    assert_eq!(world.state.counts(), (0, 0));
}

#[test]
fn tags_belong_to_groups() {
    let mut world = World::new();
    let tags = json!([{"Key": "b", "Value": "2"}, {"Key": "a", "Value": "1"}]);
    world.call("CreateScheduleGroup", json!({"Name": "g", "Tags": tags})).unwrap();
    let arn = format!("{ARN}g");
    world.call("TagResource", json!({"ResourceArn": arn, "Tags": [{"Key": "a", "Value": "3"}]})).unwrap();
    world.call("UntagResource", json!({"ResourceArn": arn, "TagKeys": ["b", "none"]})).unwrap();
    let shown = world.call("ListTagsForResource", json!({"ResourceArn": arn})).unwrap();
    assert_eq!(shown, json!({"Tags": [{"Key": "a", "Value": "3"}]}));
    let one = |key: &str, value: &str| json!([{"Key": key, "Value": value}]);
    for (tags, message) in [
        (one("aws:x", "1"), "Tag keys that begin with aws: are reserved."),
        (one("roadstead:concurrency", "0"), "The tag roadstead:concurrency is a number from 1 to 1000."),
        (one("roadstead:concurrency", "+1"), "The tag roadstead:concurrency is a number from 1 to 1000."),
        (
            one("roadstead:retry-without-capacity", "y"),
            "The tag roadstead:retry-without-capacity is true or false.",
        ),
        (one("roadstead:other", "1"), "The tag roadstead:other means nothing to Roadstead."),
    ] {
        let refused = refusal(world.call("TagResource", json!({"ResourceArn": arn, "Tags": tags})));
        assert_eq!(refused, ("ValidationException".into(), message.into()));
    }
    let many: Vec<_> = (0..200).map(|n| json!({"Key": format!("k{n}"), "Value": "v"})).collect();
    let (code, _) = refusal(world.call("TagResource", json!({"ResourceArn": arn, "Tags": many})));
    assert_eq!(code, "ValidationException");
    let other = arn.replace("us-east-1", "eu-west-1");
    let (code, _) = refusal(world.call("ListTagsForResource", json!({"ResourceArn": other})));
    assert_eq!(code, "ResourceNotFoundException");
}
