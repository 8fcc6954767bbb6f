use http::HeaderMap;
use http::header::ACCEPT;

/// What an `Accept` header (RFC 9110, section 12.5.1) says of the forms a resource has.
///
/// The more specific range decides about a form; of the forms, the one with the highest weight
/// wins, and the first of those that weigh the same. None where none is acceptable.
pub(crate) fn preferred<T: Copy>(headers: &HeaderMap, forms: &[(&str, T)]) -> Option<T> {
    let values = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let ranges: Vec<(String, u32)> = values
        .flat_map(|value| value.split(','))
        .filter_map(range)
        .collect();
    let weighed = forms.iter().map(|(media_type, form)| {
        let weight = if ranges.is_empty() {
            1000
        } else {
            weight(&ranges, media_type)
        };
        (weight, *form)
    });
    // The last of the highest, so from the end.
    let best = weighed.rev().max_by_key(|(weight, _)| *weight)?;
    (best.0 > 0).then_some(best.1)
}

/// A media range and its weight in thousandths.
fn range(text: &str) -> Option<(String, u32)> {
    let mut parts = text.split(';').map(str::trim);
    let range = parts
        .next()
        .filter(|range| !range.is_empty())?
        .to_ascii_lowercase();
    let quality =
        parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    Some((range, quality.map_or(1000, thousandths)))
}

/// `0.85` as 850; what is no such number weighs nothing.
fn thousandths(quality: &str) -> u32 {
    let (whole, fraction) = quality.split_once('.').unwrap_or((quality, ""));
    let digits = fraction.bytes().all(|byte| byte.is_ascii_digit()) && fraction.len() <= 3;
    match (whole, digits) {
        ("1", true) => 1000,
        ("0", true) => format!("{fraction:0<3}").parse().unwrap_or(0),
        _ => 0,
    }
}

/// The weight of the most specific range a media type is in; 0 where it is in none.
fn weight(ranges: &[(String, u32)], media_type: &str) -> u32 {
    let kind = media_type.split('/').next().unwrap_or_default();
    let any_of_kind = format!("{kind}/*");
    let by_specificity = [media_type, &any_of_kind, "*/*"];
    by_specificity
        .iter()
        .find_map(|wanted| ranges.iter().find(|(range, _)| range == wanted))
        .map_or(0, |(_, weight)| *weight)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn the_weightier_form_is_preferred() {
        for (accept, expected) in [
            (None, Some("sse")),
            (Some(""), Some("sse")),
            (Some("*/*"), Some("sse")),
            (Some("text/event-stream"), Some("sse")),
            (Some("application/json"), Some("json")),
            (Some("Application/JSON"), Some("json")),
            (Some("application/json, text/event-stream"), Some("sse")),
            (
                Some("text/event-stream;q=0.1, application/json"),
                Some("json"),
            ),
            (
                Some("text/event-stream;q=0, application/json;q=0.2"),
                Some("json"),
            ),
            (Some("text/event-stream;q=0, */*"), Some("json")),
            (Some("application/json;q=0, */*;q=0.1"), Some("sse")),
            (
                Some("text/html, application/xhtml+xml, */*;q=0.8"),
                Some("sse"),
            ),
            (Some("application/*"), Some("json")),
            (Some("application/cloudevents-batch+json"), Some("batch")),
            (
                Some("application/cloudevents-batch+json, application/json;q=0.9"),
                Some("batch"),
            ),
            (Some("application/json;q=0"), None),
            (Some("*/*;q=0"), None),
            (Some("text/html"), None),
            (Some("text/event-stream;q=nonsense"), None),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(ACCEPT, HeaderValue::from_static(accept));
            }
            let forms = [
                ("text/event-stream", "sse"),
                ("application/json", "json"),
                ("application/cloudevents-batch+json", "batch"),
            ];
            assert_eq!(preferred(&headers, &forms), expected, "{accept:?}");
        }
    }
}
