//! Where candidates stand while they are judged: each in a folder of its own, at a path that none had before.

use crate::disk::{self, DiskError};
use rustix::fs::{AtFlags, Mode, OFlags, RawDir, fstat, statat};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// A candidate's file, which is alone in its folder.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    /// Which file it is. It is not held open: there may be more of them than a process may have descriptors.
    file: Identity,
}

/// A file's device and inode.
type Identity = (u64, u64);

/// Makes places below a folder. What an evaluator has left as it found it is used again under another name: a rename and
/// a write in the place of four calls that make and remove, of which each changes the disk.
#[derive(Debug)]
pub(super) struct Places {
    /// `evaluating/<batch id>`: another batch's leftovers, which may be there for good, are not in the way.
    folder: PathBuf,
    /// So far, which names them: no leftover of this batch is in the way either.
    made: u64,
    spare: Vec<Place>,
}

impl Places {
    pub(super) const fn below(folder: PathBuf) -> Self {
        Self { folder, made: 0, spare: Vec::new() }
    }

    /// Puts a text into a file of this name.
    pub(super) fn put(&mut self, name: &OsStr, text: &str) -> Result<Place, DiskError> {
        while let Some(spare) = self.spare.pop() {
            let folder = self.next();
            let path = folder.join(name);
            disk::rename_passing(disk::folder_of(&spare.path), &folder)?;
            if let Some(before) = spare.path.file_name().filter(|before| *before != name) {
                disk::rename_passing(&folder.join(before), &path)?;
            }
            if let Some(file) = open_again(&path, spare.file) {
                return written(path, &file, text);
            }
            drop(disk::remove_tree(&folder));
        }
        let folder = self.next();
        // As passing as what it holds.
        fs::create_dir(&folder).map_err(DiskError::new("create the folder", &folder))?;
        let path = folder.join(name);
        let file = disk::create_passing(&path)?;
        written(path, &file, text)
    }

    fn next(&mut self) -> PathBuf {
        self.made += 1;
        self.folder.join((self.made - 1).to_string())
    }

    /// Takes back what was judged.
    pub(super) fn free(&mut self, place: Place) {
        if place.is_as_made().unwrap_or(false) {
            self.spare.push(place);
        } else {
            // What cannot be removed now goes with the folder around it.
            drop(disk::remove_tree(disk::folder_of(&place.path)));
        }
    }

    /// Removes all of them.
    pub(super) fn remove(self) -> Result<(), DiskError> {
        disk::remove_tree(&self.folder)?;
        // Of leftovers of others in the one around it, the start has warned.
        drop(disk::remove_tree(disk::folder_of(&self.folder)));
        Ok(())
    }
}

impl Place {
    /// Whether the file is still there, alone, under no other name, and ours to write; what it holds is no matter.
    fn is_as_made(&self) -> io::Result<bool> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = rustix::fs::open(disk::folder_of(&self.path), flags, Mode::empty())?;
        let name = self.path.file_name().unwrap_or_default();
        let file = statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let usable = file.st_mode & 0o600 == 0o600 && fstat(&folder)?.st_mode & 0o700 == 0o700;
        // `fs::read_dir` takes 32 KiB, which costs more than what it reads.
        let mut room = [MaybeUninit::uninit(); 512];
        let mut entries = RawDir::new(&folder, &mut room);
        let mut is_there = false;
        while let Some(entry) = entries.next() {
            match entry?.file_name().to_bytes() {
                b"." | b".." => {}
                found if found == name.as_bytes() => is_there = true,
                _ => return Ok(false),
            }
        }
        Ok(usable && is_there && self.file == (file.st_dev, file.st_ino) && file.st_nlink == 1)
    }
}

/// The file at a path, if it is this one and has no other name.
fn open_again(path: &Path, expected: Identity) -> Option<File> {
    let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty()).ok()?;
    let found = fstat(&file).ok()?;
    ((found.st_dev, found.st_ino) == expected && found.st_nlink == 1).then(|| file.into())
}

/// Puts a text in the place of what a file holds.
fn written(path: PathBuf, file: &File, text: &str) -> Result<Place, DiskError> {
    let write = || {
        file.write_all_at(text.as_bytes(), 0)?;
        let found = file.metadata()?;
        let length = text.len() as u64;
        if found.len() != length {
            file.set_len(length)?;
        }
        Ok((found.dev(), found.ino()))
    };
    let file = write().map_err(DiskError::new("write", &path))?;
    Ok(Place { path, file })
}

