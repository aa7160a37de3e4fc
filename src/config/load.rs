//! From a path to a [`Config`]: the one walk over all sections.

use super::checks::Reader;
use super::source::Source;
use super::{Config, ConfigError, Environment, Secrets};
use super::{diagnosis, evolution, gateways, parameters, sections, strategies};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// A config that is longer is another file.
const LONGEST: usize = 1 << 20;

impl Config {
    /// Reads and checks the file at `path` and those of the secrets that it names that are wanted.
    pub fn load(
        path: &Path,
        environment: &Environment,
        secrets: Secrets,
    ) -> Result<Self, ConfigError> {
        let bytes = read(path).map_err(|os| match os.kind() {
            io::ErrorKind::NotFound => ConfigError::Missing { path: path.to_owned() },
            _ => ConfigError::Unreadable { path: path.to_owned(), os },
        })?;
        if bytes.len() > LONGEST {
            return Err(ConfigError::TooLong { path: path.to_owned() });
        }
        let text =
            str::from_utf8(&bytes).map_err(|error| not_utf8(path, &bytes, error.valid_up_to()))?;
        Self::parse_with(text, path, environment, secrets)
    }

    /// Checks the text of a config as if it stood at `path`; reads the secrets that it names.
    pub fn parse(text: &str, path: &Path, environment: &Environment) -> Result<Self, ConfigError> {
        Self::parse_with(text, path, environment, Secrets::Needed)
    }

    /// Checks the text of a config that is in a manifest; no secret is read.
    pub fn replayed(text: &str) -> Result<Self, ConfigError> {
        let nowhere = Environment { host_name: "replay".to_owned(), ..Environment::default() };
        Self::parse_with(text, Path::new("the manifest's config"), &nowhere, Secrets::Unneeded)
    }

    pub(super) fn parse_with(
        text: &str,
        path: &Path,
        environment: &Environment,
        secrets: Secrets,
    ) -> Result<Self, ConfigError> {
        if text.len() > LONGEST {
            return Err(ConfigError::TooLong { path: path.to_owned() });
        }
        // A byte order mark is no part of the text; without it columns are what editors show.
        let source = Source { path, text: text.strip_prefix('\u{feff}').unwrap_or(text) };
        let raw = diagnosis::read(source)?;
        let base = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let base = base.map_or_else(|| PathBuf::from("."), Path::to_owned);
        let mut reader = Reader::new(source, &base, environment, secrets);

        let data_dir = reader.path("data_dir", raw.data_dir.as_ref(), "mutation-data")?;
        let data_dir = reader.own(data_dir);
        let batch = sections::batch(&reader, &raw.batch)?;
        let strategies = strategies::strategies(&reader, &raw.strategies)?;
        let parameters = parameters::parameters(&reader, &raw.parameter)?;
        let constraints = evolution::constraints(&reader, &raw.constraint, &parameters)?;
        let variants = evolution::variants(&reader, &raw.variant, &parameters)?;
        let direction = evolution::direction(&reader, raw.evaluator.as_ref())?;
        let evaluator = evolution::evaluator(&reader, raw.evaluator.as_ref())?;
        let evolution =
            evolution::evolution(&reader, &raw.evolution, direction, evaluator.is_some())?;
        let promote = evolution::promote(&reader, &raw.promote)?;
        let output = sections::output(&reader, &raw.output)?;
        let metrics = sections::metrics(&reader, &raw.metrics)?;
        let job = (batch.job.as_str(), raw.batch.job.as_ref().map(toml::Spanned::span));
        let (gateways, typed_gateways) = gateways::gateways(&mut reader, job, &raw.gateway)?;
        let push = sections::push(&reader, &raw.push)?;
        let audit = sections::audit(&reader, &raw.audit, &data_dir)?;
        if gateways.is_empty() && metrics.textfile.is_none() {
            reader
                .warn("no [[gateway]] and no `textfile` in [metrics]: nobody will see the metrics");
        }
        let warnings = reader.into_warnings();
        Ok(Self {
            path: path.to_owned(),
            base,
            data_dir,
            batch,
            strategies,
            parameters,
            constraints,
            variants,
            evaluator,
            evolution,
            promote,
            output,
            metrics,
            gateways,
            push,
            audit,
            shard: environment.shard,
            warnings,
            typed_gateways,
        })
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LONGEST as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn not_utf8(path: &Path, bytes: &[u8], valid_up_to: usize) -> ConfigError {
    let valid = String::from_utf8_lossy(&bytes[..valid_up_to]);
    let line_start = valid.rfind('\n').map_or(0, |newline| newline + 1);
    ConfigError::NotUtf8 {
        path: path.to_owned(),
        line: valid.matches('\n').count() + 1,
        column: valid[line_start..].chars().count() + 1,
    }
}
