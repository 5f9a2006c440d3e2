//! A NATS that knows its users by JWTs: an operator, an account with streams, and credentials files
//! of its users.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use nkeys::KeyPair;
use serde_json::{Value, json};

/// Who vouches for accounts.
pub(crate) struct Operator {
    operator: KeyPair,
    system: KeyPair,
    /// The account of fluxhls.
    pub(crate) account: KeyPair,
}

impl Operator {
    /// A new one, with a new account.
    pub(crate) fn new() -> Self {
        Self {
            operator: KeyPair::new_operator(),
            system: KeyPair::new_account(),
            account: KeyPair::new_account(),
        }
    }

    /// What a server has to know of them.
    pub(crate) fn configuration(&self) -> String {
        let unlimited = json!({"limits": {"subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true,
            "conn": -1, "leaf": -1, "mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1}});

        // A system account may not have streams.
        let quiet = json!({"limits": {"subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true,
            "conn": -1, "leaf": -1}});

        format!(
            "operator: {}\nsystem_account: {}\nresolver: MEMORY\nresolver_preload {{ {}: {}, {}: {} }}",
            jwt(&self.operator, &self.operator, "operator", &json!({}), None),
            self.system.public_key(),
            self.system.public_key(),
            jwt(&self.operator, &self.system, "account", &quiet, None),
            self.account.public_key(),
            jwt(&self.operator, &self.account, "account", &unlimited, None),
        )
    }
}

/// The text of a credentials file of a user of an account, whose JWT may expire.
pub(crate) fn credentials(
    account: &KeyPair,
    user: &KeyPair,
    expires: Option<DateTime<Utc>>,
) -> String {
    let claims = json!({"subs": -1, "data": -1, "payload": -1});
    format!(
        "-----BEGIN NATS USER JWT-----\n{}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
        jwt(account, user, "user", &claims, expires),
        user.seed().unwrap()
    )
}

/// A token of NATS: claims of `subject`, signed by `issuer`.
fn jwt(
    issuer: &KeyPair,
    subject: &KeyPair,
    kind: &str,
    claims: &Value,
    expires: Option<DateTime<Utc>>,
) -> String {
    let mut nats = json!({"type": kind, "version": 2});
    nats.as_object_mut()
        .unwrap()
        .extend(claims.as_object().unwrap().clone());
    let mut body = json!({"jti": cuid2::create_id(), "iat": 1_700_000_000, "iss": issuer.public_key(), "sub": subject.public_key(),
        "name": kind, "nats": nats});
    if let Some(expires) = expires {
        body["exp"] = json!(expires.timestamp());
    }

    // The compact form of a JWS (RFC 7515, section 7.1), signed by an nkey.
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!(
        "{}.{}",
        encode(&json!({"typ": "JWT", "alg": "ed25519-nkey"})),
        encode(&body)
    );

    let signature = URL_SAFE_NO_PAD.encode(issuer.sign(signed.as_bytes()).unwrap());
    format!("{signed}.{signature}")
}
