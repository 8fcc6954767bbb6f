//! Proxies as they are installed, each with the lines that `docs/proxies.md` gives for it.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::installed::installed;
use super::port::free_port;

const DOCS: &str = include_str!("../../../docs/proxies.md");

/// The upstream as the docs have it.
const DOCUMENTED_UPSTREAM: &str = "127.0.0.1:8080";

const STARTS_WITHIN: Duration = Duration::from_secs(30);
const ENDS_WITHIN: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(20);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Nginx,
    Haproxy,
    Caddy,
    Varnish,
    Apache,
}

/// What differs from the lines of the docs.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Setup {
    /// HTTP/2 to the client, in clear text.
    pub(crate) is_http2: bool,
    /// How many seconds the upstream may be silent.
    pub(crate) patience: Option<u32>,
    /// A cache that stores whatever it may.
    pub(crate) is_caching: bool,
}

/// A proxy on a port and a directory of its own; it ends with its value.
#[derive(Debug)]
pub(crate) struct Proxy {
    child: Child,
    address: SocketAddr,
    _directory: TempDir,
}

impl Proxy {
    /// None where the program is missing, which is said aloud.
    pub(crate) fn start(kind: Kind, setup: Setup, upstream: SocketAddr) -> Option<Self> {
        let program = installed(&[kind.program()], kind.how_to_get_it())?;
        let directory = tempfile::tempdir().expect("a directory for temporary files");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let log = directory.path().join("log");
        let mut child = Command::new(program)
            .args(kind.arguments(directory.path(), setup, address, upstream))
            .env("HOME", directory.path())
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("XDG_DATA_HOME")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).expect("a log"))
            .spawn()
            .expect("a proxy starts");
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            let ended = child.try_wait().expect("a child can be waited for");
            assert!(
                ended.is_none() && begun.elapsed() < STARTS_WITHIN,
                "{kind:?} does not listen: {ended:?}, {}",
                fs::read_to_string(&log).expect("a log")
            );
            thread::sleep(LOOK_EVERY);
        }
        Some(Self {
            child,
            address,
            _directory: directory,
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Politely first: some have children of their own, which they take with them.
        let _asked = Command::new("sh")
            .args(["-c", &format!("kill -TERM {}", self.child.id())])
            .status();
        let begun = Instant::now();
        while begun.elapsed() < ENDS_WITHIN {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(LOOK_EVERY);
        }
        let _killed = self.child.kill().and_then(|()| self.child.wait());
    }
}

impl Kind {
    fn program(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Caddy => "caddy",
            Self::Varnish => "varnishd",
            Self::Apache => "apache2",
        }
    }

    fn how_to_get_it(self) -> &'static str {
        match self {
            Self::Nginx => "apt-get install nginx-light",
            Self::Haproxy => "apt-get install haproxy",
            Self::Caddy => "apt-get install caddy",
            Self::Varnish => "apt-get install varnish",
            Self::Apache => "apt-get install apache2",
        }
    }

    /// The command line, after the files it names were written.
    fn arguments(
        self,
        directory: &Path,
        setup: Setup,
        address: SocketAddr,
        upstream: SocketAddr,
    ) -> Vec<String> {
        let here = directory.display();
        let (config, text) = match self {
            Self::Nginx => ("nginx.conf", nginx(directory, setup, address)),
            Self::Haproxy => ("haproxy.cfg", haproxy(setup, address)),
            Self::Caddy => ("Caddyfile", caddy(setup, address)),
            Self::Varnish => ("default.vcl", varnish(upstream)),
            Self::Apache => ("apache2.conf", apache(directory, setup, address)),
        };
        let text = text.replace(DOCUMENTED_UPSTREAM, &upstream.to_string());
        let config = directory.join(config);
        fs::write(&config, text).expect("a file");
        let config = config.display();
        let line = match self {
            Self::Nginx => format!("-p {here} -e stderr -c {config}"),
            Self::Haproxy => format!("-db -f {config}"),
            Self::Caddy => format!("run --adapter caddyfile --config {config}"),
            Self::Apache => format!("-D FOREGROUND -f {config}"),
            Self::Varnish => {
                let http2 = if setup.is_http2 { "+" } else { "-" };
                let silence = setup.patience.unwrap_or(60);
                format!(
                    "-F -n {here}/work -a {address} -f {config} -s malloc,16m \
                     -p feature={http2}http2 -p between_bytes_timeout={silence}"
                )
            }
        };
        line.split_whitespace().map(str::to_owned).collect()
    }
}

