use http::header::{HOST, HeaderMap, HeaderValue, ORIGIN};
use http::request::Parts;
use http::uri::Authority;

use crate::problem::{Kind, Problem};

/// Which hosts a gateway answers for, and which pages it answers. Everything, where nothing is
/// listed.
///
/// A page on a name that its owner lets point here (DNS rebinding) is of the same origin as this
/// server, as far as a browser can see; the name it asks for gives it away.
#[derive(Debug, Default)]
pub(crate) struct AllowLists {
    hosts: Vec<Authority>,
    origins: Vec<HeaderValue>,
}

impl AllowLists {
    pub(crate) fn host(&mut self, host: Authority) {
        self.hosts.push(host);
    }

    pub(crate) fn origin(&mut self, origin: HeaderValue) {
        self.origins.push(origin);
    }

    /// Refuses what is for another host or from a page of another origin.
    pub(crate) fn check(&self, request: &Parts) -> Result<(), Problem> {
        if !self.hosts.is_empty() {
            let host = host_of(request);
            let is_listed = host.is_some_and(|host| self.hosts.iter().any(|it| meets(it, &host)));
            if !is_listed {
                let detail = "the request is for a host that is not served here";
                return Err(Problem::new(Kind::Forbidden, detail).field("Host"));
            }
        }
        let mut origins = request.headers.get_all(ORIGIN).iter();
        if !self.origins.is_empty() && !origins.all(|origin| self.origins.contains(origin)) {
            let detail = "the request is from a page of an origin that is not served here";
            return Err(Problem::new(Kind::Forbidden, detail).field("Origin"));
        }
        Ok(())
    }
}

/// Whom the request is for: `:authority` on HTTP/2, else `Host`; none where that is not one name.
fn host_of(request: &Parts) -> Option<Authority> {
    if let Some(authority) = request.uri.authority() {
        return Some(authority.clone());
    }
    one(&request.headers)?.to_str().ok()?.parse().ok()
}

fn one(headers: &HeaderMap) -> Option<&HeaderValue> {
    let mut hosts = headers.get_all(HOST).iter();
    hosts.next().filter(|_| hosts.next().is_none())
}

/// Whether a host is the one that is listed, at its port or, where that names none, at any.
fn meets(listed: &Authority, host: &Authority) -> bool {
    let is_at_port = listed.port().is_none() || listed.port_u16() == host.port_u16();
    is_at_port && listed.host().eq_ignore_ascii_case(host.host())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn is_allowed(uri: &str, headers: &[(&str, &str)]) -> bool {
        let mut lists = AllowLists::default();
        lists.host(Authority::from_static("chat.example"));
        lists.host(Authority::from_static("[::1]:8080"));
        lists.origin(HeaderValue::from_static("https://chat.example"));
        let mut request = Request::get(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        lists.check(&parts).is_ok()
    }

    #[test]
    fn hosts_are_those_that_are_listed() {
        for (uri, host, expected) in [
            ("/", Some("chat.example"), true),
            ("/", Some("CHAT.example:8443"), true),
            ("/", Some("[::1]:8080"), true),
            ("/", Some("[::1]"), false),
            ("/", Some("[::1]:80"), false),
            ("/", Some("chat.example.evil.example"), false),
            ("/", Some("evil.example"), false),
            ("/", Some("not a host"), false),
            ("/", Some(""), false),
            ("/", None, false),
            ("http://chat.example/", None, true),
            ("http://evil.example/", Some("chat.example"), false),
        ] {
            let headers: Vec<_> = host.map(|host| ("host", host)).into_iter().collect();
            assert_eq!(is_allowed(uri, &headers), expected, "{uri} {host:?}");
        }
        let twice = [("host", "chat.example"), ("host", "evil.example")];
        assert!(!is_allowed("/", &twice));
    }

    #[test]
    fn pages_are_of_an_origin_that_is_listed_or_of_none() {
        for (origin, expected) in [
            ("https://chat.example", true),
            ("http://chat.example", false),
            ("https://chat.example:444", false),
            ("https://evil.example", false),
            ("null", false),
            ("", false),
        ] {
            let headers = [("host", "chat.example"), ("origin", origin)];
            assert_eq!(is_allowed("/", &headers), expected, "{origin}");
        }
    }

    #[test]
    fn without_lists_everything_is_allowed() {
        let request = Request::get("/").header("origin", "https://evil.example");
        let (parts, ()) = request.body(()).unwrap().into_parts();
        assert!(AllowLists::default().check(&parts).is_ok());
    }
}
