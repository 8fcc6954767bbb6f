//! What stands in for a server that is there and cannot serve, as a proxy does.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const ANSWER: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// Answers `503` to whatever comes, until it is dropped.
#[derive(Debug)]
pub(crate) struct Refusing {
    address: SocketAddr,
    asked: mpsc::Receiver<String>,
    heads: Vec<String>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Refusing {
    pub(crate) fn at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).expect("the killed server has left its address");
        let (ask, asked) = mpsc::channel();
        let is_over = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&is_over);
        let thread = thread::spawn(move || {
            for socket in listener.incoming() {
                if until.load(Ordering::Acquire) {
                    return;
                }
                // A browser that hangs up early has been refused as well.
                if let Ok(head) = socket.and_then(|socket| refuse(&socket)) {
                    let _not_counted = ask.send(head);
                }
            }
        });
        Self {
            address,
            asked,
            heads: Vec::new(),
            is_over,
            thread: Some(thread),
        }
    }

    /// Waits until a request has come whose head contains all `parts`.
    pub(crate) fn wait_for(&mut self, parts: [&str; 2], patience: Duration) {
        let begun = Instant::now();
        let is_it = |head: &String| parts.iter().all(|part| head.contains(part));
        while !self.heads.iter().any(is_it) {
            // Other requests keep coming, and are no reason to wait any longer.
            let left = patience.saturating_sub(begun.elapsed());
            match self.asked.recv_timeout(left) {
                Ok(head) => self.heads.push(head),
                Err(_) => panic!("no request with {parts:?}, but {:#?}", self.heads),
            }
        }
    }
}

impl Drop for Refusing {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
        // Wakes the thread, whose listener ends with it.
        let _woken = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

/// The head of the request, which is refused; empty where a browser connected ahead of need.
fn refuse(mut socket: &TcpStream) -> io::Result<String> {
    socket.set_read_timeout(Some(Duration::from_millis(200)))?;
    let mut head = String::new();
    let mut lines = BufReader::new(socket);
    while lines.read_line(&mut head)? > 0 && !head.ends_with("\r\n\r\n") {}
    socket.write_all(ANSWER)?;
    Ok(head)
}
