//! Certificates made for one test.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// An authority that signs certificates, and its own in a file.
pub(crate) struct Authority {
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate.
    pub(crate) file: PathBuf,
}

/// A certificate and its key.
#[derive(Debug, Clone)]
pub(crate) struct Certified {
    certificate: String,
    key: String,
    /// The certificate in a file.
    pub(crate) certificate_file: PathBuf,
    /// The key in a file.
    pub(crate) key_file: PathBuf,
}

impl Authority {
    /// A new one, whose files lie in `folder`.
    pub(crate) fn new(folder: &Path, name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);

        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let file = write(folder, &format!("{name}.pem"), &certificate.pem());

        Self {
            folder: folder.to_owned(),
            issuer: Issuer::new(params, key),
            file,
        }
    }

    /// A certificate for a host name or address.
    pub(crate) fn certify(&self, name: &str) -> Certified {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        let key = key.serialize_pem();

        let id = cuid2::create_id();
        Certified {
            certificate_file: write(&self.folder, &format!("{id}.pem"), &certificate),
            key_file: write(&self.folder, &format!("{id}.key"), &key),
            certificate,
            key,
        }
    }
}

impl Certified {
    /// PEM of the certificate and of the key.
    pub(crate) fn pem(self) -> (String, String) {
        (self.certificate, self.key)
    }
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}
