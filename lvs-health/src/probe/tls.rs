//! TLS 1.2 and 1.3 around any probe of a stream. The only file that knows rustls.
//!
//! As with keepalived, certificates are not looked at unless that is asked for ([`check::Tls::verify`]): whoever is there is
//! asked. Sessions are not resumed, so each run makes a whole handshake and meets today's certificate. When it is
//! expired is told by the system's clock, the one thing that these probes do not get from their driver.
//!
//! rustls speaks no TLS 1.0 and 1.1 and no key exchange without forward secrecy; servers that offer nothing else are reported as such.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Weak};

use std::collections::HashMap;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct,
    Error, PeerIncompatible, RootCertStore, SignatureScheme,
};

use super::shown::shown;
use super::{Failure, Probe, Progress, Reason, Verdict};
use crate::check;

/// Prepares sessions, and keeps what they share: the system's authorities, and one configuration for all checks that differ
/// in names only.
#[derive(Debug)]
pub struct Library {
    provider: Arc<CryptoProvider>,
    system: Option<Arc<RootCertStore>>,
    configs: HashMap<check::Tls, Weak<ClientConfig>>,
}

impl Default for Library {
    fn default() -> Self {
        Self {
            provider: Arc::new(ring::default_provider()),
            system: None,
            configs: HashMap::new(),
        }
    }
}

impl Library {
    /// For sessions with a server. Certificates and keys are read from their files now.
    ///
    /// # Errors
    ///
    /// [`Reason::Local`]: the server's name is none, a file cannot be read or holds nothing of use.
    pub fn session(&mut self, tls: &check::Tls, addr: IpAddr) -> Result<Session, Failure> {
        let name = match &tls.server_name {
            // An address is not sent as a name.
            None => ServerName::from(addr),
            Some(name) => ServerName::try_from(name.clone())
                .map_err(|_| local(format!("no server name: {}", shown(name.as_bytes()))))?,
        };
        let key = check::Tls {
            server_name: None,
            ..tls.clone()
        };
        let config = match self.configs.get(&key).and_then(Weak::upgrade) {
            Some(config) => config,
            None => {
                let config = Arc::new(self.config(&key)?);
                self.configs.retain(|_, config| config.strong_count() > 0);
                self.configs.insert(key, Arc::downgrade(&config));
                config
            }
        };
        Ok(Session { config, name })
    }

    fn config(&mut self, tls: &check::Tls) -> Result<ClientConfig, Failure> {
        let verifier: Arc<dyn ServerCertVerifier> = match tls.verify {
            false => Arc::new(Anybody),
            true => {
                let roots = self.authorities(tls.authorities.as_deref())?;
                WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&self.provider))
                    .build()
                    .map_err(|e| local(e.to_string()))?
            }
        };
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(|e| local(e.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match &tls.identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = certificates(certificate)?;
                regular(key)?;
                let key = PrivateKeyDer::from_pem_file(key).map_err(|e| bad_file(key, &e))?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|e| bad_file(certificate, &e))?
            }
        };
        config.resumption = Resumption::disabled();
        Ok(config)
    }

    fn authorities(&mut self, file: Option<&Path>) -> Result<Arc<RootCertStore>, Failure> {
        if let Some(file) = file {
            return roots(certificates(file)?).ok_or_else(|| bad_file(file, &"no authority in it"));
        }
        if let Some(system) = &self.system {
            return Ok(Arc::clone(system));
        }
        let found = rustls_native_certs::load_native_certs();
        let Some(system) = roots(found.certs) else {
            let why = found.errors.first().map(|e| format!(": {e}"));
            let why = why.unwrap_or_default();
            return Err(local(format!("the system knows no authorities{why}")));
        };
        self.system = Some(Arc::clone(&system));
        Ok(system)
    }
}

/// What is needed to make sessions with one server, by one configuration.
#[derive(Clone, Debug)]
pub struct Session {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Session {
    /// A probe that makes a session, and asks in it what another probe asks.
    pub fn wrap<P: Probe>(&self, probe: P) -> Tls<P> {
        Tls {
            session: self.clone(),
            connection: None,
            begun: false,
            established: false,
            probe,
        }
    }
}

/// One run of another probe within TLS.
///
/// Memory, beside the other probe's: 5 KiB; while a server sends a handshake message of the greatest length that rustls takes
/// (64 KiB), 70 KiB and for moments 100.
#[derive(Debug)]
pub struct Tls<P> {
    session: Session,
    connection: Option<ClientConnection>,
    /// Whether the server has sent anything.
    begun: bool,
    /// Whether the other probe knows that it is connected.
    established: bool,
    probe: P,
}

impl<P: Probe> Tls<P> {
    /// The other probe.
    pub fn inner(&self) -> &P {
        &self.probe
    }

