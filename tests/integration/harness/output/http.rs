//! Plain HTTP, as a player speaks it.

use url::Url;

/// An answer to a GET.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// Status code.
    pub(crate) status: u16,
    /// `Content-Type`, empty where absent.
    pub(crate) content_type: String,
    /// `Cache-Control`, empty where absent.
    pub(crate) cache_control: String,
    /// The body.
    pub(crate) body: Vec<u8>,
}

/// Gets all of `url` without any credentials.
pub(crate) async fn get(url: &Url) -> Answer {
    request(url, None)
        .await
        .unwrap_or_else(|error| panic!("{url}: {error}"))
}

/// Gets `range` of `url`; an error when the answer is not whole.
pub(crate) async fn try_get(url: &Url, range: &str) -> Result<Answer, ureq::Error> {
    request(url, Some(range)).await
}

async fn request(url: &Url, range: Option<&str>) -> Result<Answer, ureq::Error> {
    let (url, range) = (url.clone(), range.map(str::to_owned));
    tokio::task::spawn_blocking(move || fetch(&url, range.as_deref()))
        .await
        .unwrap()
}

fn fetch(url: &Url, range: Option<&str>) -> Result<Answer, ureq::Error> {
    // Whatever its status, an answer is for the test to judge.
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build();
    let mut request = ureq::Agent::new_with_config(config).get(url.as_str());
    if let Some(range) = range {
        request = request.header("range", range);
    }

    let mut response = request.call()?;
    let header = |name: &str| {
        response
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned()
    };
    let (content_type, cache_control) = (header("content-type"), header("cache-control"));
    let status = response.status().as_u16();
    let body = response
        .body_mut()
        .with_config()
        .limit(1 << 30)
        .read_to_vec()?;

    Ok(Answer {
        status,
        content_type,
        cache_control,
        body,
    })
}
