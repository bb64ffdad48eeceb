//! Rows that cannot be read, rows of older versions, and commits that take long.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Mutex, mpsc},
};

use store::{Change, Commit, Done, Entry, Error, Health, Lease, Range, Revision, Span, Watch, aside};

use super::*;

/// A state with a row of every kind: by key, as they lie in the store.
type Rows = BTreeMap<String, Vec<u8>>;

/// Where the rows of ECS of the tests' account and region begin.
const OWN: &str = "000000000000/us-east-1/ecs/";

/// What stands in it.
struct Filled {
    rows: Rows,
    instance: String,
    /// A task of the service, and one that was run with a token.
    tasks: [String; 2],
}

async fn filled() -> Filled {
    let store = Arc::new(Memory::new());
    let api = Api::open(store.clone()).await;
    api.define().await;
    api.define().await;
    let provider = json!({"name": "spot", "autoScalingGroupProvider": {"autoScalingGroupArn": "spot"}});
    api.ok("CreateCapacityProvider", provider).await;
    let put = json!({"cluster": "c", "capacityProviders": ["spot"], "defaultCapacityProviderStrategy": []});
    api.ok("PutClusterCapacityProviders", put).await;
    let daemon = json!({"name": "agent", "image": "busybox", "memory": 100});
    let daemon = json!({"family": "agent", "containerDefinitions": [daemon]});
    api.ok("RegisterDaemonTaskDefinition", daemon).await;
    let daemon = json!({
        "daemonName": "d", "clusterArn": "c", "daemonTaskDefinitionArn": "agent", "capacityProviderArns": ["spot"],
    });
    api.ok("CreateDaemon", daemon).await;
    let instance = api.host().await;
    let mut service =
        json!({"cluster": "c", "serviceName": "s", "taskDefinition": "web:1", "desiredCount": 1});
    service["clientToken"] = json!("t");
    api.ok("CreateService", service).await;
    let run = json!({"cluster": "c", "taskDefinition": "web:2", "clientToken": "t"});
    let run = api.ok("RunTask", run).await["tasks"][0]["taskArn"].as_str().unwrap().to_owned();
    let listed = json!({"cluster": "c", "serviceName": "s"});
    let of_service = api.ok("ListTasks", listed).await["taskArns"][0].as_str().unwrap().to_owned();
    api.ok("PutAccountSetting", json!({"name": "taskLongArnFormat", "value": "enabled"})).await;
    let mut rows = rows(store.as_ref());
    let key = json!({"access_key": "AKIAX", "secret": "s", "cluster": "c", "instance": id(&instance), "bound_at": 1.5});
    rows.insert(format!("{OWN}@/agent-key/AKIAX"), format!("{{\"v\":1,\"row\":{key}}}").into_bytes());
    Filled { rows, instance, tasks: [of_service, run] }
}

fn rows(store: &dyn Store) -> Rows {
    let mut rows = Rows::new();
    store.scan(&Span::all(), &mut |entry| drop(rows.insert(entry.key, entry.value.to_vec()))).unwrap();
    rows
}

fn store_of(rows: &Rows) -> Arc<Memory> {
    let store = Arc::new(Memory::new());
    for (key, value) in rows {
        store.commit(Commit::new().put(key.as_str(), value.clone())).unwrap();
    }
    store
}

fn id(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap()
}

/// Whether the key is that of a task's row: the time stands first in it.
fn is_of(key: &str, arn: &str) -> bool {
    let (rest, time) = id(arn).split_at(20);
    key.ends_with(&format!("/task/{time}-{rest}"))
}

