//! The `h2-tls` example as a process, and connections to it that check its certificate.

use std::fs;
use std::io::{self, BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;

use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::program::program;

/// Killed when dropped.
#[derive(Debug)]
pub(crate) struct TlsServer {
    child: Child,
    /// HTTP/2 and HTTP/1.1.
    pub(crate) by_any: SocketAddr,
    /// HTTP/1.1 alone.
    pub(crate) by_http1: SocketAddr,
    certificate: CertificateDer<'static>,
    _directory: TempDir,
}

impl TlsServer {
    /// An event every 20 ms.
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory for temporary files");
        let certificate = directory.path().join("certificate.pem");
        let mut child = Command::new(program("h2-tls"))
            .args(["--listen", "127.0.0.1:0", "--listen-http1", "127.0.0.1:0"])
            .args(["--every", "20ms", "--certificate"])
            .arg(&certificate)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the example starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
        let mut address = |words: &str| {
            let mut line = String::new();
            stdout.read_line(&mut line).expect("a line");
            let address = line.trim_end().strip_prefix(words);
            let address = address.unwrap_or_else(|| panic!("an address, not {line:?}"));
            address.parse().expect("an address")
        };
        let by_any = address("listening on https://");
        let by_http1 = address("by HTTP/1.1 alone on https://");
        thread::spawn(move || io::copy(&mut stdout, &mut io::sink()));
        let pem = fs::read(certificate).expect("the certificate is written before it listens");
        Self {
            child,
            by_any,
            by_http1,
            certificate: CertificateDer::from_pem_slice(&pem).expect("a certificate"),
            _directory: directory,
        }
    }

    /// A connection by TLS, for one of these protocols.
    pub(crate) async fn connect(
        &self,
        address: SocketAddr,
        protocols: &[&[u8]],
    ) -> TlsStream<TcpStream> {
        let mut trusted = RootCertStore::empty();
        trusted
            .add(self.certificate.clone())
            .expect("a certificate");
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions that the provider has")
            .with_root_certificates(trusted)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        let socket = TcpStream::connect(address).await.expect("it listens");
        let name = ServerName::try_from("localhost").expect("a name");
        let connector = TlsConnector::from(Arc::new(config));
        connector
            .connect(name, socket)
            .await
            .expect("it is trusted")
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        // It may have ended already, which is what is wanted.
        let _ended = self.child.kill().and_then(|()| self.child.wait());
    }
}
