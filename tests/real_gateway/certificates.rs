//! Certificates made by openssl for one test: an authority, a server on 127.0.0.1, a client.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use mutation_agent::units::Secret;
use tempfile::TempDir;

pub(crate) struct Certificates {
    folder: TempDir,
}

impl Certificates {
    pub(crate) fn new() -> Self {
        let made = Self { folder: tempfile::tempdir().unwrap() };
        made.openssl(&format!(
            "req -x509 {KEY} -days 2 -subj /CN=Authority -keyout ca.key -out ca.pem"
        ));
        made.sign("server", "subjectAltName=IP:127.0.0.1");
        made.sign("client", "extendedKeyUsage=clientAuth");
        made
    }

    /// The authority's certificate.
    pub(crate) fn ca(&self) -> Vec<u8> {
        self.read("ca.pem").into_bytes()
    }

    /// The client's certificate and its key.
    pub(crate) fn client(&self) -> Secret {
        Secret::new(self.read("client.pem") + &self.read("client.key"))
    }

    /// Writes a web.config.file; `FOLDER` in it is the folder of the certificates.
    pub(crate) fn web_config(&self, text: &str) -> String {
        let path = self.path().join("web.yml");
        fs::write(&path, text.replace("FOLDER", self.path().to_str().unwrap())).unwrap();
        format!("--web.config.file={}", path.display())
    }

    fn sign(&self, name: &str, extension: &str) {
        fs::write(self.path().join("ext"), extension).unwrap();
        self.openssl(&format!("req {KEY} -subj /CN={name} -keyout {name}.key -out {name}.csr"));
        self.openssl(&format!(
            "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out {name}.pem"
        ));
    }

    fn openssl(&self, arguments: &str) {
        let done = Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(self.path())
            .stdin(Stdio::null())
            .output()
            .expect("openssl must be installed");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).unwrap()
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }
}

const KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