fn named(arn: &str) -> acs::TaskIdentifier {
    acs::TaskIdentifier { task_arn: Some(arn.to_owned()), ..Default::default() }
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_set_aside_and_nothing_else_stops() {
    let filled = filled().await;
    let kinds: BTreeSet<&str> = filled.rows.keys().map(|key| kind(key)).collect();
    let of_services = ["service", "service-deployment", "service-event", "service-revision", "service-token"];
    let of_daemons = ["daemon", "daemon-deployment", "daemon-family", "daemon-revision", "daemon-td"];
    let before = ["agent-key", "capacity-provider", "cluster"].into_iter();
    let before = before.chain(of_daemons).chain(["family", "instance"]);
    let expected = before.chain(of_services).chain(["setting", "task", "td", "token"]);
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    for key in filled.rows.keys() {
        for damaged in [cut(&filled.rows[key]), of_another_key(key, &filled.rows[key])] {
            let mut rows = filled.rows.clone();
            let value = damaged;
            rows.insert(key.clone(), value.clone());
            let store = store_of(&rows);
            let api = Api::open(store.clone()).await;
            let listed = aside::list(store.as_ref()).unwrap();
            assert_eq!(listed.iter().map(|aside| &aside.key).collect::<Vec<_>>(), [key]);
            assert_eq!(store.get(&aside::kept(&listed[0])).unwrap().unwrap().value[..], value[..], "{key}");
            check(&api, &filled, key).await;
            if kind(key) == "task" {
                continue;
            }
            // The next start finds everything in order.
            drop(api);
            let again = Api::open(store.clone()).await;
            assert_eq!(aside::list(store.as_ref()).unwrap(), listed);
            check(&again, &filled, key).await;
        }
    }
}

fn kind(key: &str) -> &str {
    key.split('/').nth(4).unwrap()
}

fn cut(value: &[u8]) -> Vec<u8> {
    value[..value.len() / 2].to_vec()
}

/// Readable, and another row's.
fn of_another_key(key: &str, value: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(value.to_vec()).unwrap();
    let member = match kind(key) {
        "td" | "daemon-td" => "family",
        "agent-key" => "access_key",
        "instance" | "task" => "id",
        "setting" => "principal",
        "service-event" | "service-token" | "service-revision" | "service-deployment" => "service",
        "daemon-revision" | "daemon-deployment" => "daemon",
        "token" => "token",
        _ => "name",
    };
    let name = format!("\"{member}\":\"");
    let at = text.find(&name).unwrap() + name.len();
    let other = if &text[at..=at] == "0" { "1" } else { "0" };
    format!("{}{other}{}", &text[..at], &text[at + 1..]).into_bytes()
}

/// What holds whichever row of [`filled`] is lost.
async fn check(api: &Api, filled: &Filled, key: &str) {
    let mut session = api.session(&filled.instance).await;
    let candidates = || filled.tasks.iter().map(|arn| named(arn)).collect::<Vec<_>>();
    assert_eq!(session.verify_stop(candidates()).await, [], "no container is ended for {key}");
    let described = api.ok("DescribeTasks", json!({"cluster": "c", "tasks": filled.tasks})).await;
    let lost = filled.tasks.iter().filter(|arn| is_of(key, arn)).count();
    assert_eq!(described["tasks"].as_array().unwrap().len(), 2 - lost, "{key}");
    let listed = api.ok("ListContainerInstances", json!({"cluster": "c"})).await;
    assert_eq!(listed["containerInstanceArns"], json!([filled.instance]), "{key}");
    let container = json!({"name": "app", "image": "busybox", "memory": 10});
    let define = json!({"family": "web", "containerDefinitions": [container]});
    let defined = api.ok("RegisterTaskDefinition", define).await;
    assert!(defined["taskDefinition"]["revision"].as_i64().unwrap() >= 3, "no revision is used twice: {key}");
    let run = api.call("RunTask", json!({"cluster": "c", "taskDefinition": "web"})).await;
    assert!(run.is_ok(), "{key}: {run:?}");
    for arn in &filled.tasks {
        let stop = api.call("StopTask", json!({"cluster": "c", "task": arn})).await.unwrap();
        assert_eq!(stop["task"]["taskArn"], json!(arn), "{key}");
        if is_of(key, arn) {
            while !matches!(session.next().await, Some(Assignment::Manifest)) {}
            assert_eq!(session.verify_stop(candidates()).await, [named(arn)], "now it may end");
            assert!(api.call("StopTask", json!({"cluster": "c", "task": arn})).await.is_err());
        }
    }
}

#[tokio::test]
async fn a_service_that_was_set_aside_is_made_again_under_its_name() {
    let filled = filled().await;
    let mut rows = filled.rows.clone();
    rows.insert(format!("{OWN}c/service/s"), b"{".to_vec());
    let api = Api::open(store_of(&rows)).await;
    // An end of its task starts none: nobody knows how many are wanted.
    api.stopped(&filled.tasks[0]).await;
    let _session = api.session(&filled.instance).await;
    let service = json!({"cluster": "c", "serviceName": "s", "taskDefinition": "web:1", "desiredCount": 1});
    api.ok("CreateService", service).await;
    let listed = api.ok("ListTasks", json!({"cluster": "c", "serviceName": "s"})).await;
    assert_eq!(listed["taskArns"].as_array().unwrap().len(), 1);
    let described = api.ok("DescribeServices", json!({"cluster": "c", "services": ["s"]})).await;
    let said = described["services"][0]["events"].as_array().unwrap().len();
    assert_eq!(said, 1, "what the lost one said is not said by this one");
}

/// The ids of all that services have said, in their rows or in rows of its own.
fn said(rows: &Rows) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for (key, value) in rows {
        let row = serde_json::from_slice::<Value>(value).map(|mut value| value["row"].take());
        let text = |row: &Value| row["id"].as_str().unwrap().to_owned();
        match (kind(key), row) {
            ("service", Ok(row)) => ids.extend(row["events"].as_array().into_iter().flatten().map(text)),
            ("service-event", Ok(row)) => drop(ids.insert(text(&row))),
            _ => {}
        }
    }
    ids
}