    fn connect(&mut self, out: &mut Vec<u8>) -> Result<(), Failure> {
        let Session { config, name } = &self.session;
        let connection = ClientConnection::new(Arc::clone(config), name.clone())
            .map_err(|e| local(e.to_string()))?;
        send(self.connection.insert(connection), out)
    }

    fn take(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) -> Result<Progress, Failure> {
        if let (false, Some(first)) = (self.begun, bytes.first()) {
            // The types of records (RFC 8446, section 5.1).
            if !(20..=24).contains(first) {
                let detail = format!("what is said is not TLS: {}", shown(bytes));
                return Err(Failure::new(Reason::Tls, detail));
            }
            self.begun = true;
        }
        let Some(connection) = &mut self.connection else {
            return Ok(Progress::More);
        };
        while !bytes.is_empty() {
            connection.read_tls(&mut bytes).map_err(broken)?;
            let processed = connection.process_new_packets();
            // Replies, and the alert that says what we make of an error.
            send(connection, out)?;
            // What was well before an error is heard first, so that it does not matter how both are cut.
            let progress = converse(connection, &mut self.established, &mut self.probe, out)?;
            if let Progress::Done(_) = progress {
                connection.send_close_notify();
                send(connection, out)?;
                return Ok(progress);
            }
            processed.map_err(|e| failure(&e))?;
        }
        Ok(Progress::More)
    }
}

impl<P: Probe> Probe for Tls<P> {
    fn opened(&mut self, out: &mut Vec<u8>) -> Progress {
        match self.connect(out) {
            Ok(()) => Progress::More,
            Err(failure) => Progress::Done(Err(failure)),
        }
    }

