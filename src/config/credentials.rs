//! Secrets and certificates: read once, at load, so that a wrong path is a config error at noon and
//! no failed push at night. Where nothing will be sent, none is read.

use super::checks::{Reader, resolve};
use super::source::printable;
use super::{ConfigError, Secrets};
use crate::units::Secret;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use toml::Spanned;

/// The prefix of a secret that systemd hands over (`LoadCredential=`).
const CREDENTIAL: &str = "credential:";
/// The largest bundles of certificate authorities have a quarter of this.
const LONGEST: u64 = 1 << 20;

/// A password: one line of text. This and the others: `None` where it is not read.
pub(super) fn password(
    reader: &mut Reader<'_>,
    typed: &Spanned<String>,
) -> Result<Option<Secret>, ConfigError> {
    secret(reader, "password", typed, |c| !c.is_control(), "no control characters")
}

/// A token: one line of what an `Authorization` header can carry.
pub(super) fn token(
    reader: &mut Reader<'_>,
    typed: &Spanned<String>,
) -> Result<Option<Secret>, ConfigError> {
    secret(reader, "token", typed, |c| c.is_ascii_graphic(), "only visible ASCII without spaces")
}

fn secret(
    reader: &mut Reader<'_>,
    what: &'static str,
    typed: &Spanned<String>,
    allowed: fn(char) -> bool,
    rule: &str,
) -> Result<Option<Secret>, ConfigError> {
    let Some((file, text)) = read(reader, what, typed)? else { return Ok(None) };
    warn_if_open(reader, what, &file);
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    let problem = if line.is_empty() {
        "is empty".to_owned()
    } else if !line.chars().all(allowed) {
        format!("must be one line with {rule}")
    } else {
        return Ok(Some(Secret::new(line.to_owned())));
    };
    Err(reader.invalid(&typed.span(), format!("the {what} in {} {problem}", file.display())))
}

/// Certificates in PEM.
pub(super) fn certificates(
    reader: &mut Reader<'_>,
    what: &'static str,
    typed: &Spanned<String>,
) -> Result<Option<String>, ConfigError> {
    let Some((file, text)) = read(reader, what, typed)? else { return Ok(None) };
    if !has_line(&text, |label| label == "CERTIFICATE") {
        let message = format!(
            "{} is no {what} in PEM: it has no line `-----BEGIN CERTIFICATE-----`",
            file.display()
        );
        return Err(reader.invalid(&typed.span(), message));
    }
    Ok(Some(text))
}

/// A private key in PEM, not encrypted.
pub(super) fn private_key(
    reader: &mut Reader<'_>,
    typed: &Spanned<String>,
) -> Result<Option<String>, ConfigError> {
    let what = "private key";
    let Some((file, text)) = read(reader, what, typed)? else { return Ok(None) };
    warn_if_open(reader, what, &file);
    let problem = if has_line(&text, |label| label == "ENCRYPTED PRIVATE KEY") {
        "is encrypted, and nobody is there at night to decrypt it"
    } else if !has_line(&text, |label| label.ends_with("PRIVATE KEY")) {
        "is no private key in PEM: it has no line `-----BEGIN PRIVATE KEY-----`"
    } else {
        return Ok(Some(text));
    };
    Err(reader.invalid(&typed.span(), format!("{} {problem}", file.display())))
}

fn has_line(text: &str, wanted: impl Fn(&str) -> bool) -> bool {
    text.lines()
        .filter_map(|line| line.trim().strip_prefix("-----BEGIN ")?.strip_suffix("-----"))
        .any(wanted)
}

fn read(
    reader: &mut Reader<'_>,
    what: &'static str,
    typed: &Spanned<String>,
) -> Result<Option<(PathBuf, String)>, ConfigError> {
    let Some(file) = locate(reader, what, typed)? else { return Ok(None) };
    let bytes = read_bytes(&file).map_err(|os| ConfigError::UnreadableFile {
        at: reader.source.at(&typed.span()),
        what,
        file: shown(reader.base, typed.get_ref(), &file),
        os,
    })?;
    let text = String::from_utf8(bytes).map_err(|_| {
        let message = format!("the {what} in {} is not UTF-8", file.display());
        reader.invalid(&typed.span(), message)
    })?;
    Ok(Some((file, text)))
}

/// The name of a file, unless it may be the secret itself, typed where the file's name belongs.
fn shown(base: &Path, typed: &str, file: &Path) -> String {
    let is_name = if typed.starts_with(CREDENTIAL) {
        file.parent().is_some_and(Path::is_dir)
    } else {
        // Base64 has slashes too, at its beginning and end as well, but hardly the name of a folder.
        typed.rsplit_once('/').is_some_and(|(folder, _)| {
            !folder.trim_start_matches('/').is_empty() && resolve(base, folder).is_dir()
        })
    };
    if is_name {
        printable(&file.display().to_string())
    } else {
        "named there (not shown, for it may be the secret itself)".to_owned()
    }
}

/// Where the file is; `None` where it shall not be read, or cannot be had here.
fn locate(
    reader: &mut Reader<'_>,
    what: &str,
    typed: &Spanned<String>,
) -> Result<Option<PathBuf>, ConfigError> {
    let text = typed.get_ref().as_str();
    let invalid = |message: &str| Err(reader.invalid(&typed.span(), message));
    if text.is_empty() || text.chars().any(char::is_control) {
        return invalid("the name of a file must not be empty or hold control characters");
    }
    let Some(name) = text.strip_prefix(CREDENTIAL) else {
        let file = resolve(reader.base, text);
        return Ok(Some(file).filter(|_| reader.secrets != Secrets::Unneeded));
    };
    if name.is_empty() || name.contains('/') || name == "." || name == ".." {
        return invalid("write `credential:NAME` with the name that LoadCredential= gives it");
    }
    match (reader.secrets, &reader.environment.credentials_directory) {
        (Secrets::Unneeded, _) => Ok(None),
        (_, Some(directory)) => Ok(Some(directory.join(name))),
        (Secrets::Needed, None) => invalid(
            "`credential:` needs $CREDENTIALS_DIRECTORY, which systemd sets for a service with LoadCredential=",
        ),
        (Secrets::Here, None) => {
            reader.warn(format!(
                "the {what} {text} cannot be read here: only a service with LoadCredential= has it"
            ));
            Ok(None)
        }
    }
}

/// Only a regular file, and not all of a large one: a device or a pipe would hold up the start.
fn read_bytes(file: &Path) -> io::Result<Vec<u8>> {
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(file)?.take(LONGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "longer than 1 MiB"));
    }
    Ok(bytes)
}

fn warn_if_open(reader: &mut Reader<'_>, what: &str, file: &Path) {
    let others_may_read = file.metadata().is_ok_and(|data| data.permissions().mode() & 0o004 != 0);
    if others_may_read {
        let file = file.display();
        reader
            .warn(format!("everybody on this machine may read the {what} in {file}; chmod 600 it"));
    }
}