/// Rows as each version wrote them, one a line: key, a tab, the row. A version that changes what it writes adds a
/// file (`UPDATE=1` writes the newest); none is ever changed.
#[tokio::test]
async fn rows_of_every_version_are_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/rows");
    if std::env::var_os("UPDATE").is_some() {
        let text: String = filled()
            .await
            .rows
            .iter()
            .map(|(key, row)| format!("{key}\t{}\n", String::from_utf8_lossy(row)))
            .collect();
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("2026-11-30-tasks.txt"), text).unwrap();
    }
    let mut files = 0;
    for file in std::fs::read_dir(&folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let rows: Rows = text
            .lines()
            .map(|line| {
                let (key, row) = line.split_once('\t').unwrap();
                (key.to_owned(), row.as_bytes().to_vec())
            })
            .collect();
        let store = store_of(&rows);
        if migrate::is_needed(store.as_ref()).unwrap() {
            assert_eq!(migrate::run(store.as_ref(), "000000000000", "us-east-1"), Ok(rows.len()));
        }
        let rows = self::rows(store.as_ref());
        let kinds: BTreeSet<&str> = rows.keys().map(|key| kind(key)).collect();
        // The first had no keys of agents.
        assert!(kinds.len() >= 8, "{kinds:?}");
        let api = Api::open(store.clone()).await;
        assert_eq!(aside::list(store.as_ref()), Ok(Vec::new()));
        let tasks = api.ok("ListTasks", json!({"cluster": "c"})).await;
        assert_eq!(tasks["taskArns"].as_array().unwrap().len(), 2);
        // The start has taken over what is stored otherwise than before.
        let described = api.ok("DescribeServices", json!({"cluster": "c", "services": ["s"]})).await;
        let shown = described["services"][0]["events"].as_array().unwrap().iter();
        let shown: BTreeSet<String> = shown.map(|event| event["id"].as_str().unwrap().to_owned()).collect();
        let now = self::rows(store.as_ref());
        assert!(!shown.is_empty() && shown == said(&rows) && shown == said(&now), "{shown:?}");
        let in_order = tasks["taskArns"].as_array().unwrap().iter().map(|arn| arn.as_str().unwrap());
        assert!(in_order.clone().all(|arn| now.keys().any(|key| is_of(key, arn))), "{:?}", now.keys());
        assert_eq!(now.keys().filter(|key| kind(key) == "task").count(), in_order.count(), "none twice");
        let service = &now[&format!("{OWN}c/service/s")];
        assert!(service.starts_with(b"{\"v\":3,"), "{}", String::from_utf8_lossy(service));
        files += 1;
    }
    assert!(files >= 4);
}

#[tokio::test]
async fn rows_of_before_there_were_accounts_are_taken_over_the_damaged_ones_too() {
    let task = "0".repeat(32);
    let store = store_of(&Rows::from([
        ("c/c/cluster".to_owned(), b"{".to_vec()),
        (format!("c/c/task/{task}"), b"not JSON".to_vec()),
        ("a/nothing".to_owned(), b"{}".to_vec()),
    ]));
    let old =
        Entry { key: "c/c/service/s".to_owned(), value: b"{}".to_vec().into(), revision: 3, whole: false };
    store.commit(aside::commit(&old, "an earlier start could not read it")).unwrap();
    assert_eq!(migrate::run(store.as_ref(), "111111111111", "eu-west-1"), Ok(3));
    assert!(!migrate::is_needed(store.as_ref()).unwrap());
    let identity =
        Identity { account: "111111111111".into(), region: "eu-west-1".into(), partition: "aws".into() };
    let homes = Homes::open(store.clone(), identity, &mut []).unwrap();
    let cluster = homes.own().cluster_by_name("c").expect("it is there, with its name alone");
    assert!(cluster.read().state.row.active);
    let keys: Vec<String> = aside::list(store.as_ref()).unwrap().into_iter().map(|aside| aside.key).collect();
    let own = "111111111111/eu-west-1/ecs/";
    assert_eq!(
        keys,
        [
            format!("{own}@/nothing"),
            format!("{own}c/cluster"),
            format!("{own}c/service/s"),
            format!("{own}c/task/{task}"),
        ]
    );
    assert!(homes.own().give_up(&cluster, &task).await.unwrap(), "a task that may run is not forgotten");
}

