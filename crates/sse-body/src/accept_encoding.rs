use http::HeaderMap;
use http::header::ACCEPT_ENCODING;

/// Whether a client takes gzip: `Accept-Encoding` names it, or `*` where it does not, with a weight
/// above 0 (RFC 9110, section 12.5.3). A client that says nothing is given none.
pub(crate) fn takes_gzip(headers: &HeaderMap) -> bool {
    let named = headers
        .get_all(ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(coding);
    let (mut gzip, mut any) = (None, None);
    for (name, is_taken) in named {
        // `x-gzip` is the same (section 8.4.1.3).
        if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") {
            gzip = Some(gzip.unwrap_or(false) || is_taken);
        } else if name == "*" {
            any = Some(is_taken);
        }
    }
    gzip.or(any).unwrap_or(false)
}

/// The name, and whether its weight is above 0. A weight that is none counts as 0.
fn coding(text: &str) -> (&str, bool) {
    let (name, parameters) = text.split_once(';').unwrap_or((text, ""));
    let weight = parameters
        .split(';')
        .filter_map(|parameter| parameter.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("q"))
        .map_or(Ok(1.0), |(_, weight)| weight.trim().parse::<f32>());
    (name.trim(), weight.is_ok_and(|weight| weight > 0.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn gzip_is_sent_to_who_takes_it() {
        let cases: &[(&[&str], bool)] = &[
            (&[], false),
            (&[""], false),
            (&["gzip"], true),
            (&["GZip"], true),
            (&["x-gzip"], true),
            (&["gzip, deflate, br, zstd"], true),
            (&["deflate", "gzip"], true),
            (&["br, deflate"], false),
            (&["identity"], false),
            (&["*"], true),
            (&["*;q=0"], false),
            (&["gzip;q=0, *"], false),
            (&["*;q=0, gzip"], true),
            (&["gzip;q=0"], false),
            (&["gzip; q=0.000"], false),
            (&["gzip ; Q=0.001"], true),
            (&["gzip;level=9;q=0.5"], true),
            (&["gzip;q=high"], false),
            (&["gzipped"], false),
        ];
        for (values, taken) in cases {
            let mut headers = HeaderMap::new();
            for value in *values {
                headers.append(ACCEPT_ENCODING, HeaderValue::from_static(value));
            }
            assert_eq!(takes_gzip(&headers), *taken, "{values:?}");
        }
    }
}