/// A location of the docs, in one process.
fn nginx(directory: &Path, setup: Setup, address: SocketAddr) -> String {
    let here = directory.display();
    let http2 = if setup.is_http2 { " http2" } else { "" };
    let silence = setup.patience.map_or(String::new(), |seconds| {
        format!("proxy_read_timeout {seconds}s;")
    });
    let cache = if setup.is_caching {
        format!(
            "proxy_cache_path {here}/cache keys_zone=all:1m; proxy_cache all;
             proxy_cache_valid any 1h;"
        )
    } else {
        String::new()
    };
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|what| format!("{what}_temp_path {here}/{what}; "))
        .concat();
    let location = documented("nginx");
    format!(
        "daemon off; master_process off; pid {here}/pid;
        events {{}}
        http {{
            access_log off; {temporary} {silence} {cache}
            server {{ listen {address}{http2}; {location} }}
        }}"
    )
}

fn haproxy(setup: Setup, address: SocketAddr) -> String {
    let mut text = documented("haproxy");
    let protocol = if setup.is_http2 { " proto h2" } else { "" };
    text = text.replace("bind :80", &format!("bind {address}{protocol}"));
    if let Some(seconds) = setup.patience {
        text = text.replace("timeout server 60s", &format!("timeout server {seconds}s"));
    }
    text + "\n"
}

fn varnish(upstream: SocketAddr) -> String {
    documented("vcl").replace("\"8080\"", &format!("\"{}\"", upstream.port()))
}

fn caddy(setup: Setup, address: SocketAddr) -> String {
    let protocols = if setup.is_http2 { "h1 h2c" } else { "h1" };
    let mut site = documented("caddyfile").replace("example.com", &format!("http://{address}"));
    if let Some(seconds) = setup.patience {
        let silence = format!(
            "reverse_proxy {DOCUMENTED_UPSTREAM} {{
                transport http {{
                    read_timeout {seconds}s
                }}
            }}"
        );
        site = site.replace(&format!("reverse_proxy {DOCUMENTED_UPSTREAM}"), &silence);
    }
    format!("{{\n admin off\n auto_https off\n servers {{\n protocols {protocols}\n }}\n}}\n{site}")
}

/// What of Debian's own configuration these lines need, and `a2enmod proxy_http`.
fn apache(directory: &Path, setup: Setup, address: SocketAddr) -> String {
    let here = directory.display();
    let mut modules = vec!["mpm_event", "authz_core", "proxy", "proxy_http"];
    let mut text = format!(
        "ServerRoot {here}\nPidFile {here}/pid\nDefaultRuntimeDir {here}\nErrorLog /dev/stderr\n\
         ServerName localhost\nUser www-data\nGroup www-data\nListen {address}\n"
    );
    if setup.is_http2 {
        modules.push("http2");
        text += "Protocols h2c http/1.1\n";
    }
    if let Some(seconds) = setup.patience {
        text += &format!("ProxyTimeout {seconds}\n");
    }
    if setup.is_caching {
        modules.extend(["socache_shmcb", "cache", "cache_socache"]);
        text += "CacheSocache shmcb\nCacheEnable socache /\nCacheIgnoreNoLastMod on\n";
    }
    let loads = modules
        .iter()
        .map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"));
    loads.collect::<String>() + &text + &documented("apache")
}

/// The first code block of this language in the docs.
fn documented(language: &str) -> String {
    let (_, rest) = DOCS
        .split_once(&format!("```{language}\n"))
        .unwrap_or_else(|| panic!("docs/proxies.md has no block of {language}"));
    let (block, _) = rest.split_once("```").expect("a block ends");
    block.to_owned()
}
