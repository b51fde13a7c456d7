//! The dashboard: files that the program holds, with the headers that keep a page to itself.

use std::collections::HashMap;
use std::sync::LazyLock;

use axum::Router;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

/// The files of `web/dashboard/dist/site` by their path, when it was there as the program was built. Beside each that is
/// worth it stands its compressed twin, with `.br` or `.gz` added to its name.
const FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/dashboard/list.rs"));

static BY_PATH: LazyLock<HashMap<&str, &[u8]>> = LazyLock::new(|| FILES.iter().copied().collect());

/// Addresses that the dashboard itself makes sense of: the first part of each.
const ROUTES: [&str; 9] =
    ["", "events", "resources", "actors", "findings", "reports", "retention", "integrity", "settings"];

/// Nothing but what the program itself serves: no other origin is asked, and nothing inline runs.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self'; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

/// What is told where there is no dashboard in the program.
const NOT_BUILT: &str = include_str!("not_built.html");
/// The same for what stands in that page.
const NOT_BUILT_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";

/// The dashboard, for [`sealog_server::Server::pages`].
pub(crate) fn pages() -> Router {
    Router::new().fallback(page)
}

async fn page(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches('/');
    let first = path.split('/').next().unwrap_or_default();
    let is_file = BY_PATH.contains_key(path) && path != "index.html";
    if !is_file && !ROUTES.contains(&first) {
        return sealog_server::nothing_here();
    }
    if method != Method::GET && method != Method::HEAD {
        return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD")]).into_response();
    }
    if FILES.is_empty() {
        let headers = [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::CONTENT_SECURITY_POLICY, NOT_BUILT_POLICY),
            (header::CACHE_CONTROL, "no-store"),
        ];
        return (headers, NOT_BUILT).into_response();
    }
    file(if is_file { path } else { "index.html" }, &headers)
}

/// A file, in the best form that the browser takes.
fn file(path: &str, asked: &HeaderMap) -> Response {
    let accepted = asked.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let takes = |name: &str| {
        let mut codings = accepted.split(',').map(|coding| coding.split(';').map(str::trim).collect::<Vec<_>>());
        codings.any(|coding| coding[0].eq_ignore_ascii_case(name) && !coding.contains(&"q=0"))
    };
    let twin = [("br", ".br"), ("gzip", ".gz")].into_iter().find_map(|(coding, suffix)| {
        let bytes = *BY_PATH.get(&*format!("{path}{suffix}"))?;
        takes(coding).then_some((coding, bytes))
    });
    let bytes = twin.map(|(_, bytes)| bytes).or_else(|| BY_PATH.get(path).copied()).unwrap_or_default();
    let mut headers = HeaderMap::new();
    let mut set = |name: HeaderName, value: &'static str| headers.insert(name, HeaderValue::from_static(value));
    set(header::CONTENT_TYPE, content_type(path));
    set(header::VARY, "accept-encoding");
    // A file under `assets/` has the hash of its content in its name.
    let keeps = path.starts_with("assets/");
    set(header::CACHE_CONTROL, if keeps { "public, max-age=31536000, immutable" } else { "no-cache" });
    set(header::CONTENT_SECURITY_POLICY, POLICY);
    set(header::REFERRER_POLICY, "no-referrer");
    set(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    set(HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=(), payment=(), usb=()");
    if let Some((coding, _)) = twin {
        set(header::CONTENT_ENCODING, coding);
    }
    (headers, bytes).into_response()
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ask(path: &str) -> Response {
        page(Method::GET, path.parse().unwrap(), HeaderMap::new()).await
    }

    #[tokio::test]
    async fn only_what_is_the_dashboards_is_answered() {
        for route in ROUTES {
            let answer = ask(&format!("/{route}?y=1")).await;
            assert_eq!(answer.status(), 200, "{route}");
            assert_eq!(answer.headers()["content-type"], "text/html; charset=utf-8");
            let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
            assert!(policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
        }
        assert_eq!(ask("/resources/note/n-7").await.status(), 200);
        for other in ["/v1", "/checkpoint/x", "/tile", "/index.html", "/assets/../x", "/favicon.ico"] {
            assert_eq!(ask(other).await.status(), 404, "{other}");
        }
        assert_eq!(page(Method::POST, "/events".parse().unwrap(), HeaderMap::new()).await.status(), 405);
    }

    #[test]
    fn each_file_has_a_type_and_its_twins_beside_it() {
        for (path, _) in FILES {
            let plain = path.trim_end_matches(".br").trim_end_matches(".gz");
            assert!(BY_PATH.contains_key(plain), "{path}");
            assert_ne!(content_type(plain), "application/octet-stream", "{path}");
        }
        assert!(FILES.is_empty() || BY_PATH.contains_key("index.html"));
    }
}
