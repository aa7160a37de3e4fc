//! Secrets: where they come from, and that they go nowhere else.

use super::{STRATEGIES, environment};
use crate::config::{Config, ConfigError, Environment, Secrets};
use crate::gateway::Credentials;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
const KEY: &str = "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n";

/// A folder with a config and its secrets.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            super::write(&folder.path().join(name), text.as_bytes());
            folder.set_mode(name, 0o600);
        }
        folder
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn set_mode(&self, name: &str, mode: u32) {
        std::fs::set_permissions(self.path().join(name), Permissions::from_mode(mode)).unwrap();
    }

    fn parse_in(&self, gateway: &str, environment: &Environment) -> Result<Config, ConfigError> {
        let text = format!("{STRATEGIES}[[gateway]]\n{gateway}\n");
        Config::parse(&text, &self.path().join("agent.toml"), environment)
    }

    fn parse(&self, gateway: &str) -> Config {
        self.parse_in(gateway, &environment()).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The first line of what is said, with `@` for the folder.
    fn complaint(&self, gateway: &str) -> String {
        let error = self.parse_in(gateway, &environment()).unwrap_err();
        let shown = error.to_string();
        assert!(!shown.contains("hunter2"), "{shown}");
        let here = self.path().display().to_string();
        shown.lines().next().unwrap().replace(&here, "@").replace("@/agent.toml:", "")
    }
}

fn password_of(config: &Config) -> String {
    match config.gateways[0].credentials() {
        Credentials::Basic { user, password } => format!("{user}:{}", password.expose()),
        Credentials::Bearer { token } => token.expose().to_owned(),
        Credentials::None | Credentials::Unread => String::new(),
    }
}

const BASIC: &str = "url = \"https://h\"\nbasic = { user = \"me\", password_file = \"./pw\" }";
const BEARER: &str = "url = \"https://h\"\nbearer = { token_file = \"./pw\" }";

#[test]
fn a_password_is_read_beside_the_config_without_its_line_end() {
    for text in ["hunter2", "hunter2\n", "hunter2\r\n"] {
        let config = Folder::new(&[("pw", text)]).parse(BASIC);
        assert_eq!(password_of(&config), "me:hunter2");
        assert_eq!(config.warnings, Vec::<String>::new());
    }
    assert_eq!(password_of(&Folder::new(&[("pw", "hunter 2\n")]).parse(BASIC)), "me:hunter 2");
    assert_eq!(password_of(&Folder::new(&[("pw", "hunter2\n")]).parse(BEARER)), "hunter2");
}

#[test]
fn a_credential_of_systemd_is_read_in_its_directory() {
    let folder = Folder::new(&[("gateway-token", "hunter2\n")]);
    let systemd =
        Environment { credentials_directory: Some(folder.path().to_owned()), ..environment() };
    let bearer =
        |name| format!("url = \"https://h\"\nbearer = {{ token_file = \"credential:{name}\" }}");
    let config = folder.parse_in(&bearer("gateway-token"), &systemd).unwrap();
    assert_eq!(password_of(&config), "hunter2");
    for name in ["", ".", "..", "../x", "a/b"] {
        let error = folder.parse_in(&bearer(name), &systemd).unwrap_err().to_string();
        assert!(error.contains("write `credential:NAME`"), "{error}");
    }
    assert_eq!(
        folder.complaint(&bearer("gateway-token")),
        "5:25: `credential:` needs $CREDENTIALS_DIRECTORY, which systemd sets for a service with LoadCredential="
    );
}

#[test]
fn a_secret_that_nobody_needs_is_not_looked_for_and_yet_checked_as_far_as_it_is_typed() {
    let folder = Folder::new(&[]);
    let parse = |gateway: &str, secrets| {
        let text = format!("{STRATEGIES}[[gateway]]\n{gateway}\n");
        Config::parse_with(&text, &folder.path().join("agent.toml"), &environment(), secrets)
    };
    let tls = "url = \"https://h\"\ntls = { cert_file = \"cert\", key_file = \"key\" }";
    let credential = BASIC.replace("./pw", "credential:key");
    for gateway in [BASIC, BEARER, &credential, tls] {
        let config = parse(gateway, Secrets::Unneeded).unwrap();
        assert!(!config.gateways[0].is_usable(), "{gateway}");
        assert_eq!(config.warnings, Vec::<String>::new(), "{gateway}");
        parse(gateway, Secrets::Needed).unwrap_err();
    }
    for wrong in ["", "credential:", "credential:../x"] {
        parse(&BASIC.replace("./pw", wrong), Secrets::Unneeded).unwrap_err();
    }
    // Here, a file of ours must be there; one of systemd's may be elsewhere.
    for gateway in [BASIC, BEARER, tls] {
        parse(gateway, Secrets::Here).unwrap_err();
    }
    let config = parse(&credential, Secrets::Here).unwrap();
    assert!(!config.gateways[0].is_usable());
    assert_eq!(
        config.warnings,
        [
            "the password credential:key cannot be read here: only a service with LoadCredential= has it"
        ]
    );
    assert!(parse("url = \"https://h\"", Secrets::Unneeded).unwrap().gateways[0].is_usable());
}

