//! Whom an https server is vouched for by: the certificate authorities this system trusts, read once, at the first need.

use std::sync::Arc;

use tokio::{sync::OnceCell, task::spawn_blocking};
use tokio_rustls::{
    TlsConnector,
    rustls::{self, CertificateError, ClientConfig, RootCertStore, crypto::ring},
};
use wasmtime_wasi_http::Error;

/// The trusted authorities; none until they are needed.
#[derive(Default)]
pub(super) struct Trust {
    config: OnceCell<Arc<ClientConfig>>,
}

impl Trust {
    /// What opens a connection. Errors: this system trusts nobody, as a sentence; it is looked for anew the next time.
    pub(super) async fn connector(&self) -> Result<TlsConnector, String> {
        let read = || async { spawn_blocking(client_config).await.unwrap_or_else(|error| Err(error.to_string())) };
        let config = self.config.get_or_try_init(read).await?;
        Ok(TlsConnector::from(config.clone()))
    }
}

fn client_config() -> Result<Arc<ClientConfig>, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (trusted, _) = roots.add_parsable_certificates(found.certs);
    if trusted == 0 {
        let why = found.errors.first().map(|error| format!(" ({error})")).unwrap_or_default();
        return Err(format!(
            "this system has no certificate authorities to trust{why}; install its package of them, often called \
             ca-certificates, or name a file of them in SSL_CERT_FILE"
        ));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// What a guest is told of a failed handshake, and what its log is told.
pub(super) fn refusal(error: std::io::Error) -> (Error, String) {
    let said = error.to_string();
    let cause = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match cause {
        Some(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)) => (
            Error::TlsCertificateError,
            "its certificate is of an authority this system does not trust; if it should, add it to the system's, or to \
             the file SSL_CERT_FILE names"
                .to_owned(),
        ),
        Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented) => {
            (Error::TlsCertificateError, format!("its certificate is not valid: {said}"))
        }
        Some(rustls::Error::AlertReceived(alert)) => {
            let alert_message = Some(format!("{alert:?}"));
            (Error::TlsAlertReceived { alert_id: Some(u8::from(*alert)), alert_message }, said)
        }
        Some(_) => (Error::TlsProtocolError, said),
        None => (Error::ConnectionTerminated, said),
    }
}
