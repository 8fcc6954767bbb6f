//! What is done to a server, and what came of it.

use std::io;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::contestant::Contestant;
use crate::listeners::Listeners;
use crate::process::{Server, kernel_bytes, own_busy};

/// Until streams that have just begun are told nothing more by themselves.
const SETTLED: Duration = Duration::from_millis(1500);

/// Events that everyone wants, published again and again.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    pub subscribers: usize,
    pub at_once: usize,
    pub lasting: Duration,
    /// None: as soon as everything has arrived.
    pub interval: Option<Duration>,
}

/// What came of it.
#[derive(Debug, Clone, Copy)]
pub struct Outcome {
    /// Events that reached a listener.
    pub deliveries: usize,
    pub elapsed: Duration,
    /// Processor time of the server.
    pub busy: Duration,
    /// Processor time of its listeners.
    pub listeners_busy: Duration,
    /// Resident bytes of the server for each connection.
    pub connection_bytes: usize,
    /// From publishing to the arrival at the last listener: the middle and the worst in a hundred.
    pub latency: [Duration; 2],
}

impl Run {
    pub fn of(&self, contestant: Contestant) -> io::Result<Outcome> {
        let mut server = Server::start(contestant)?;
        let alone = server.resident()?;
        let path = |_| "/events".to_owned();
        let mut listeners = Listeners::connect(server.port, self.subscribers, path)?;
        listeners.rest(Duration::from_millis(100))?;
        let connection_bytes = server.resident()?.saturating_sub(alone) / self.subscribers;
        let (busy, listeners_busy) = (server.busy()?, own_busy()?);
        let begin = Instant::now();
        let mut published = 0;
        let mut latencies = Vec::new();
        while begin.elapsed() < self.lasting {
            let sent = Instant::now();
            server.publish(self.at_once, 0)?;
            published += self.at_once;
            listeners.have(published * self.subscribers)?;
            latencies.push(sent.elapsed());
            if let Some(interval) = self.interval {
                sleep(interval.saturating_sub(sent.elapsed()));
            }
        }
        let elapsed = begin.elapsed();
        let outcome = Outcome {
            deliveries: listeners.events(),
            elapsed,
            busy: server.busy()? - busy,
            listeners_busy: own_busy()? - listeners_busy,
            connection_bytes,
            latency: {
                latencies.sort_unstable();
                [50, 99].map(|part| latencies[(latencies.len() - 1) * part / 100])
            },
        };
        listeners.each_has(published)?;
        Ok(outcome)
    }
}

/// Events that everyone wants, each published at its time, whoever has had the last.
#[derive(Debug, Clone, Copy)]
pub struct Stream {
    pub subscribers: usize,
    /// Events a second.
    pub rate: u32,
    pub lasting: Duration,
    /// How long the feed gathers them.
    pub gather: Duration,
}

/// What came of it.
#[derive(Debug, Clone, Copy)]
pub struct Streamed {
    /// Processor time of the server a delivery.
    pub busy: Duration,
    /// The same as a part of the time it took.
    pub load: f64,
    /// From publishing to the arrival at the last listener: the middle and the worst in a hundred.
    pub latency: [Duration; 2],
}

impl Stream {
    pub fn of(&self, contestant: Contestant) -> io::Result<Streamed> {
        let mut server = Server::gathering(contestant, self.gather)?;
        let path = |_| "/events".to_owned();
        let mut listeners = Listeners::connect(server.port, self.subscribers, path)?;
        listeners.rest(Duration::from_millis(100))?;
        let events = (self.lasting.as_secs_f64() * f64::from(self.rate)) as usize;
        listeners.note_arrivals(events);
        let busy = server.busy()?;
        let begin = Instant::now();
        let mut published = Vec::with_capacity(events);
        for number in 0..events {
            let due = begin + Duration::from_secs(1) * number as u32 / self.rate;
            listeners.rest(due.saturating_duration_since(Instant::now()))?;
            // What is late for being busy with what came before is late by that too.
            published.push(due);
            server.publish(1, 0)?;
        }
        listeners.have(events * self.subscribers)?;
        let elapsed = begin.elapsed();
        let busy = server.busy()? - busy;
        listeners.each_has(events)?;
        let arrived = listeners.arrivals().zip(published);
        let mut latencies: Vec<_> = arrived.map(|(at, due)| at - due).collect();
        latencies.sort_unstable();
        Ok(Streamed {
            busy: busy.div_f64((events * self.subscribers) as f64),
            load: busy.as_secs_f64() / elapsed.as_secs_f64(),
            latency: [50, 99].map(|part| latencies[(latencies.len() - 1) * part / 100]),
        })
    }
}

/// Processor time of the server for an event that one of so many listeners wants, each of whom
/// has a topic of its own.
pub fn one_of(contestant: Contestant, listeners: usize, lasting: Duration) -> io::Result<Duration> {
    let mut server = Server::start(contestant)?;
    let path = |number| format!("/events?topic={}", number + 1);
    let mut open = Listeners::connect(server.port, listeners, path)?;
    open.rest(SETTLED)?;
    let busy = server.busy()?;
    let begin = Instant::now();
    let mut published = 0;
    while begin.elapsed() < lasting {
        server.publish(1, 1 + published % listeners)?;
        published += 1;
        open.have(published)?;
    }
    let busy = server.busy()? - busy;
    open.rest(Duration::from_millis(20))?;
    if open.events() != published {
        return Err(io::Error::other(
            "events have reached those who did not want them",
        ));
    }
    Ok(busy / u32::try_from(published).map_err(io::Error::other)?)
}

/// What connections take that nothing happens on.
#[derive(Debug, Clone, Copy)]
pub struct Idle {
    /// Resident bytes of the server for each.
    pub resident: usize,
    /// Bytes the kernel has for each, both ends together.
    pub kernel: usize,
    /// Processor time of the server for accepting and answering one.
    pub opening: Duration,
}

/// Opens so many connections, and sees that an event reaches each of them.
pub fn idle(contestant: Contestant, connections: usize) -> io::Result<Idle> {
    let mut server = Server::start(contestant)?;
    let (resident, kernel) = (server.resident()?, kernel_bytes()?);
    let busy = server.busy()?;
    let path = |_| "/events".to_owned();
    let mut listeners = Listeners::connect(server.port, connections, path)?;
    let opening = server.busy()? - busy;
    listeners.rest(SETTLED)?;
    let idle = Idle {
        resident: server.resident()?.saturating_sub(resident) / connections,
        kernel: kernel_bytes()?.saturating_sub(kernel) / connections,
        opening: opening / u32::try_from(connections).map_err(io::Error::other)?,
    };
    server.publish(1, 0)?;
    listeners.have(connections)?;
    listeners.each_has(1)?;
    Ok(idle)
}
