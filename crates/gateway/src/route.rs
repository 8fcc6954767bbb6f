use http::Method;
use percent_encoding::percent_decode_str;

use crate::problem::{Kind, Problem};

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Resource {
    Command(String),
    Query(String),
    Stream(String),
    Events,
}

/// What is asked of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    Command(String),
    Query(String),
    Append(String),
    /// Of one stream, or of the whole log.
    Events(Option<String>),
    /// `OPTIONS`: the methods the resource has.
    Options(&'static str),
}

impl Resource {
    /// The resource at a path below the mount point.
    pub(crate) fn at(path: &str) -> Result<Self, Problem> {
        let segments: Vec<&str> = path.strip_prefix('/').unwrap_or(path).split('/').collect();
        match segments[..] {
            ["commands", name] if !name.is_empty() => Ok(Self::Command(decode(name)?)),
            ["queries", name] if !name.is_empty() => Ok(Self::Query(decode(name)?)),
            ["streams", name] if !name.is_empty() => Ok(Self::Stream(decode(name)?)),
            ["events"] => Ok(Self::Events),
            _ => Err(Problem::nothing_at(path)),
        }
    }

    fn methods(&self) -> &'static str {
        match self {
            Self::Command(_) => "POST, OPTIONS",
            Self::Query(_) | Self::Stream(_) => "GET, HEAD, POST, OPTIONS",
            Self::Events => "GET, HEAD, OPTIONS",
        }
    }
}

impl Route {
    /// What a method asks of a resource.
    pub(crate) fn of(method: &Method, resource: Resource) -> Result<Self, Problem> {
        let methods = resource.methods();
        let is_read = matches!(*method, Method::GET | Method::HEAD);
        match resource {
            _ if method == Method::OPTIONS => Ok(Self::Options(methods)),
            Resource::Command(name) if method == Method::POST => Ok(Self::Command(name)),
            Resource::Query(name) if is_read || method == Method::POST => Ok(Self::Query(name)),
            Resource::Stream(name) if method == Method::POST => Ok(Self::Append(name)),
            Resource::Stream(name) if is_read => Ok(Self::Events(Some(name))),
            Resource::Events if is_read => Ok(Self::Events(None)),
            _ => Err(Problem::new(
                Kind::MethodNotAllowed,
                format!("{method} is not one of {methods}"),
            )
            .allow(methods)),
        }
    }
}

fn decode(segment: &str) -> Result<String, Problem> {
    let text = percent_decode_str(segment).decode_utf8();
    text.map(Into::into)
        .map_err(|_| Problem::malformed("path", format!("`{segment}` is not UTF-8 once decoded")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(method: &str, path: &str) -> Result<Route, Kind> {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        Resource::at(path)
            .and_then(|resource| Route::of(&method, resource))
            .map_err(|problem| problem.kind())
    }

    #[test]
    fn methods_and_paths_make_routes() {
        let name = || "a b".to_owned();
        for (method, path, expected) in [
            ("POST", "/commands/a%20b", Ok(Route::Command(name()))),
            ("GET", "/queries/a%20b", Ok(Route::Query(name()))),
            ("POST", "/queries/a%20b", Ok(Route::Query(name()))),
            ("POST", "/streams/a%20b", Ok(Route::Append(name()))),
            ("GET", "/streams/a%20b", Ok(Route::Events(Some(name())))),
            ("HEAD", "/events", Ok(Route::Events(None))),
            (
                "OPTIONS",
                "/events",
                Ok(Route::Options("GET, HEAD, OPTIONS")),
            ),
            ("GET", "/commands/x", Err(Kind::MethodNotAllowed)),
            ("DELETE", "/streams/x", Err(Kind::MethodNotAllowed)),
            ("POST", "/events", Err(Kind::MethodNotAllowed)),
            ("GET", "/", Err(Kind::NotFound)),
            ("POST", "/commands/", Err(Kind::NotFound)),
            ("POST", "/commands/a/b", Err(Kind::NotFound)),
            ("POST", "/streams/%ff", Err(Kind::Malformed)),
        ] {
            assert_eq!(route(method, path), expected, "{method} {path}");
        }
    }
}
