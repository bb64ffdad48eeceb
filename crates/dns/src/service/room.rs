//! How much one client may ask, so that none keeps the resolver from the others. Pure: time is passed in.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Questions of one address in a second, as EC2 takes them from one interface.
/// <https://docs.aws.amazon.com/vpc/latest/userguide/AmazonDNS-concepts.html#vpc-dns-limits>
const A_SECOND: u32 = 1_024;
/// Questions of one address that wait for others at once.
const WAITING_MAX: u32 = 128;
/// Connections of one address at once.
const CONNECTIONS_MAX: u32 = 16;
/// Most addresses that are known at once: as many as a host has interfaces.
const CLIENTS_MAX: usize = 4_096;

/// Who asks in one VPC.
pub(super) struct Room {
    inner: Mutex<Inner>,
}

struct Inner {
    began: Instant,
    clients: HashMap<IpAddr, Client>,
}

#[derive(Default)]
struct Client {
    asked: u32,
    waiting: u32,
    connections: u32,
}

/// What somebody has of the room until it is dropped.
pub(super) struct Place<'a> {
    room: &'a Room,
    who: IpAddr,
    is_connection: bool,
}

impl Room {
    pub(super) fn new(now: Instant) -> Room {
        Room { inner: Mutex::new(Inner { began: now, clients: HashMap::new() }) }
    }

    /// Whether one more question of the address is heard.
    pub(super) fn hears(&self, who: IpAddr, now: Instant) -> bool {
        let mut inner = self.inner.lock();
        if now.saturating_duration_since(inner.began) >= Duration::from_secs(1) {
            inner.began = now;
            inner.clients.retain(|_, client| {
                client.asked = 0;
                client.waiting > 0 || client.connections > 0
            });
        }
        let Some(client) = inner.client(who) else { return false };
        client.asked += 1;
        client.asked <= A_SECOND
    }

    /// A place for a question that others are asked.
    pub(super) fn wait(&self, who: IpAddr) -> Option<Place<'_>> {
        let mut inner = self.inner.lock();
        let client = inner.client(who).filter(|client| client.waiting < WAITING_MAX)?;
        client.waiting += 1;
        Some(Place { room: self, who, is_connection: false })
    }

    /// A place for a connection.
    pub(super) fn connect(&self, who: IpAddr) -> Option<Place<'_>> {
        let mut inner = self.inner.lock();
        let client = inner.client(who).filter(|client| client.connections < CONNECTIONS_MAX)?;
        client.connections += 1;
        Some(Place { room: self, who, is_connection: true })
    }
}

impl Inner {
    fn client(&mut self, who: IpAddr) -> Option<&mut Client> {
        if self.clients.len() >= CLIENTS_MAX && !self.clients.contains_key(&who) {
            return None;
        }
        Some(self.clients.entry(who).or_default())
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(client) = self.room.inner.lock().clients.get_mut(&self.who) {
            let count = if self.is_connection { &mut client.connections } else { &mut client.waiting };
            *count = count.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_is_heard_so_often_and_others_still() {
        let start = Instant::now();
        let (room, one, other) = (Room::new(start), IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let heard = (0..2_000).filter(|_| room.hears(one, start)).count();
        assert_eq!(heard, 1_024);
        assert!(room.hears(other, start));
        let places: Vec<_> = (0..200).map_while(|_| room.wait(one)).collect();
        assert_eq!(places.len(), 128);
        let connections: Vec<_> = (0..200).map_while(|_| room.connect(one)).collect();
        assert_eq!(connections.len(), 16);
        let later = start + Duration::from_secs(1);
        assert!(room.hears(one, later) && room.wait(one).is_none() && room.wait(other).is_some());
        drop((places, connections));
        assert!(room.wait(one).is_some() && room.connect(one).is_some());
        assert!(room.hears(other, later + Duration::from_secs(1)));
        assert_eq!(room.inner.lock().clients.len(), 1, "who is away is forgotten");
    }

    #[test]
    fn there_are_only_so_many_clients() {
        let (room, now) = (Room::new(Instant::now()), Instant::now());
        let all = (0..10_000u32).map(|number| IpAddr::from(number.to_be_bytes()));
        assert_eq!(all.filter(|who| room.hears(*who, now)).count(), CLIENTS_MAX);
    }
}
