//! Where NATS is and how to be let in, and the one place that takes user information out of its
//! URLs.

use std::path::PathBuf;

use async_nats::ServerAddr;
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::ConnectError;

/// Where JetStream's API is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Api {
    /// At the servers of the connection.
    #[default]
    Here,
    /// In a domain behind leaf nodes.
    Domain(String),
    /// In another account, which exports it under this prefix.
    Prefix(String),
}

impl Api {
    /// What its subjects begin with.
    #[must_use]
    pub fn prefix(&self) -> String {
        match self {
            Self::Here => "$JS.API".to_owned(),
            Self::Domain(domain) => format!("$JS.{domain}.API"),
            Self::Prefix(prefix) => prefix.trim_end_matches('.').to_owned(),
        }
    }
}

/// Where NATS is and how to be let in.
#[derive(Debug, Clone)]
pub struct NatsSettings {
    /// One or several comma-separated `nats://` or `tls://` URLs. Secret, since they may hold a
    /// password or token.
    pub url: SecretString,
    /// A credentials file: a JWT and the seed of its key.
    pub credentials: Option<PathBuf>,
    /// A file with the seed of an nkey.
    pub nkey: Option<PathBuf>,
    /// The user whose password is in `password_file`.
    pub user: Option<String>,
    /// A file with the password of `user`.
    pub password_file: Option<PathBuf>,
    /// A file with a token.
    pub token_file: Option<PathBuf>,
    /// Where JetStream's API is.
    pub api: Api,
    /// PEM file of the authorities that sign the servers' certificates; those of the system when
    /// absent.
    pub ca: Option<PathBuf>,
    /// PEM file of the client certificate, for servers that require one; needs `key`.
    pub certificate: Option<PathBuf>,
    /// PEM file of the private key of `certificate`.
    pub key: Option<PathBuf>,
    /// The name the server shows for this connection.
    pub name: String,
}

impl NatsSettings {
    /// Settings of a connection named `name` to `url`, with nothing to show but what the URL holds.
    #[must_use]
    pub fn new(url: impl Into<SecretString>, name: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            credentials: None,
            nkey: None,
            user: None,
            password_file: None,
            token_file: None,
            api: Api::default(),
            ca: None,
            certificate: None,
            key: None,
            name: name.into(),
        }
    }

    /// The servers of the URL.
    ///
    /// # Errors
    /// When one of the URLs cannot be read, or two of them name different users. Never with a part
    /// of the URL that may be a secret.
    pub(super) fn servers(&self) -> Result<Servers, ConnectError> {
        let mut servers = Servers::default();
        for (index, text) in self
            .url
            .expose_secret()
            .split(',')
            .map(str::trim)
            .enumerate()
        {
            // By number, because the text may hold a secret.
            let refuse = |reason: &str| ConnectError::Setting {
                setting: "NATS_URL",
                reason: format!(
                    "its URL number {} {reason}; it must look like nats://[user:password@]host[:port] or tls://…, with \
                     %-escapes for , / ? # @ : in user and password",
                    index + 1
                ),
            };

            let text = if text.contains("://") {
                text.to_owned()
            } else {
                format!("nats://{text}")
            };
            let mut url =
                Url::parse(&text).map_err(|error| refuse(&format!("cannot be read ({error})")))?;
            if !matches!(url.scheme(), "nats" | "tls") {
                return Err(refuse("is not nats:// or tls://"));
            }
            // A slash in a password makes a path of its rest, and a host of the user.
            if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some()
            {
                return Err(refuse("continues after the port"));
            }

            let login = Login::of(&url);
            if login.is_some() && servers.login.is_some() && login != servers.login {
                return Err(refuse("names another user than one before it"));
            }
            servers.login = login.or(servers.login);
            servers.tls |= url.scheme() == "tls";

            // Both can fail only for URLs without a host, which have no user either.
            let stripped = url.set_username("").and_then(|()| url.set_password(None));
            stripped.map_err(|()| refuse("names no host"))?;
            servers
                .addresses
                .push(ServerAddr::from_url(url).map_err(|_| refuse("names no host"))?);
        }

        Ok(servers)
    }
}

/// What a list of URLs says, its secrets apart.
#[derive(Debug, Default)]
pub(super) struct Servers {
    /// The servers, without user information.
    pub(super) addresses: Vec<ServerAddr>,
    /// The identity, if the URLs contain it.
    pub(super) login: Option<Login>,
    /// Whether one of them requires TLS. Then all do: a cluster announces servers that no URL
    /// names.
    pub(super) tls: bool,
}

impl Servers {
    /// The list for messages.
    pub(super) fn shown(&self) -> String {
        let shown: Vec<&str> = self
            .addresses
            .iter()
            .map(|address| address.as_url_str().trim_end_matches('/'))
            .collect();
        shown.join(",")
    }
}

/// User information of a URL.
#[derive(Debug)]
pub(super) enum Login {
    /// A user and a password.
    Password(String, SecretString),
    /// A token: user information without a password.
    Token(SecretString),
}

impl Login {
    fn of(url: &Url) -> Option<Self> {
        let plain = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let user = plain(url.username());
        match url.password() {
            Some(password) => Some(Self::Password(user, plain(password).into())),
            None if user.is_empty() => None,
            None => Some(Self::Token(user.into())),
        }
    }

    fn text(&self) -> (&str, &str) {
        match self {
            Self::Password(user, password) => (user, password.expose_secret()),
            Self::Token(token) => ("", token.expose_secret()),
        }
    }
}

impl PartialEq for Login {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(url: &str) -> Result<Servers, ConnectError> {
        NatsSettings::new(url, "test").servers()
    }

    #[test]
    fn user_information_is_taken_out_of_every_url() {
        let found = servers("nats://us%40r:p%2Fw@a:4222, tls://b, c:1").unwrap();
        assert_eq!(found.shown(), "nats://a:4222,tls://b,nats://c:1");
        assert_eq!(
            found.login,
            Some(Login::Password("us@r".to_owned(), "p/w".to_owned().into()))
        );
        assert!(found.tls);

        let token = servers("nats://t0ken@a").unwrap();
        assert_eq!(token.login, Some(Login::Token("t0ken".to_owned().into())));
        assert!(!token.tls && servers("a").unwrap().login.is_none());
    }

    #[test]
    fn what_cannot_be_read_is_refused_without_showing_it() {
        for url in [
            "nats://u:hush/pw@a:4222",
            "nats://u:1/hush@a",
            "nats://hush:hush@",
            "http://u:hush@a",
            "nats://u:hush@a,nats://v:hush@b",
            "nats://a?hush",
            "nats://u:hush@a:99999",
        ] {
            let error = servers(url).unwrap_err().to_string();
            assert!(
                error.starts_with("NATS_URL: its URL number"),
                "{url}: {error}"
            );
            assert!(!error.contains("hush"), "{url}: {error}");
        }
    }

    #[test]
    fn settings_can_be_printed_without_their_secrets() {
        let settings = NatsSettings::new("nats://u:hush@a", "test");
        let shown = format!("{settings:?} {:?}", settings.servers().unwrap());
        assert!(!shown.contains("hush"), "{shown}");
    }
}
