//! The key that a host makes for itself: which calls are signed with it, and when there is a new one.

use agent_protocol::agent_key::AgentKey;

use crate::{World, server_double::Heard};

/// The pairs that registrations brought along, `None` where there was none, each with who signed it.
fn registrations(heard: &Heard) -> Vec<(String, Option<AgentKey>)> {
    let signers = heard.signers.iter().filter(|(operation, _)| operation == "RegisterContainerInstance");
    let calls = heard.calls.iter().filter(|(operation, _)| operation == "RegisterContainerInstance");
    let brought =
        calls.map(|(_, input)| AgentKey::from_document(input["instanceIdentityDocument"].as_str().unwrap()));
    signers.map(|(_, signer)| signer.clone()).zip(brought).collect()
}

async fn connected(w: &World, times: usize) {
    w.server.until("an ACS connection", |heard| (heard.connections.len() >= times).then_some(())).await;
}

#[tokio::test]
async fn a_host_registers_once_by_the_shared_key_and_then_speaks_by_its_own() {
    let mut w = World::new().await;
    connected(&w, 1).await;
    w.run("t1").await;
    w.kill_agent().await;
    w.start_agent();
    connected(&w, 2).await;
    let heard = w.server.heard.lock();
    let registered = registrations(&heard);
    let own = registered[0].1.clone().expect("the first brings a key along").access_key_id;
    let signers: Vec<&str> = registered.iter().map(|(signer, _)| signer.as_str()).collect();
    assert_eq!(signers, ["test", &own]);
    assert_eq!(registered[1].1, None, "the key is sent once");
    let others = heard.signers.iter().filter(|(what, _)| what != "RegisterContainerInstance");
    assert!(others.clone().count() > 3);
    assert!(others.clone().all(|(_, signer)| *signer == own), "{:?}", heard.signers);
}

/// The agent dies before it hears that it is registered, or the answer is lost.
#[tokio::test]
async fn an_answer_that_is_lost_costs_no_new_key() {
    let w = World::new().await;
    w.server.refuse.lock().extend([
        ("RegisterContainerInstance", "ServerException"),
        ("RegisterContainerInstance", "UnrecognizedClientException"),
    ]);
    connected(&w, 1).await;
    let heard = w.server.heard.lock();
    let registered = registrations(&heard);
    let brought: Vec<&AgentKey> = registered.iter().filter_map(|(_, key)| key.as_ref()).collect();
    assert!(brought.windows(2).all(|two| two[0] == two[1]), "{registered:?}");
}

#[tokio::test]
async fn a_control_plane_that_does_not_know_the_key_any_more_hears_it_again() {
    let mut w = World::new().await;
    connected(&w, 1).await;
    w.kill_agent().await;
    w.server.refuse.lock().push(("RegisterContainerInstance", "UnrecognizedClientException"));
    w.start_agent();
    connected(&w, 2).await;
    let heard = w.server.heard.lock();
    let registered = registrations(&heard);
    assert_eq!(registered.len(), 3, "{registered:?}");
    assert!(registered[0].1.is_some() && registered[2] == registered[0], "{registered:?}");
}

#[tokio::test]
async fn a_host_that_was_deregistered_comes_back_by_a_new_key() {
    let mut w = World::new().await;
    connected(&w, 1).await;
    w.kill_agent().await;
    w.server.refuse.lock().push(("RegisterContainerInstance", "ClientException"));
    w.start_agent();
    connected(&w, 2).await;
    let heard = w.server.heard.lock();
    let registered = registrations(&heard);
    let (first, last) = (registered[0].1.as_ref().unwrap(), registered[2].1.as_ref().unwrap());
    assert_ne!(first.access_key_id, last.access_key_id);
    let last_call = heard.calls.iter().rfind(|(operation, _)| operation == "RegisterContainerInstance");
    assert!(last_call.unwrap().1["containerInstanceArn"].is_null());
    assert_eq!(heard.signers.last().unwrap().1, last.access_key_id);
}

/// Its container instance is ACTIVE, and another key's.
#[tokio::test]
async fn a_host_that_has_lost_its_key_ends_nothing_until_it_begins_anew() {
    const REGISTER: &str = "RegisterContainerInstance";
    let mut w = World::new().await;
    w.run("t1").await;
    w.kill_agent().await;
    {
        use store::{Commit, Store};
        let path = w.data.path().join("ledger.db");
        let ledger = store::sqlite::Sqlite::open(&path, Default::default()).unwrap();
        ledger.commit(Commit::new().delete("agent-key")).unwrap();
    }
    let before = registrations(&w.server.heard.lock()).len();
    let answers = [(REGISTER, "AccessDeniedException"), (REGISTER, "UnrecognizedClientException")];
    w.server.refuse.lock().extend([answers; 20].concat());
    w.start_agent();
    let tried = |heard: &Heard| (registrations(heard).len() >= before + 5).then_some(());
    w.server.until("attempts", tried).await;
    let named = |heard: &Heard| {
        let calls = heard.calls.iter().filter(|(operation, _)| operation == REGISTER);
        calls.map(|(_, input)| !input["containerInstanceArn"].is_null()).collect::<Vec<_>>()
    };
    assert!(
        named(&w.server.heard.lock())[before..].iter().all(|named| *named),
        "it stays the one that it was"
    );
    assert!(w.engine.running("t1", "app"));
    w.kill_agent().await;
    *w.server.refuse.lock() = vec![answers[1], answers[0]];
    w.begins_anew = true;
    w.start_agent();
    connected(&w, 2).await;
    let heard = w.server.heard.lock();
    assert_eq!(named(&heard).last(), Some(&false), "it is a new one");
    let registered = registrations(&heard);
    let (first, last) = (registered[0].1.as_ref().unwrap(), registered.last().unwrap().1.as_ref().unwrap());
    assert_ne!(first.access_key_id, last.access_key_id);
}
