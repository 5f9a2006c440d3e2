//! The identity of this process for NATS, read at every connect: files with secrets are rotated
//! while a process runs.

use std::path::{Path, PathBuf};

use async_nats::{Auth, AuthError};
use nkeys::KeyPair;
use secrecy::{ExposeSecret as _, SecretString};

use super::settings::Login;
use super::{ConnectError, NatsSettings};

/// How this process identifies itself to a server. Of files only the path is kept.
#[derive(Debug, Clone)]
pub(super) enum Identity {
    /// A credentials file: a JWT and the seed of its key.
    Credentials(PathBuf),
    /// A file with the seed of an nkey.
    Nkey(PathBuf),
    /// A user, and the file of its password.
    PasswordFile(String, PathBuf),
    /// The file of a token.
    TokenFile(PathBuf),
    /// A user and password of the URL.
    Password(String, SecretString),
    /// A token of the URL.
    Token(SecretString),
}

impl Identity {
    /// The one that the settings name; none where they name none.
    pub(super) fn of(
        settings: &NatsSettings,
        login: Option<&Login>,
    ) -> Result<Option<Self>, ConnectError> {
        let named = match (&settings.user, &settings.password_file) {
            (Some(user), Some(path)) => Some(Self::PasswordFile(user.clone(), path.clone())),
            (None, None) => None,
            (Some(_), None) => {
                return Err(unfit(
                    "NATS_USER",
                    "has no password; set NATS_PASSWORD_FILE, too",
                ));
            }
            (None, Some(_)) => {
                return Err(unfit(
                    "NATS_PASSWORD_FILE",
                    "has no user; set NATS_USER, too",
                ));
            }
        };

        let in_url = login.map(|login| match login {
            Login::Password(user, password) => Self::Password(user.clone(), password.clone()),
            Login::Token(token) => Self::Token(token.clone()),
        });

        let credentials = settings.credentials.clone().map(Self::Credentials);
        let nkey = settings.nkey.clone().map(Self::Nkey);
        let token = settings.token_file.clone().map(Self::TokenFile);

        // The order is the precedence: files go before the URL.
        Ok(credentials.or(nkey).or(named).or(token).or(in_url))
    }

    /// The credentials for a server that requests a signature of `nonce`, with the current files.
    pub(super) fn read(&self, nonce: &[u8]) -> Result<Auth, ConnectError> {
        let mut auth = Auth::new();
        match self {
            Self::Credentials(path) => {
                let (jwt, key) = credentials(path)?;
                auth.signature = Some(sign(&key, nonce, "NATS_CREDENTIALS", path)?);
                auth.jwt = Some(jwt);
            }
            Self::Nkey(path) => {
                let key = seed(path)?;
                auth.signature = Some(sign(&key, nonce, "NATS_NKEY", path)?);
                auth.nkey = Some(key.public_key());
            }
            Self::PasswordFile(user, path) => {
                auth.username = Some(user.clone());
                auth.password = Some(secret("NATS_PASSWORD_FILE", path)?);
            }
            Self::TokenFile(path) => auth.token = Some(secret("NATS_TOKEN_FILE", path)?),
            Self::Password(user, password) => {
                auth.username = Some(user.clone());
                auth.password = Some(password.expose_secret().to_owned());
            }
            Self::Token(token) => auth.token = Some(token.expose_secret().to_owned()),
        }

        Ok(auth)
    }

    /// As [`Identity::read`], for the client, which passes on only words.
    pub(super) fn answer(&self, nonce: &[u8]) -> Result<Auth, AuthError> {
        self.read(nonce).map_err(AuthError::new)
    }

    /// What to check when a server refuses the connection.
    pub(super) const fn setting(&self) -> &'static str {
        match self {
            Self::Credentials(_) => "the credentials file NATS_CREDENTIALS",
            Self::Nkey(_) => "the key in NATS_NKEY",
            Self::PasswordFile(..) => "NATS_USER and the password in NATS_PASSWORD_FILE",
            Self::TokenFile(_) => "the token in NATS_TOKEN_FILE",
            Self::Password(..) | Self::Token(_) => "the user or token in NATS_URL",
        }
    }
}

/// The JWT and the key of a credentials file, as `nsc` writes it: two blocks, each between a line
/// `-----BEGIN …-----` and one that ends it.
fn credentials(path: &Path) -> Result<(String, KeyPair), ConnectError> {
    let text = read("NATS_CREDENTIALS", path)?;

    let block = |title: &str| {
        let mut lines = text.lines().map(str::trim);
        lines.find(|line| line.starts_with("---") && line.contains(title))?;
        lines
            .next()
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
    };

    let key = block("BEGIN USER NKEY SEED").and_then(|seed| KeyPair::from_seed(&seed).ok());
    match (block("BEGIN NATS USER JWT"), key) {
        (Some(jwt), Some(key)) => Ok((jwt, key)),
        _ => Err(unfit_file(
            "NATS_CREDENTIALS",
            path,
            "is not a credentials file, which has the JWT of a user and the seed of its key",
        )),
    }
}

/// The key in a file as `nk -gen user` or `nsc` writes it.
fn seed(path: &Path) -> Result<KeyPair, ConnectError> {
    let text = read("NATS_NKEY", path)?;
    let seed = text
        .lines()
        .map(str::trim)
        .find(|line| line.starts_with("SU"));
    seed.and_then(|seed| KeyPair::from_seed(seed).ok())
        .ok_or_else(|| {
            unfit_file(
                "NATS_NKEY",
                path,
                "holds no seed of a user, which is a line that begins with SU",
            )
        })
}

/// The secret in a file: its first line, since editors end one with a line break.
fn secret(setting: &'static str, path: &Path) -> Result<String, ConnectError> {
    let text = read(setting, path)?;
    let line = text.lines().next().filter(|line| !line.is_empty());
    line.map(str::to_owned)
        .ok_or_else(|| unfit_file(setting, path, "is empty"))
}

fn read(setting: &'static str, path: &Path) -> Result<String, ConnectError> {
    std::fs::read_to_string(path)
        .map_err(|error| unfit_file(setting, path, &format!("cannot be read ({error})")))
}

fn sign(
    key: &KeyPair,
    nonce: &[u8],
    setting: &'static str,
    path: &Path,
) -> Result<Vec<u8>, ConnectError> {
    let signed = key.sign(nonce);
    signed.map_err(|error| {
        unfit_file(
            setting,
            path,
            &format!("has a key that cannot sign ({error})"),
        )
    })
}

/// A file that is of no use.
pub(super) fn unfit_file(setting: &'static str, path: &Path, why: &str) -> ConnectError {
    unfit(setting, &format!("{} {why}", path.display()))
}

fn unfit(setting: &'static str, why: &str) -> ConnectError {
    ConnectError::Setting {
        setting,
        reason: why.to_owned(),
    }
}
