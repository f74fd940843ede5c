//! Certificates, made by openssl when a test wants them.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use crate::command::run;
use crate::lan::Lan;

/// Who signs a LAN's certificates, and nobody else's.
#[derive(Debug)]
pub struct Authority {
    dir: PathBuf,
}

/// What a TLS server needs: two files in PEM.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The certificate.
    pub chain: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// `openssl ca`, unlike `openssl x509`, can be told when a certificate begins and ends.
const CONFIGURATION: &str = "[ca]\ndefault_ca = test\n\
    [test]\ndatabase = index\nnew_certs_dir = .\npolicy = any\ndefault_md = sha256\n\
    copy_extensions = copy\nunique_subject = no\nrand_serial = yes\n\
    [any]\ncommonName = supplied\n";

const KEY: [&str; 5] = [
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:P-256",
    "-nodes",
];

impl Authority {
    /// Makes one for this LAN.
    ///
    /// # Panics
    /// If openssl cannot.
    pub fn of(lan: &Lan) -> Self {
        Self::named(lan, "lvs-e2e")
    }

    /// Makes one with a name of its own.
    ///
    /// # Panics
    /// If openssl cannot.
    pub fn named(lan: &Lan, name: &str) -> Self {
        let authority = Self {
            dir: lan.director.file(&format!("authority-{name}")),
        };
        fs::create_dir_all(&authority.dir).expect("the temporary folder can be written to");
        authority.write("ca.cnf", CONFIGURATION);
        authority.write("index", "");
        authority.openssl(&format!(
            "req -x509 {} -keyout ca.key -out ca.pem -days 2 -subj /CN={name}",
            KEY.join(" ")
        ));
        authority
    }

    /// Its own certificate, which clients must trust.
    pub fn file(&self) -> PathBuf {
        self.dir.join("ca.pem")
    }

    /// A certificate for these names and addresses, good from 2020 to 2099.
    ///
    /// # Panics
    /// If openssl cannot.
    pub fn certificate(&self, names: &[&str]) -> Certificate {
        self.issue(names, "20200101000000Z", "20990101000000Z")
    }

    /// The same, expired in 2021.
    ///
    /// # Panics
    /// If openssl cannot.
    pub fn expired(&self, names: &[&str]) -> Certificate {
        self.issue(names, "20200101000000Z", "20210101000000Z")
    }

    fn issue(&self, names: &[&str], from: &str, to: &str) -> Certificate {
        let number = fs::read_dir(&self.dir).expect("it is ours").count();
        let [chain, key, request] = ["pem", "key", "csr"].map(|end| format!("{number}.{end}"));
        let alternatives: Vec<_> = names
            .iter()
            .map(|name| match name.parse::<IpAddr>() {
                Ok(ip) => format!("IP:{ip}"),
                Err(_) => format!("DNS:{name}"),
            })
            .collect();
        self.openssl(&format!(
            "req {} -keyout {key} -out {request} -subj /CN={} -addext subjectAltName={}",
            KEY.join(" "),
            names[0],
            alternatives.join(",")
        ));
        self.openssl(&format!(
            "ca -batch -notext -config ca.cnf -cert ca.pem -keyfile ca.key \
             -startdate {from} -enddate {to} -in {request} -out {chain}"
        ));
        Certificate {
            chain: self.dir.join(chain),
            key: self.dir.join(key),
        }
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.dir.join(name), text).expect("the temporary folder can be written to");
    }

    fn openssl(&self, words: &str) {
        let line = format!("cd {} && openssl {words}", shown(&self.dir));
        run(&["sh", "-ec", &line]);
    }
}

fn shown(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}