/// A store that holds back commits which change a task, until it is let go.
struct Held {
    inner: Memory,
    back: Mutex<Option<Vec<(Commit, Done)>>>,
    heard: mpsc::Sender<()>,
}

impl Held {
    fn let_go(&self) {
        for (commit, done) in self.back.lock().unwrap().take().unwrap_or_default() {
            self.inner.submit(commit, done);
        }
    }
}

impl Store for Held {
    fn close(&self) {
        self.inner.close();
    }

    fn submit(&self, commit: Commit, done: Done) {
        let is_task = |change: &Change| change.key().contains("/c/task/");
        match self.back.lock().unwrap().as_mut() {
            Some(back) if commit.changes.iter().any(is_task) => {
                back.push((commit, done));
                let _ = self.heard.send(());
            }
            _ => self.inner.submit(commit, done),
        }
    }

    fn get(&self, key: &str) -> Result<Option<Entry>, Error> {
        self.inner.get(key)
    }

    fn range(&self, span: &Span, limit: usize) -> Result<Range, Error> {
        self.inner.range(span, limit)
    }

    fn scan(&self, span: &Span, each: &mut dyn FnMut(Entry)) -> Result<Revision, Error> {
        self.inner.scan(span, each)
    }

    fn revision(&self) -> Revision {
        self.inner.revision()
    }

    fn watch(&self, span: Span, from: Revision) -> Result<Watch, Error> {
        self.inner.watch(span, from)
    }

    fn acquire_lease(&self, name: &str, holder: &str, ttl: Duration) -> Result<Lease, Error> {
        self.inner.acquire_lease(name, holder, ttl)
    }

    fn renew_lease(&self, lease: &Lease) -> Result<(), Error> {
        self.inner.renew_lease(lease)
    }

    fn release_lease(&self, lease: &Lease) -> Result<(), Error> {
        self.inner.release_lease(lease)
    }

    fn backup(&self, to: &Path) -> Result<(), Error> {
        self.inner.backup(to)
    }

    fn health(&self) -> Health {
        self.inner.health()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_definition_stays_while_a_task_of_it_is_on_its_way_to_the_disk() {
    let (heard, hears) = mpsc::channel();
    let store = Arc::new(Held { inner: Memory::new(), back: Mutex::default(), heard });
    let api = Arc::new(Api::open(store.clone()).await);
    api.define().await;
    api.host().await;
    *store.back.lock().unwrap() = Some(Vec::new());
    let run = tokio::spawn({
        let api = api.clone();
        async move { api.run().await }
    });
    tokio::task::spawn_blocking(move || hears.recv().unwrap()).await.unwrap();
    // The task was made while the definition was ACTIVE; nobody sees it yet.
    api.ok("DeregisterTaskDefinition", json!({"taskDefinition": "web:1"})).await;
    api.ok("DeleteTaskDefinitions", json!({"taskDefinitions": ["web:1"]})).await;
    let sweep = tokio::spawn({
        let home = api.home.clone();
        async move { home.sweep_once().await }
    });
    // Time for the sweep to do what it must not: it either waits for the task, or is over.
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
    store.let_go();
    let task = run.await.unwrap();
    sweep.await.unwrap().unwrap();
    api.home.sweep_once().await.unwrap();
    let described = api.ok("DescribeTasks", json!({"cluster": "c", "tasks": [task]})).await;
    assert_eq!(described["tasks"][0]["lastStatus"], "PENDING");
    let definition = api.call("DescribeTaskDefinition", json!({"taskDefinition": "web:1"})).await;
    assert_eq!(definition.unwrap()["taskDefinition"]["status"], "DELETE_IN_PROGRESS");
}
