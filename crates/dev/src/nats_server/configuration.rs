//! The configuration file of the server, as a pure function.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::json;

/// The largest message in bytes, the server's own default; a fact is far smaller.
const MAX_PAYLOAD: u32 = 1024 * 1024;

/// Renders the configuration file.
///
/// nats-server's format reads JSON, whose quoting is exact for any path.
pub(super) fn render(name: &str, address: SocketAddr, store: &Path) -> String {
    let settings = json!({
        "server_name": name,
        "listen": address.to_string(),
        "max_payload": MAX_PAYLOAD,
        "jetstream": {
            "store_dir": store.display().to_string(),
            // A single node has no replica to recover from: what it acknowledged must be on disk.
            "sync_interval": "always",
        },
    });
    format!("{settings:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_quotes_any_path() {
        let text = render(
            "dev-1",
            SocketAddr::from(([127, 0, 0, 1], 4222)),
            Path::new("/tmp/a \"b\" \\ $c/é"),
        );

        let golden = concat!(
            "{\n",
            "  \"jetstream\": {\n",
            "    \"store_dir\": \"/tmp/a \\\"b\\\" \\\\ $c/é\",\n",
            "    \"sync_interval\": \"always\"\n",
            "  },\n",
            "  \"listen\": \"127.0.0.1:4222\",\n",
            "  \"max_payload\": 1048576,\n",
            "  \"server_name\": \"dev-1\"\n",
            "}\n",
        );
        assert_eq!(text, golden);
    }
}
