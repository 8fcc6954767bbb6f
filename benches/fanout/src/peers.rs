//! Servers that are no Rust: programs of the system, or of nobody where they are missing.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::contestant::Contestant;
use crate::process::{Desk, Server};
use crate::server::payload;

/// Where Debian has it.
const MODULE: &str = "/usr/lib/nginx/modules/ngx_nchan_module.so";

const STARTS_WITHIN: Duration = Duration::from_secs(10);

impl Contestant {
    /// The package that it takes and that is not there.
    pub fn missing(self) -> Option<&'static str> {
        let (is_there, package) = match self {
            Self::Nchan => (
                has("nginx") && has("setpriv") && Path::new(MODULE).exists(),
                "nginx libnginx-mod-nchan util-linux",
            ),
            Self::Node => (has("node"), "nodejs"),
            _ => return None,
        };
        (!is_there).then_some(package)
    }
}

fn has(program: &str) -> bool {
    let paths = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin";
    std::env::split_paths(&paths).any(|folder| folder.join(program).exists())
}

pub fn node() -> Command {
    let mut command = Command::new("node");
    command
        .args(["--input-type=module", "--eval", include_str!("node.mjs")])
        .args(["--", &payload()]);
    command
}

/// One process of nginx on a free port, with a temporary directory. It ends with its parent,
/// whatever ends that.
pub fn nchan() -> io::Result<Server> {
    let directory = tempfile::tempdir()?;
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port();
    fs::write(directory.path().join("nginx.conf"), configuration(port))?;
    let child = Command::new("setpriv")
        .args([
            "--pdeathsig",
            "KILL",
            "--",
            "nginx",
            "-c",
            "nginx.conf",
            "-p",
        ])
        .arg(directory.path())
        .env(
            "PATH",
            std::env::var("PATH").unwrap_or_default() + ":/usr/sbin",
        )
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let begun = Instant::now();
    let socket = loop {
        match TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
            Ok(socket) => break socket,
            Err(error) if begun.elapsed() > STARTS_WITHIN => return Err(error),
            Err(_) => sleep(Duration::from_millis(20)),
        }
    };
    socket.set_nonblocking(true)?;
    let desk = Desk::Http(socket);
    Ok(Server::new(child, desk, port, Some(directory)))
}

fn configuration(port: u16) -> String {
    format!(
        "daemon off;
master_process off;
pid nginx.pid;
error_log error.log;
load_module {MODULE};
worker_rlimit_nofile 60000;
events {{ worker_connections 60000; }}
http {{
  access_log off;
  tcp_nodelay on;
  keepalive_requests 1000000000;
  nchan_shared_memory_size 256M;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location = /events {{
      nchan_subscriber eventsource;
      nchan_channel_id room$arg_topic;
      nchan_subscriber_first_message newest;
    }}
    location = /publish {{
      nchan_publisher;
      nchan_channel_id room$arg_topic;
      nchan_message_buffer_length 64;
    }}
  }}
}}
"
    )
}

/// What has nchan publish.
pub fn requests(events: usize, topic: usize) -> Vec<u8> {
    let payload = payload();
    let topic = if topic == 0 {
        String::new()
    } else {
        topic.to_string()
    };
    let request = format!(
        "POST /publish?topic={topic} HTTP/1.1\r\nhost: localhost\r\nx-eventsource-event: posted\r\n\
         content-length: {}\r\n\r\n{payload}",
        payload.len()
    );
    request.repeat(events).into_bytes()
}
