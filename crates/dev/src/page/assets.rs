//! The page's files, embedded in the binary.

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

/// One embedded file.
#[derive(Debug, Clone, Copy)]
struct Asset {
    name: &'static str,
    media_type: &'static str,
    bytes: &'static [u8],
}

/// Embeds a file of `assets/` under its own name.
macro_rules! asset {
    ($name:literal, $media_type:expr) => {
        Asset {
            name: $name,
            media_type: $media_type,
            bytes: include_bytes!(concat!("assets/", $name)),
        }
    };
}

const SCRIPT_TYPE: &str = "text/javascript; charset=utf-8";

const PAGE: Asset = asset!("index.html", "text/html; charset=utf-8");

const ASSETS: &[Asset] = &[
    asset!("app.js", SCRIPT_TYPE),
    asset!("announcer.js", SCRIPT_TYPE),
    asset!("feed.js", SCRIPT_TYPE),
    asset!("format.js", SCRIPT_TYPE),
    asset!("job_list.js", SCRIPT_TYPE),
    asset!("player.js", SCRIPT_TYPE),
    asset!("uploads.js", SCRIPT_TYPE),
    asset!("hls.min.js", SCRIPT_TYPE),
    asset!("style.css", "text/css; charset=utf-8"),
    asset!("icon.svg", "image/svg+xml"),
];

impl IntoResponse for Asset {
    fn into_response(self) -> Response {
        // The next binary brings other files under the same names.
        let headers = [
            (header::CONTENT_TYPE, self.media_type),
            (header::CACHE_CONTROL, "no-cache"),
        ];
        (headers, self.bytes).into_response()
    }
}

/// Answers with the page itself.
pub(super) async fn page() -> Response {
    PAGE.into_response()
}

/// Answers with one of the page's files, or 404.
pub(super) async fn asset(Path(name): Path<String>) -> Response {
    match ASSETS.iter().find(|asset| asset.name == name) {
        Some(asset) => asset.into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
