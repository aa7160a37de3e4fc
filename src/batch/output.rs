//! A folder of candidates in the making: it appears whole or not at all.

use crate::audit::Folder;
use crate::disk::{self, DiskError, Mode};
use crate::units::BatchId;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

/// `<output>/<batch>`, under another name until it is whole.
pub(super) struct Output<'a> {
    folder: &'a Path,
    batch: &'a BatchId,
    unfinished: PathBuf,
}

impl<'a> Output<'a> {
    /// Begins the folder.
    pub(super) fn begin(output: &'a Path, batch: &'a BatchId) -> Result<Self, DiskError> {
        disk::create_folder(output, Mode::Shared)?;
        let unfinished = output.join(format!(".{batch}.tmp"));
        // Whatever is there by now is somebody else's, and may lead elsewhere.
        fs::create_dir(&unfinished).map_err(DiskError::new("create the folder", &unfinished))?;
        Ok(Self { folder: output, batch, unfinished })
    }

    /// Makes the folder for a strategy's candidates: its name without `.py`.
    pub(super) fn folder(&self, strategy: &str) -> Result<PathBuf, DiskError> {
        let folder = self.unfinished.join(folder_name(strategy));
        disk::create_folder(&folder, Mode::Shared)?;
        Ok(folder)
    }

    /// Removes it again, for we were asked to stop: sealing and the last push come first, and the records tell all
    /// that is in a candidate.
    pub(super) fn abandon(self) -> Result<(), DiskError> {
        tracing::warn!("asked to stop: no candidates are written");
        remove_folder(&self.unfinished)
    }

    /// Gives it its name, and points `<output>/latest` to it.
    pub(super) fn finish(self) -> Result<PathBuf, DiskError> {
        let finished = self.folder.join(self.batch.as_str());
        disk::rename(&self.unfinished, &finished)?;
        let latest = self.folder.join("latest");
        if let Err(error) = disk::swap_link(&latest, Path::new(self.batch.as_str())) {
            tracing::warn!(%error, "`latest` does not lead to the newest candidates");
        }
        Ok(finished)
    }
}

/// `strategies/momentum.py` becomes `strategies/momentum`; nothing leads out of the output folder.
fn folder_name(strategy: &str) -> PathBuf {
    let path = Path::new(strategy).with_extension("");
    let names = path.components().map(|part| match part {
        Component::Normal(name) => PathBuf::from(name),
        Component::ParentDir => PathBuf::from("__"),
        Component::CurDir | Component::RootDir | Component::Prefix(_) => PathBuf::new(),
    });
    names.collect()
}

/// Removes what killed batches left half written: batches of our audit, since others may share the
/// output folder.
pub(super) fn clear(output: &Path, audit: &Folder) -> Result<(), DiskError> {
    let entries = match fs::read_dir(output) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(DiskError::new("list", output))?,
    };
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name();
        let id = name.to_str().and_then(|name| name.strip_prefix('.')?.strip_suffix(".tmp"));
        let id = id.and_then(|id| id.parse::<BatchId>().ok());
        if id.is_some_and(|id| audit.manifest(&id).exists()) {
            remove_folder(&entry.path())?;
        }
    }
    Ok(())
}

fn remove_folder(path: &Path) -> Result<(), DiskError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(DiskError::new("remove", path)(error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_candidates_folder_stays_in_the_output_folder() {
        for (name, folder) in [
            ("strategies/momentum.py", "strategies/momentum"),
            ("/etc/momentum.py", "etc/momentum"),
            ("../../momentum.py", "__/__/momentum"),
            ("./a.b.py", "a.b"),
        ] {
            assert_eq!(folder_name(name), Path::new(folder), "{name}");
        }
    }
}
