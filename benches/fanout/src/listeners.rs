//! Connections that count the events they are sent, all in one thread, with little work for each:
//! what is measured is the server.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use memchr::memmem;
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use socket2::{Domain, Socket, Type};

use crate::server::END;

/// Connections from one address: fewer than it has ports.
const FROM_ONE_ADDRESS: usize = 20_000;

/// Connections that are opened before the server is waited for: fewer than may wait there.
const OPENED_TOGETHER: usize = 200;

/// Nothing arrives for so long: something was dropped.
const PATIENCE: Duration = Duration::from_secs(20);

/// The listeners of one server.
pub struct Listeners {
    epoll: OwnedFd,
    listeners: Vec<Listener>,
    ready: Vec<epoll::Event>,
    buffer: Vec<u8>,
    end: memmem::Finder<'static>,
    open: usize,
    events: usize,
    /// Of the events to come, where somebody wants to know.
    arrivals: Vec<Arrival>,
}

/// How many listeners have got an event, and when the last of all did.
#[derive(Clone, Copy, Default)]
struct Arrival {
    listeners: usize,
    at_all: Option<Instant>,
}

struct Listener {
    socket: TcpStream,
    is_open: bool,
    counter: Counter,
    events: usize,
}

/// Counts events, wherever they are cut.
#[derive(Default)]
struct Counter {
    /// How much of the end of an event was the end of what was read.
    begun: usize,
}

impl Listeners {
    /// Connects so many, each asking for its path, and waits until each has got something.
    pub fn connect(port: u16, count: usize, path: impl Fn(usize) -> String) -> io::Result<Self> {
        let mut listeners = Self {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            listeners: Vec::with_capacity(count),
            ready: Vec::with_capacity(1024),
            buffer: vec![0; 256 << 10],
            end: memmem::Finder::new(END),
            open: 0,
            events: 0,
            arrivals: Vec::new(),
        };
        for number in 0..count {
            listeners.add(port, &path(number))?;
            if listeners.listeners.len().is_multiple_of(OPENED_TOGETHER) {
                listeners.all_are_open()?;
            }
        }
        listeners.all_are_open()?;
        Ok(listeners)
    }

    fn add(&mut self, port: u16, path: &str) -> io::Result<()> {
        let number = self.listeners.len();
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        let host = u8::try_from(1 + number / FROM_ONE_ADDRESS).map_err(io::Error::other)?;
        let own = SocketAddr::from((Ipv4Addr::new(127, 0, 0, host), 0));
        socket.bind(&own.into())?;
        socket.connect(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
        // Ports that wait for what is late would soon be all.
        socket.set_linger(Some(Duration::ZERO))?;
        let mut socket = TcpStream::from(socket);
        write!(
            socket,
            "GET {path} HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n\r\n"
        )?;
        socket.set_nonblocking(true)?;
        let data = EventData::new_u64(number as u64);
        epoll::add(&self.epoll, &socket, data, EventFlags::IN)?;
        self.listeners.push(Listener {
            socket,
            is_open: false,
            counter: Counter::default(),
            events: 0,
        });
        Ok(())
    }

    fn all_are_open(&mut self) -> io::Result<()> {
        self.until("listeners are not answered", |listeners| {
            listeners.open == listeners.listeners.len()
        })
    }

    /// Events that have arrived so far, at all of them.
    pub fn events(&self) -> usize {
        self.events
    }

    /// Notes of the first so many events when each has arrived at the last listener.
    pub fn note_arrivals(&mut self, events: usize) {
        self.arrivals = vec![Arrival::default(); events];
    }

    /// When each of the events that have reached all of them did, in order.
    pub fn arrivals(&self) -> impl Iterator<Item = Instant> {
        self.arrivals.iter().map_while(|arrival| arrival.at_all)
    }

    /// Waits until so many events have arrived in all.
    ///
    /// # Errors
    /// Where nothing comes any more: something was dropped.
    pub fn have(&mut self, events: usize) -> io::Result<()> {
        self.until("events were dropped", |listeners| {
            listeners.events >= events
        })
    }

    /// Whether each has got so many events, and none more.
    ///
    /// # Errors
    /// Where one has not.
    pub fn each_has(&mut self, events: usize) -> io::Result<()> {
        self.rest(Duration::from_millis(20))?;
        match self.listeners.iter().find(|one| one.events != events) {
            Some(one) => Err(io::Error::other(format!(
                "{} events in place of {events} have reached a listener",
                one.events
            ))),
            None => Ok(()),
        }
    }

    /// Reads what comes for so long.
    pub fn rest(&mut self, time: Duration) -> io::Result<()> {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.read(end - Instant::now().min(end))?;
        }
        Ok(())
    }

    fn until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) -> io::Result<()> {
        let mut moved_at = Instant::now();
        while !is_so(self) {
            if self.read(Duration::from_secs(1))? {
                moved_at = Instant::now();
            } else if moved_at.elapsed() > PATIENCE {
                return Err(io::Error::other(what));
            }
        }
        Ok(())
    }

    /// Reads once from each that has something; whether one had.
    fn read(&mut self, wait: Duration) -> io::Result<bool> {
        let wait = Timespec::try_from(wait).map_err(io::Error::other)?;
        self.ready.clear();
        epoll::wait(&self.epoll, spare_capacity(&mut self.ready), Some(&wait))?;
        let all = self.listeners.len();
        for event in &self.ready {
            let data = event.data;
            let number = usize::try_from(data.u64()).map_err(io::Error::other)?;
            let listener = &mut self.listeners[number];
            let length = listener.socket.read(&mut self.buffer)?;
            if length == 0 {
                return Err(io::Error::other("the server has closed a connection"));
            }
            self.open += usize::from(!std::mem::replace(&mut listener.is_open, true));
            let events = listener.counter.count(&self.end, &self.buffer[..length]);
            let had = listener.events;
            listener.events += events;
            self.events += events;
            for arrival in self.arrivals.iter_mut().skip(had).take(events) {
                arrival.listeners += 1;
                if arrival.listeners == all {
                    arrival.at_all = Some(Instant::now());
                }
            }
        }
        Ok(!self.ready.is_empty())
    }
}

impl Counter {
    /// How many events end in what was read.
    fn count(&mut self, end: &memmem::Finder<'_>, mut bytes: &[u8]) -> usize {
        let mut events = 0;
        if self.begun > 0 {
            let rest = &END[self.begun..];
            let length = rest.len().min(bytes.len());
            if bytes[..length] == rest[..length] {
                if length < rest.len() {
                    self.begun += length;
                    return 0;
                }
                events = 1;
                bytes = &bytes[length..];
            }
        }
        events += end.find_iter(bytes).count();
        let begun = (1..END.len()).rev();
        self.begun = { begun }
            .find(|length| bytes.ends_with(&END[..*length]))
            .unwrap_or(0);
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_counted_wherever_they_are_cut() {
        let one = [b"data: {\"text\":\"xxx", END].concat();
        let text = [&one[..], b":\n\n", &one[..], &one[..]].concat();
        let end = memmem::Finder::new(END);
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let mut counter = Counter::default();
                let parts = [&text[..first], &text[first..second], &text[second..]];
                let parts = parts.into_iter().filter(|part| !part.is_empty());
                let events: usize = parts.map(|part| counter.count(&end, part)).sum();
                assert_eq!(events, 3, "cut at {first} and {second}");
            }
        }
    }
}
