use eventwire_store::{Expect, Version};
use http::HeaderMap;
use http::header::{HeaderName, IF_MATCH, IF_NONE_MATCH};

use crate::problem::Problem;

/// What `If-Match` and `If-None-Match` say a stream must be (RFC 9110, section 13.1); none
/// where there is neither.
pub(crate) fn expectation(headers: &HeaderMap) -> Result<Option<Expect>, Problem> {
    let if_match = text(headers, "If-Match", &IF_MATCH)?;
    match (if_match, text(headers, "If-None-Match", &IF_NONE_MATCH)?) {
        (None, None) => Ok(None),
        (Some("*"), None) => Ok(Some(Expect::Exists)),
        (Some(tag), None) => version(tag).map(|version| Some(Expect::Exact(version))),
        (None, Some("*")) => Ok(Some(Expect::NoStream)),
        (None, Some(_)) => Err(Problem::malformed(
            "If-None-Match",
            "only `*` is taken: the stream must not exist",
        )),
        (Some(_), Some(_)) => Err(Problem::malformed(
            "If-Match",
            "give either If-Match or If-None-Match, not both",
        )),
    }
}

/// The entity tag of a stream at a version: `"7"`.
pub(crate) fn entity_tag(version: Version) -> String {
    format!("\"{version}\"")
}

fn version(tag: &str) -> Result<Version, Problem> {
    let number = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
    let version = number
        .filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|number| number.parse().ok())
        .and_then(Version::new);
    version.ok_or_else(|| {
        Problem::malformed(
            "If-Match",
            "expected a quoted version such as \"7\", or `*`",
        )
    })
}

fn text<'a>(
    headers: &'a HeaderMap,
    field: &'static str,
    name: &HeaderName,
) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Problem::malformed(field, "give it once"));
    }
    let text = value
        .to_str()
        .map_err(|_| Problem::malformed(field, "not visible ASCII"))?;
    Ok(Some(text.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn headers_become_expectations() {
        let seven = Expect::Exact(Version::new(7).unwrap());
        for (if_match, if_none_match, expected) in [
            (None, None, Ok(None)),
            (Some("*"), None, Ok(Some(Expect::Exists))),
            (Some("\"7\""), None, Ok(Some(seven))),
            (None, Some("*"), Ok(Some(Expect::NoStream))),
            (Some("7"), None, Err(())),
            (Some("\"0\""), None, Err(())),
            (Some("\"x\""), None, Err(())),
            (Some("\"+2\""), None, Err(())),
            (None, Some("\"7\""), Err(())),
            (Some("*"), Some("*"), Err(())),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in [(IF_MATCH, if_match), (IF_NONE_MATCH, if_none_match)] {
                if let Some(value) = value {
                    headers.insert(name, HeaderValue::from_static(value));
                }
            }
            assert_eq!(
                expectation(&headers).map_err(drop),
                expected,
                "{if_match:?} {if_none_match:?}"
            );
        }
    }
}