/// Removes what earlier batches left, each as far as it can be; never through a link. A night does not fail for
/// what another's evaluator left.
pub(super) fn clear(all: &Path) {
    let Err(error) = disk::remove_tree(all) else { return };
    let entries = fs::read_dir(all).into_iter().flatten().flatten();
    // One that stays must not keep the others.
    entries.for_each(|entry| drop(disk::remove_tree(&entry.path())));
    tracing::warn!(%error, "what an earlier batch judged is left behind; remove it by hand");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    /// Judged once by an evaluator that does this with it; whether its place is used again.
    fn is_used_again(what: impl FnOnce(&Path)) -> bool {
        let root = tempfile::tempdir().unwrap();
        let outside = root.path().join("outside");
        disk::write_passing(&outside, b"theirs").unwrap();
        fs::create_dir(root.path().join("batch")).unwrap();
        let mut places = Places::below(root.path().join("batch"));
        let first = places.put("a.py".as_ref(), "x = 1000\n").unwrap();
        let (path, file) = (first.path.clone(), first.file);
        what(&path);
        places.free(first);
        let folder = disk::folder_of(&path);
        let is_spare = folder.exists();
        let second = places.put("b.py".as_ref(), "x = 1\n").unwrap();
        assert_eq!(fs::read_to_string(&second.path).unwrap(), "x = 1\n");
        assert_eq!(fs::read_dir(disk::folder_of(&second.path)).unwrap().count(), 1);
        assert!(second.path.ends_with("batch/1/b.py") && !folder.exists());
        assert_eq!(fs::read_to_string(outside).unwrap(), "theirs");
        assert!(!is_spare || second.file == file);
        places.remove().unwrap();
        is_spare
    }

    #[test]
    fn what_is_changed_while_nobody_is_judged_is_not_written_to() {
        let root = tempfile::tempdir().unwrap();
        let theirs = root.path().join("theirs");
        disk::write_passing(&theirs, b"theirs").unwrap();
        let changes: [fn(&Path, &Path); 3] = [
            |path, theirs| symlink(theirs, path).unwrap(),
            |path, theirs| fs::hard_link(theirs, path).unwrap(),
            |path, _| fs::create_dir(path).unwrap(),
        ];
        for (number, change) in changes.iter().enumerate() {
            let folder = root.path().join(number.to_string());
            fs::create_dir(&folder).unwrap();
            let mut places = Places::below(folder);
            let first = places.put("a.py".as_ref(), "x = 1000\n").unwrap();
            let path = first.path.clone();
            places.free(first);
            assert_eq!(places.spare.len(), 1);
            fs::remove_file(&path).unwrap();
            change(&path, &theirs);
            let second = places.put("a.py".as_ref(), "x = 1\n").unwrap();
            assert_eq!(fs::read_to_string(&second.path).unwrap(), "x = 1\n");
            assert_eq!(fs::read_to_string(&theirs).unwrap(), "theirs");
            assert!(second.path.ends_with("2/a.py"));
        }
    }

    #[test]
    fn a_place_is_used_again_as_long_as_nobody_has_meddled_with_it() {
        assert!(is_used_again(|_| {}));
        assert!(is_used_again(|path| {
            let mut file = fs::OpenOptions::new().append(true).open(path).unwrap();
            file.write_all(&b"# read\n".repeat(1000)).unwrap();
        }));
        let outside = |path: &Path| path.ancestors().nth(3).unwrap().join("outside");
        assert!(!is_used_again(
            |path| disk::write_passing(&path.with_file_name("a.pyc"), b"").unwrap()
        ));
        assert!(!is_used_again(|path| fs::create_dir(path.with_file_name("__pycache__")).unwrap()));
        assert!(!is_used_again(
            |path| fs::hard_link(path, outside(path).with_file_name("kept")).unwrap()
        ));
        assert!(!is_used_again(|path| fs::remove_file(path).unwrap()));
        assert!(!is_used_again(|path| fs::remove_dir_all(disk::folder_of(path)).unwrap()));
        assert!(!is_used_again(|path| {
            fs::set_permissions(path, fs::Permissions::from_mode(0o400)).unwrap();
        }));
        assert!(!is_used_again(|path| {
            fs::set_permissions(disk::folder_of(path), fs::Permissions::from_mode(0o500)).unwrap();
        }));
        for moved in ["kept", "batch/kept"] {
            #[expect(clippy::disallowed_methods, reason = "as an evaluator does")]
            let away = |path: &Path| {
                fs::rename(path, path.ancestors().nth(3).unwrap().join(moved)).unwrap();
            };
            assert!(!is_used_again(away));
            assert!(!is_used_again(|path| {
                away(path);
                symlink(outside(path), path).unwrap();
            }));
            assert!(!is_used_again(|path| {
                away(path);
                disk::write_passing(path, b"x = 1\n").unwrap();
            }));
        }
    }
}
