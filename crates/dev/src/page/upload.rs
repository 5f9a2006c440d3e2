//! The way of a file from the browser to the page handle.

use std::io;

use axum::Json;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::{StreamExt, TryStreamExt};
use serde::Deserialize;
use tokio::sync::oneshot;

use super::page_handle::{Accepted, PageHandle, Refusal, UploadRequest};

/// The longest file name, in characters; the tables' column is as long.
const MAX_NAME_CHARS: usize = 255;

/// The query of an upload.
#[derive(Debug, Deserialize)]
pub(super) struct UploadQuery {
    name: String,
}

/// Passes the body on as it arrives and answers with the ids once the page handle has them.
pub(super) async fn upload(
    State(page_handle): State<PageHandle>,
    Query(query): Query<UploadQuery>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Accepted>, RefusedUpload> {
    let name = file_name(&query.name).ok_or_else(RefusedUpload::no_name)?;
    let text = |name: HeaderName| headers.get(name)?.to_str().ok().map(str::to_owned);

    let (reply, answer) = oneshot::channel();
    let request = UploadRequest {
        name,
        size: text(header::CONTENT_LENGTH).and_then(|length| length.parse().ok()),
        content_type: text(header::CONTENT_TYPE),
        body: body.into_data_stream().map_err(io::Error::other).boxed(),
        reply,
    };

    // Sending and waiting fail only when the other end of the page handle is gone, as when the server
    // stops.
    page_handle
        .uploads
        .send(request)
        .await
        .map_err(|_| RefusedUpload::stopping())?;
    match answer.await {
        Ok(Ok(accepted)) => Ok(Json(accepted)),
        Ok(Err(refusal)) => Err(RefusedUpload {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            refusal,
        }),
        Err(_) => Err(RefusedUpload::stopping()),
    }
}

/// The last part of a path in either system's spelling, cut to what the tables hold; `None` when
/// nothing is left.
fn file_name(path: &str) -> Option<String> {
    let name = path.rsplit(['/', '\\']).next().unwrap_or_default();
    let name = name
        .chars()
        .filter(|character| !character.is_control())
        .take(MAX_NAME_CHARS)
        .collect::<String>();
    let name = name.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

/// An upload that became nothing, with the status that says whose fault it is.
#[derive(Debug)]
pub(super) struct RefusedUpload {
    status: StatusCode,
    refusal: Refusal,
}

impl RefusedUpload {
    fn no_name() -> Self {
        let refusal = Refusal {
            code: "invalid_name".to_owned(),
            message: "The file has no usable name.".to_owned(),
        };
        Self {
            status: StatusCode::BAD_REQUEST,
            refusal,
        }
    }

    fn stopping() -> Self {
        let message = "The server is stopping and accepts no more files.".to_owned();
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            refusal: Refusal {
                code: "stopping".to_owned(),
                message,
            },
        }
    }
}

impl IntoResponse for RefusedUpload {
    fn into_response(self) -> Response {
        (self.status, Json(self.refusal)).into_response()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_loses_its_folder_and_its_control_characters() {
        for (path, name) in [
            ("clip.mp4", Some("clip.mp4")),
            ("C:\\films\\ä b.mov", Some("ä b.mov")),
            ("../../etc/passwd", Some("passwd")),
            ("a\0b\n.mp4", Some("ab.mp4")),
            (" ", None),
            ("folder/", None),
            ("", None),
        ] {
            assert_eq!(file_name(path).as_deref(), name, "{path:?}");
        }
    }

    proptest! {
        #[test]
        fn a_name_always_fits_its_column(path in "\\PC{0,400}") {
            if let Some(name) = file_name(&path) {
                prop_assert!((1..=MAX_NAME_CHARS).contains(&name.chars().count()) && !name.contains(['/', '\\', '\0']));
            }
        }
    }
}
