//! Where candidates stand while they are judged: each in a folder of its own, at a path that none had before.

use crate::disk::{self, DiskError};
use rustix::fs::{Mode, OFlags, RawDir, fstat};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// A candidate's file, which is alone in its folder.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    file: File,
}

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
        let folder = self.folder.join(self.made.to_string());
        self.made += 1;
        let path = folder.join(name);
        let file = if let Some(spare) = self.spare.pop() {
            disk::rename_passing(disk::folder_of(&spare.path), &folder)?;
            if let Some(before) = spare.path.file_name().filter(|before| *before != name) {
                disk::rename_passing(&folder.join(before), &path)?;
            }
            spare.file
        } else {
            // As passing as what it holds.
            fs::create_dir(&folder).map_err(DiskError::new("create the folder", &folder))?;
            disk::create_passing(&path)?
        };
        rewrite(&file, text.as_bytes()).map_err(DiskError::new("write", &path))?;
        Ok(Place { path, file })
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
        let file = fstat(&self.file)?;
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = rustix::fs::open(disk::folder_of(&self.path), flags, Mode::empty())?;
        let usable = file.st_mode & 0o600 == 0o600 && fstat(&folder)?.st_mode & 0o700 == 0o700;
        let name = self.path.file_name().map(OsStr::as_bytes);
        // `fs::read_dir` takes 32 KiB, which costs more than what it reads.
        let mut room = [MaybeUninit::uninit(); 512];
        let mut entries = RawDir::new(&folder, &mut room);
        let mut is_there = false;
        while let Some(entry) = entries.next() {
            let entry = entry?;
            match entry.file_name().to_bytes() {
                b"." | b".." => {}
                found if Some(found) == name && entry.ino() == file.st_ino => is_there = true,
                _ => return Ok(false),
            }
        }
        Ok(usable && is_there && file.st_nlink == 1)
    }
}

fn rewrite(file: &File, bytes: &[u8]) -> io::Result<()> {
    file.write_all_at(bytes, 0)?;
    let length = bytes.len() as u64;
    if file.metadata()?.len() == length { Ok(()) } else { file.set_len(length) }
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
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    /// Judged once by an evaluator that does this with it; whether its place is used again.
    fn is_used_again(what: impl FnOnce(&Path)) -> bool {
        let root = tempfile::tempdir().unwrap();
        let outside = root.path().join("outside");
        disk::write_passing(&outside, b"theirs").unwrap();
        fs::create_dir(root.path().join("batch")).unwrap();
        let mut places = Places::below(root.path().join("batch"));
        let first = places.put("a.py".as_ref(), "x = 1000\n").unwrap();
        let (path, inode) = (first.path.clone(), first.file.metadata().unwrap().ino());
        what(&path);
        places.free(first);
        let folder = disk::folder_of(&path);
        let is_spare = folder.exists();
        let second = places.put("b.py".as_ref(), "x = 1\n").unwrap();
        assert_eq!(fs::read_to_string(&second.path).unwrap(), "x = 1\n");
        assert_eq!(fs::read_dir(disk::folder_of(&second.path)).unwrap().count(), 1);
        assert!(second.path.ends_with("batch/1/b.py") && !folder.exists());
        assert_eq!(fs::read_to_string(outside).unwrap(), "theirs");
        assert!(!is_spare || second.file.metadata().unwrap().ino() == inode);
        places.remove().unwrap();
        is_spare
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