    fn received(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Progress {
        self.take(bytes, out)
            .unwrap_or_else(|failure| Progress::Done(Err(failure)))
    }

    /// Many servers close without taking leave of TLS: the other probe knows whether it has all.
    fn closed(&mut self) -> Verdict {
        match self.established {
            true => self.probe.closed(),
            false => Err(Failure::new(Reason::Tls, "closed in the handshake")),
        }
    }

    fn expired(&mut self) -> Verdict {
        match self.established {
            true => self.probe.expired(),
            false => Err(Failure::new(Reason::AnswerTimeout, "in the TLS handshake")),
        }
    }
}

/// Passes on what the server says within the session, and what is said to it.
fn converse<P: Probe>(
    connection: &mut ClientConnection,
    established: &mut bool,
    probe: &mut P,
    out: &mut Vec<u8>,
) -> Result<Progress, Failure> {
    let mut said = Vec::new();
    let mut progress = Progress::More;
    if !*established && !connection.is_handshaking() {
        *established = true;
        progress = probe.opened(&mut said);
    }
    let mut heard = [0; 4096];
    while progress == Progress::More {
        progress = match connection.reader().read(&mut heard) {
            Ok(0) if *established => Progress::Done(probe.closed()),
            Ok(0) => {
                let detail = "the server ended the session in the handshake";
                return Err(Failure::new(Reason::Tls, detail));
            }
            Ok(len) => probe.received(heard.get(..len).unwrap_or_default(), &mut said),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
            Err(e) => return Err(broken(e)),
        };
    }
    connection.writer().write_all(&said).map_err(broken)?;
    send(connection, out)?;
    Ok(progress)
}

/// What rustls has to send.
fn send(connection: &mut ClientConnection, out: &mut Vec<u8>) -> Result<(), Failure> {
    while connection.wants_write() {
        connection.write_tls(out).map_err(broken)?;
    }
    Ok(())
}

fn broken(e: io::Error) -> Failure {
    Failure::new(Reason::Tls, e.to_string())
}

/// Certificates of a PEM file, at least one.
/// A pipe or a device would make us wait.
fn regular(file: &Path) -> Result<(), Failure> {
    match std::fs::metadata(file) {
        Ok(about) if about.is_file() => Ok(()),
        Ok(_) => Err(bad_file(file, &"no regular file")),
        Err(e) => Err(bad_file(file, &e)),
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    regular(file)?;
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read.map_err(|e| bad_file(file, &e))? {
        none if none.is_empty() => Err(bad_file(file, &"no certificate in it")),
        some => Ok(some),
    }
}

fn roots(certificates: Vec<CertificateDer<'static>>) -> Option<Arc<RootCertStore>> {
    let mut store = RootCertStore::empty();
    match store.add_parsable_certificates(certificates) {
        (0, _) => None,
        _ => Some(Arc::new(store)),
    }
}

fn bad_file(file: &Path, why: &dyn fmt::Display) -> Failure {
    local(format!("{}: {why}", file.display()))
}

fn local(detail: String) -> Failure {
    Failure::new(Reason::Local, detail)
}

/// Why there is no session.
fn failure(error: &Error) -> Failure {
    let (reason, detail) = match error {
        Error::InvalidCertificate(why) => (Reason::Certificate, certificate_text(why)),
        Error::NoCertificatesPresented => (Reason::Certificate, "none was shown".to_owned()),
        Error::AlertReceived(alert) => (Reason::Tls, alert_text(*alert)),
        Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ) => (Reason::Tls, OLD_VERSION.to_owned()),
        error => (Reason::Tls, error.to_string()),
    };
    Failure::new(reason, detail)
}

const OLD_VERSION: &str = "the server offers neither TLS 1.2 nor 1.3, only what is older";

fn alert_text(alert: AlertDescription) -> String {
    let number = u8::from(alert);
    let meaning = match alert {
        AlertDescription::ProtocolVersion => OLD_VERSION,
        AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity => {
            "the server likes no cipher suite or key exchange that is offered"
        }
        AlertDescription::UnrecognisedName => "the server does not know the name that it was sent",
        AlertDescription::CertificateRequired => "the server wants to see a certificate",
        AlertDescription::Unknown(_) => return format!("the server sent alert {number}"),
        known => return format!("the server sent alert {number} ({known:?})"),
    };
    format!("{meaning} (alert {number})")
}

fn certificate_text(why: &CertificateError) -> String {
    match why {
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("expired since {}", Date(*not_after))
        }
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("not valid before {}", Date(*not_before))
        }
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => {
            let presented: Vec<&str> = presented.iter().map(|name| bare(name)).collect();
            let presented = shown(presented.join(", ").as_bytes());
            format!("wrong name: for {presented}, not {}", expected.to_str())
        }
        CertificateError::UnknownIssuer => "issued by no authority that is known here".to_owned(),
        CertificateError::BadSignature => "signed with another key than its issuer's".to_owned(),
        CertificateError::BadEncoding => "badly encoded".to_owned(),
        why => why.to_string(),
    }
}

/// A name of a certificate, which rustls writes as `DnsName("www.example")` and `IpAddress(192.0.2.1)`.
fn bare(name: &str) -> &str {
    let (_, name) = name.split_once('(').unwrap_or(("", name));
    name.trim_end_matches(')').trim_matches('"')
}

/// A time, in UTC.
struct Date(UnixTime);

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, secs) = (self.0.as_secs() / 86_400, self.0.as_secs() % 86_400);
        // Years from March on, in eras of 400 years that all have as many days.
        let days = days + 719_468;
        let (era, day) = (days / 146_097, days % 146_097);
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let day = day - (153 * month + 2) / 5 + 1;
        let (month, next) = if month < 10 {
            (month + 3, 0)
        } else {
            (month - 9, 1)
        };
        let year = era * 400 + year + next;
        let (hour, minute, second) = (secs / 3600, secs / 60 % 60, secs % 60);
        write!(
            f,
            "{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC"
        )
    }
}

/// Takes whoever is there, with whatever signature.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    /// All of them, as none is verified.
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![
            SignatureScheme::ECDSA_NISTP256_SHA256,
            SignatureScheme::ECDSA_NISTP384_SHA384,
            SignatureScheme::ECDSA_NISTP521_SHA512,
            SignatureScheme::ED25519,
            SignatureScheme::ED448,
            SignatureScheme::RSA_PSS_SHA256,
            SignatureScheme::RSA_PSS_SHA384,
            SignatureScheme::RSA_PSS_SHA512,
            SignatureScheme::RSA_PKCS1_SHA256,
            SignatureScheme::RSA_PKCS1_SHA384,
            SignatureScheme::RSA_PKCS1_SHA512,
            SignatureScheme::ECDSA_SHA1_Legacy,
            SignatureScheme::RSA_PKCS1_SHA1,
        ]
    }
}

#[cfg(test)]
mod tests;