#[test]
fn a_secret_that_cannot_be_used_is_an_error_at_its_line() {
    let said = |text: &str, gateway: &str| Folder::new(&[("pw", text)]).complaint(gateway);
    assert_eq!(said("\n", BASIC), "5:40: the password in @/./pw is empty");
    assert_eq!(
        said("hunter2\nx\n", BASIC),
        "5:40: the password in @/./pw must be one line with no control characters"
    );
    assert_eq!(
        said("hunter 2", BEARER),
        "5:25: the token in @/./pw must be one line with only visible ASCII without spaces"
    );
    let none = Folder::new(&[]);
    assert_eq!(
        none.complaint(BASIC),
        "5:40: cannot read the password file @/./pw: No such file or directory (os error 2)"
    );
    let folder = BASIC.replace("./pw", "./");
    assert_eq!(
        none.complaint(&folder),
        "5:40: cannot read the password file @/./: not a regular file"
    );
}

#[test]
fn secrets_typed_into_the_config_are_not_repeated() {
    let folder = Folder::new(&[]);
    for gateway in [
        "url = \"http://me:hunter2@h\"",
        "url = \"http://hunter2@h:99999\"",
        "url = \"https://h\"\nbasic = { user = \"me\", password = \"hunter2\" }",
        "url = \"https://h\"\nbasic = { user = \"me\", pasword = \"hunter2\" }",
        "url = \"https://h\"\nbasic = { user = \"me\", password_file = \"hunter2\" }",
        "url = \"https://h\"\nbasic = \"me:hunter2\"",
        "url = \"https://h\"\nbearer = \"hunter2\"",
        "url = \"https://h\"\nbearer = hunter2",
        "url = \"https://h\"\nbearer = { token = \"hunter2 }",
        "url = \"https://h\"\nbearer = { token_file = \"hunter2\" }",
        "url = \"https://h\"\n[gateway.basic]\nuser = \"me\"\nx = \"hunter2\"",
        "url = \"https://h\"\ntoken = \"hunter2\"",
    ] {
        let said = folder.complaint(gateway);
        let error = folder.parse_in(gateway, &environment()).unwrap_err();
        assert!(!format!("{error:?}").contains("hunter2"), "{said}: {error:?}");
    }
    let number = "url = \"https://h\"\nbasic = { user = \"me\", password_file = 771234 }";
    let error = folder.parse_in(number, &environment()).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("771234"), "{error}");
}

#[test]
fn a_secret_with_slashes_is_not_taken_for_the_name_of_a_file() {
    let folder = Folder::new(&[("file", "")]);
    for secret in
        ["aGVs/hunter2", "hunter2/", "/hunter2", "//hunter2", "+/a/hunter2=", "file/hunter2"]
    {
        let gateways = [
            BASIC.replace("./pw", secret),
            BEARER.replace("./pw", secret),
            format!("url = \"https://h\"\ntls = {{ ca_file = \"{secret}\" }}"),
        ];
        for gateway in gateways {
            // It looks for the secret in what is said.
            let said = folder.complaint(&gateway);
            assert!(
                said.contains("named there (not shown, for it may be the secret itself)"),
                "{said}"
            );
        }
    }
    // The folder there says that a name was meant.
    std::fs::create_dir(folder.path().join("keys")).unwrap();
    let said = folder.complaint(&BASIC.replace("./pw", "keys/pw"));
    assert!(said.contains("cannot read the password file @/keys/pw: No such file"), "{said}");
    let said = folder.complaint(&BASIC.replace("./pw", &format!("{}/pw", folder.path().display())));
    assert!(said.contains("cannot read the password file @/pw: No such file"), "{said}");
}

