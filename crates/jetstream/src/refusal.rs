//! What to do about a server that refuses the connection.

use std::error::Error;
use std::io;

use async_nats::rustls::{self, AlertDescription, CertificateError};
use async_nats::{ConnectError, ConnectErrorKind};

use super::NatsSettings;
use super::identity::Identity;

/// What to do about a refused connection, by the setting that can fix it.
pub(super) fn advice(
    error: &ConnectError,
    settings: &NatsSettings,
    identity: Option<&Identity>,
) -> String {
    if let Some(trouble) = tls_error(error) {
        return about_tls(trouble, settings);
    }

    match error.kind() {
        ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => match identity {
            Some(identity) => format!("check {}, and that the server knows it", identity.setting()),
            None => {
                "the server requires authentication: set NATS_CREDENTIALS, NATS_NKEY, or a user in NATS_URL".to_owned()
            }
        },
        ConnectErrorKind::Tls => "check NATS_CA, NATS_CERT and NATS_KEY".to_owned(),
        _ if settings.certificate.is_some() => {
            "check NATS_URL, that nats-server runs, and that it accepts the certificate NATS_CERT".to_owned()
        }
        _ => "check NATS_URL and that nats-server runs".to_owned(),
    }
}

/// What TLS itself says, however deep the client has wrapped it.
fn tls_error(error: &ConnectError) -> Option<&rustls::Error> {
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref::<rustls::Error>() {
            return Some(found);
        }

        // The `source` of an I/O error leaves out the error that it wraps.
        let wrapped = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        cause = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }

    None
}

fn about_tls(trouble: &rustls::Error, settings: &NatsSettings) -> String {
    use rustls::Error::{AlertReceived, InvalidCertificate, InvalidMessage};

    match trouble {
        InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "the server's certificate is for another name: use one of its names in NATS_URL"
            .to_owned(),
        InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "the server needs a new certificate, or this machine's clock is wrong".to_owned()
        }
        InvalidCertificate(_) => match &settings.ca {
            Some(path) => format!(
                "NATS_CA must name the authority that signed the server's certificate, which {} does not",
                path.display()
            ),
            None => "set NATS_CA to the file of the authority that signed the server's certificate"
                .to_owned(),
        },
        AlertReceived(AlertDescription::CertificateRequired) => {
            "the server requires a client certificate: set NATS_CERT and NATS_KEY".to_owned()
        }
        AlertReceived(_) if settings.certificate.is_some() => {
            "the server does not accept the certificate NATS_CERT".to_owned()
        }
        AlertReceived(_) => {
            "the server may require a client certificate: set NATS_CERT and NATS_KEY".to_owned()
        }
        InvalidMessage(_) => {
            "the server does not speak TLS: turn it on there, or use nats:// in NATS_URL".to_owned()
        }
        _ => "check NATS_CA, NATS_CERT and NATS_KEY".to_owned(),
    }
}
