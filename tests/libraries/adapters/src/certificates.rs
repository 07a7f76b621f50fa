//! A self-signed certificate for `localhost`, made once per process, and what rustls needs to use and to trust it.

use std::sync::{Arc, LazyLock};

use rcgen::{CertifiedKey, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// The name the certificate is for.
pub const NAME: &str = "localhost";

static IDENTITY: LazyLock<CertifiedKey<KeyPair>> =
    LazyLock::new(|| rcgen::generate_simple_self_signed([NAME.to_owned()]).unwrap());

fn certificate() -> CertificateDer<'static> {
    IDENTITY.cert.der().clone()
}

/// A server that shows the certificate.
pub fn server_config() -> ServerConfig {
    let key = PrivatePkcs8KeyDer::from(IDENTITY.signing_key.serialize_der());
    ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate()], PrivateKeyDer::from(key))
        .unwrap()
}

/// A client that trusts the certificate, and no other.
pub fn client_config() -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(certificate()).unwrap();
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}