#[test]
fn secrets_are_neither_printed_nor_digested_nor_debugged() {
    let gateway = format!("{BASIC}\ntls = {{ cert_file = \"cert\", key_file = \"./key\" }}");
    let files = [("pw", "hunter2\n"), ("cert", CERTIFICATE), ("key", KEY)];
    let config = Folder::new(&files).parse(&gateway);
    assert_eq!(password_of(&config), "me:hunter2");
    for shown in [config.to_toml(), format!("{config:?}"), config.to_string()] {
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    let other = [("pw", "hunter3\n"), ("cert", CERTIFICATE), ("key", KEY)];
    assert_eq!(Folder::new(&other).parse(&gateway).digest(), config.digest());
    assert!(config.to_toml().contains("basic = { user = \"me\", password_file = \"./pw\" }\n"));
    assert!(config.to_toml().contains("tls = { cert_file = \"cert\", key_file = \"./key\" }\n"));
}

#[test]
fn the_printed_config_with_secrets_reads_back() {
    let folder = Folder::new(&[("pw", "hunter2\n")]);
    let config = folder.parse(BASIC);
    let again = Config::parse(&config.to_toml(), &config.path, &environment()).unwrap();
    super::assert_same(&again, &config);
    assert_eq!(password_of(&again), "me:hunter2");
}

#[test]
fn basic_and_bearer_exclude_each_other_and_need_their_keys() {
    let folder = Folder::new(&[("pw", "hunter2\n")]);
    let both = format!("{BASIC}\nbearer = {{ token_file = \"./pw\" }}");
    assert_eq!(folder.complaint(&both), "6:10: `basic` and `bearer` exclude each other");
    let said = |keys: &str| folder.complaint(&format!("url = \"https://h\"\n{keys}"));
    assert_eq!(said("basic = { user = \"me\" }"), "5:9: `basic` needs the key `password_file`");
    assert_eq!(said("basic = { password_file = \"./pw\" }"), "5:9: `basic` needs the key `user`");
    assert_eq!(said("bearer = {}"), "5:10: `bearer` needs the key `token_file`");
    assert_eq!(
        said("basic = { user = \"a:b\", password_file = \"./pw\" }"),
        "5:18: `user` must not hold a colon"
    );
}

#[test]
fn credentials_over_plain_http_are_warned_of_unless_they_stay_on_this_machine() {
    let folder = Folder::new(&[("pw", "hunter2\n")]);
    let warnings = |url: &str| folder.parse(&BASIC.replace("https://h", url)).warnings;
    assert_eq!(
        warnings("http://push.example:9091"),
        [
            "gateway `push.example:9091`: credentials go over plain http, readable on the way; use https"
        ]
    );
    for url in ["http://localhost:9091", "http://127.0.0.2", "http://[::1]:9091", "https://h"] {
        assert_eq!(warnings(url), Vec::<String>::new(), "{url}");
    }
}

#[test]
fn a_secret_that_everybody_may_read_is_warned_of() {
    let folder = Folder::new(&[("pw", "hunter2\n")]);
    folder.set_mode("pw", 0o644);
    let warnings = folder.parse(BASIC).warnings;
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].starts_with("everybody on this machine may read the password in"));
    folder.set_mode("pw", 0o640);
    assert_eq!(folder.parse(BASIC).warnings, Vec::<String>::new());
}

#[test]
fn tls_material_is_read_and_looked_at() {
    let files = [
        ("ca", CERTIFICATE),
        ("cert", CERTIFICATE),
        ("key", KEY),
        ("sealed", "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"),
        ("rsa", "-----BEGIN RSA PRIVATE KEY-----\n"),
    ];
    let folder = Folder::new(&files);
    let tls = |keys: &str| format!("url = \"https://h\"\ntls = {{ {keys} }}");
    let all = "ca_file = \"ca\", cert_file = \"cert\", key_file = \"key\"";
    let config = folder.parse(&tls(all));
    let read = config.gateways[0].tls();
    assert_eq!(read.ca.as_deref(), Some(CERTIFICATE.as_bytes()));
    assert_eq!(read.identity.as_ref().unwrap().expose(), format!("{CERTIFICATE}{KEY}"));
    folder.parse(&tls("cert_file = \"cert\", key_file = \"rsa\""));

    let said = |keys: &str| folder.complaint(&tls(keys));
    assert_eq!(said("cert_file = \"cert\""), "5:21: `cert_file` needs `key_file` beside it");
    assert_eq!(said("key_file = \"key\""), "5:20: `key_file` needs `cert_file` beside it");
    assert_eq!(
        said("ca_file = \"key\""),
        "5:19: @/key is no CA certificate in PEM: it has no line `-----BEGIN CERTIFICATE-----`"
    );
    assert_eq!(
        said("cert_file = \"cert\", key_file = \"cert\""),
        "5:40: @/cert is no private key in PEM: it has no line `-----BEGIN PRIVATE KEY-----`"
    );
    assert_eq!(
        said("cert_file = \"cert\", key_file = \"sealed\""),
        "5:40: @/sealed is encrypted, and nobody is there at night to decrypt it"
    );
    assert_eq!(
        folder.complaint(&tls(all).replace("https", "http")),
        "5:7: `tls` does nothing for a `url` with http://"
    );
}
