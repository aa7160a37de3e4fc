//! Files that are there whole or not at all, and are never somebody else's.
//!
//! A crash at any instruction leaves the old file or the new one: the new content goes to a
//! temporary name, is synced, renamed over the old name, and the folder is synced. No symbolic
//! link is followed at the last component of a path that is written.
//!
//! A file that is acted upon must be ours alone (`open_own`, `read_own`); one that is only read for
//! people may be anybody's (`open`). `disk/ownership.rs` judges both, and folders.

mod ownership;

pub use ownership::{Exposed, exposed};

use crate::units::Digest;
use rustix::fs::OFlags;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};

/// The action of [`DiskError::is_sync`].
pub(crate) const SYNC: &str = "sync";
/// The action of [`DiskError::is_meddling`].
pub(crate) const GO_ON: &str = "go on with";

/// What could not be done to which file, and why.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {source}", path.display())]
pub struct DiskError {
    /// A verb: `create`, `write`, `sync`.
    pub action: &'static str,
    /// To what.
    pub path: PathBuf,
    /// Why not.
    pub source: io::Error,
}

impl DiskError {
    /// For `map_err`.
    pub fn new(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self { action, path, source }
    }

    /// Whether it was a sync that failed: what was written before it may be lost, and another sync
    /// would say that all is well (<https://lwn.net/Articles/752063/>).
    pub fn is_sync(&self) -> bool {
        self.action == SYNC
    }

    /// Whether somebody else has changed, moved or removed a file that we were writing.
    pub fn is_meddling(&self) -> bool {
        self.action == GO_ON
    }

    /// Whether the operating system refused for want of permission.
    pub fn is_permission(&self) -> bool {
        matches!(
            self.source.kind(),
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
        )
    }
}

/// Files of ours are for us alone; what others are meant to read says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// 0600.
    Private,
    /// 0644 less the umask: candidates, the textfile.
    Shared,
}

impl Mode {
    const fn bits(self) -> u32 {
        match self {
            Self::Private => 0o600,
            Self::Shared => 0o644,
        }
    }
}

/// Makes a folder with its parents; those that are made are 0700 if private, and are there to stay.
pub fn create_folder(path: &Path, mode: Mode) -> Result<(), DiskError> {
    let missing: Vec<&Path> = path.ancestors().take_while(|folder| !folder.exists()).collect();
    let bits = if mode == Mode::Private { 0o700 } else { 0o755 };
    let created = fs::DirBuilder::new().recursive(true).mode(bits).create(path);
    created.map_err(DiskError::new("create the folder", path))?;
    missing.into_iter().try_for_each(|made| sync_folder(folder_of(made)))
}

/// Whether we may make files in the folder; better known before a batch than at its end.
pub fn writable(path: &Path) -> Result<(), DiskError> {
    let may = rustix::fs::access(path, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK);
    may.map_err(io::Error::from).map_err(DiskError::new("write in", path))
}

/// Opens a file that must not be there yet, for appending.
pub fn create_new(path: &Path, mode: Mode) -> Result<File, DiskError> {
    create_as(OpenOptions::new().append(true), path, mode)
}

fn create_as(options: &mut OpenOptions, path: &Path, mode: Mode) -> Result<File, DiskError> {
    options
        .create_new(true)
        .mode(mode.bits())
        .custom_flags(flags(OFlags::NOFOLLOW | OFlags::CLOEXEC))
        .open(path)
        .map_err(DiskError::new("create", path))
}

/// Opens a regular file for reading, whoever it belongs to; a link, a pipe, a folder or a device is
/// refused.
pub fn open(path: &Path) -> Result<File, DiskError> {
    open_if(OpenOptions::new().read(true), path, ownership::regular)
}

/// Opens a file for reading that is to be acted upon: like [`open`], and it must belong to us and have
/// no other name.
pub fn open_own(path: &Path) -> Result<File, DiskError> {
    open_own_as(OpenOptions::new().read(true), path)
}

/// Opens a file as `options` say, and holds it to what [`open_own`] does.
pub fn open_own_as(options: &mut OpenOptions, path: &Path) -> Result<File, DiskError> {
    open_if(options, path, ownership::ours)
}

fn open_if(
    options: &mut OpenOptions,
    path: &Path,
    accept: fn(&Metadata) -> io::Result<()>,
) -> Result<File, DiskError> {
    let refused = |source| DiskError::new("open", path)(source);
    // Before it is opened, since opening a device can do something; a better word for it than the
    // system's, too.
    if let Ok(metadata) = path.symlink_metadata() {
        accept(&metadata).map_err(refused)?;
    }
    // NONBLOCK: opening a pipe must not wait for its other end.
    let file = options
        .custom_flags(flags(OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK))
        .open(path)
        .map_err(refused)?;
    // What was opened may be another one than what was looked at.
    file.metadata().and_then(|metadata| accept(&metadata)).map_err(refused)?;
    Ok(file)
}

#[expect(clippy::cast_possible_wrap, reason = "open flags are small positive numbers")]
fn flags(flags: OFlags) -> i32 {
    flags.bits() as i32
}

/// Reads a regular file of at most `limit` bytes, whoever it belongs to; `None` where there is none.
pub fn read(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, DiskError> {
    read_from(open(path), path, limit)
}

/// Reads a file that is to be acted upon, as [`open_own`] opens it.
pub fn read_own(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, DiskError> {
    read_from(open_own(path), path, limit)
}

fn read_from(
    opened: Result<File, DiskError>,
    path: &Path,
    limit: u64,
) -> Result<Option<Vec<u8>>, DiskError> {
    let file = match opened {
        Err(error) if error.source.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let length = file.metadata().map_err(DiskError::new("look at", path))?.len();
    let mut bytes = Vec::new();
    if length <= limit {
        bytes.reserve(room(length));
        // It may grow while it is read.
        file.take(limit + 1).read_to_end(&mut bytes).map_err(DiskError::new("read", path))?;
    }
    if length.max(bytes.len() as u64) > limit {
        let too_long = io::Error::other(format!("it is longer than {limit} bytes"));
        return Err(DiskError::new("read", path)(too_long));
    }
    Ok(Some(bytes))
}

/// Room for a file of this length and one byte more, which is read to see the end: so it is read at once, where growing
/// takes a call for each doubling.
pub fn room(length: u64) -> usize {
    usize::try_from(length).unwrap_or(0).saturating_add(1)
}

/// Puts `bytes` in the place of whatever regular file `path` is, whole or not at all.
pub fn replace(path: &Path, bytes: &[u8], mode: Mode) -> Result<(), DiskError> {
    let temporary = temporary(path);
    remove_if_there(&temporary)?;
    let written = create_new(&temporary, mode).and_then(|mut file| {
        file.write_all(bytes).map_err(DiskError::new("write", &temporary))?;
        file.sync_all().map_err(DiskError::new(SYNC, &temporary))?;
        has_length(&file, bytes.len() as u64).map_err(DiskError::new("write", &temporary))
    });
    let placed = written.and_then(|()| rename(&temporary, path));
    if placed.is_err() {
        // What is left is harmless and is removed by the next try.
        let _ = fs::remove_file(&temporary);
    }
    placed
}

/// Adds to a file of ours, which is made where there is none, and makes that lasting.
pub fn append(path: &Path, bytes: &[u8]) -> Result<(), DiskError> {
    let is_new = path.symlink_metadata().is_err();
    let mut file = match create_new(path, Mode::Private) {
        Err(error) if error.source.kind() == io::ErrorKind::AlreadyExists => {
            open_own_as(OpenOptions::new().append(true), path)?
        }
        made => made?,
    };
    file.write_all(bytes).map_err(DiskError::new("write", path))?;
    file.sync_all().map_err(DiskError::new(SYNC, path))?;
    if is_new { sync_folder(folder_of(path)) } else { Ok(()) }
}

/// Puts `bytes` in the place of a user's own file, with its owner, group and permissions, if it still has the
/// digest `expected`: whole or not at all. A file with a second name is refused, since only this name would
/// lead to the new content.
pub fn replace_alike(path: &Path, expected: &Digest, bytes: &[u8]) -> Result<(), DiskError> {
    let metadata = fs::metadata(path).map_err(DiskError::new("look at", path))?;
    if metadata.nlink() > 1 {
        let told = format!(
            "it has {} hard links, and the others would keep the old content; make it a file of its own (cp) first",
            metadata.nlink()
        );
        return Err(DiskError::new("replace", path)(io::Error::other(told)));
    }
    let (file, temporary) = create_beside(path)?;
    let replaced = write_alike(file, &temporary, &metadata, bytes).and_then(|()| {
        let there = fs::read(path).map_err(DiskError::new("read", path))?;
        if Digest::of(&there) != *expected {
            let changed = io::Error::other("it was changed meanwhile; nothing was done");
            return Err(DiskError::new("replace", path)(changed));
        }
        rename(&temporary, path)
    });
    if replaced.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    replaced
}

/// Makes a hidden file in the folder of `path`, which is somebody's: whatever is there already stays.
fn create_beside(path: &Path) -> Result<(File, PathBuf), DiskError> {
    let process = std::process::id();
    let mut number = 0_u32;
    loop {
        // Not made of the file's name, which may be as long as a name can be.
        let temporary = folder_of(path).join(format!(".mutation-agent-{process}-{number}.tmp"));
        match create_new(&temporary, Mode::Private) {
            Err(error)
                if error.source.kind() == io::ErrorKind::AlreadyExists && number < u32::MAX =>
            {
                number += 1;
            }
            made => return made.map(|file| (file, temporary)),
        }
    }
}

fn write_alike(
    mut file: File,
    temporary: &Path,
    like: &Metadata,
    bytes: &[u8],
) -> Result<(), DiskError> {
    file.write_all(bytes).map_err(DiskError::new("write", temporary))?;
    let owned = give(&file, like.uid(), like.gid());
    owned.map_err(DiskError::new("set the owner and group of", temporary))?;
    // After the owner, whose change takes bits away.
    let permitted = file.set_permissions(like.permissions());
    permitted.map_err(DiskError::new("set the permissions of", temporary))?;
    file.sync_all().map_err(DiskError::new(SYNC, temporary))
}

/// Makes the file that user's and that group's; an error if we may not.
fn give(file: &File, user: u32, group: u32) -> io::Result<()> {
    let metadata = file.metadata()?;
    if (metadata.uid(), metadata.gid()) == (user, group) {
        return Ok(());
    }
    std::os::unix::fs::fchown(file, Some(user), Some(group))
}

/// Writes a new file that nobody needs after a power cut.
pub fn write_passing(path: &Path, bytes: &[u8]) -> Result<(), DiskError> {
    create_new(path, Mode::Private)?.write_all(bytes).map_err(DiskError::new("write", path))
}

/// Opens such a file for writing anywhere in it; it must not be there yet.
pub fn create_passing(path: &Path) -> Result<File, DiskError> {
    create_as(OpenOptions::new().write(true), path, Mode::Private)
}

/// Some disks say that they have written what they have not.
fn has_length(file: &File, expected: u64) -> io::Result<()> {
    let length = file.metadata()?.len();
    if length == expected {
        return Ok(());
    }
    Err(io::Error::other(format!("{expected} bytes were written and it has {length}")))
}

/// Renames what nobody needs after a power cut.
pub fn rename_passing(from: &Path, to: &Path) -> Result<(), DiskError> {
    #[expect(clippy::disallowed_methods, reason = "it need not last")]
    fs::rename(from, to).map_err(DiskError::new("rename", from))
}

/// Renames within a folder, and syncs the folder.
pub fn rename(from: &Path, to: &Path) -> Result<(), DiskError> {
    #[expect(clippy::disallowed_methods, reason = "the one place; the folder is synced below")]
    fs::rename(from, to).map_err(DiskError::new("rename", from))?;
    sync_folder(folder_of(to))
}

/// Makes `link` a symbolic link to `target`, in one step where there was another.
pub fn swap_link(link: &Path, target: &Path) -> Result<(), DiskError> {
    let temporary = temporary(link);
    remove_if_there(&temporary)?;
    std::os::unix::fs::symlink(target, &temporary).map_err(DiskError::new("link", &temporary))?;
    let swapped = rename(&temporary, link);
    if swapped.is_err() {
        // What is left is harmless and is removed by the next try.
        let _ = fs::remove_file(&temporary);
    }
    swapped
}

/// Removes a file, a link, a pipe; that it was not there is fine. A folder is left alone: there may be
/// something in it.
pub fn remove_if_there(path: &Path) -> Result<(), DiskError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
            let told = "a folder is in its place; move it away";
            Err(DiskError::new("remove", path)(io::Error::other(told)))
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(DiskError::new("remove", path)(error))
        }
        _ => Ok(()),
    }
}

/// Removes a folder with all that is in it, never through a link; that it was not there is fine. Folders of
/// ours that are read-only are made writable for it.
pub fn remove_tree(path: &Path) -> Result<(), DiskError> {
    let removed = match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_up(path);
            fs::remove_dir_all(path)
        }
        done => done,
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(DiskError::new("remove", path)(error))
        }
        _ => Ok(()),
    }
}

/// Lets the owner do anything in a folder and in those within it. What cannot be changed is left as it is, for
/// the removal to report.
fn open_up(path: &Path) {
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(metadata) = folder.symlink_metadata() else { continue };
        if !metadata.is_dir() {
            continue;
        }
        let mut permissions = metadata.permissions();
        permissions.set_mode(permissions.mode() | 0o700);
        let _ = fs::set_permissions(&folder, permissions);
        let entries = fs::read_dir(&folder).into_iter().flatten();
        folders.extend(entries.filter_map(|entry| entry.ok().map(|entry| entry.path())));
    }
}

/// Makes renames and removals in a folder lasting.
pub fn sync_folder(path: &Path) -> Result<(), DiskError> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(DiskError::new(SYNC, path))
}

/// The folder that a path is in.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().map_or(Path::new("."), or_here)
}

/// A relative path's last ancestor is empty and means the working folder.
pub fn or_here(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}

/// `.name.tmp` in the same folder, where [`replace`] writes first: hidden, and never mistaken for the
/// file itself.
pub(crate) fn temporary(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    folder_of(path).join(format!(".{name}.tmp"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        replace(&path, b"one", Mode::Private).unwrap();
        replace(&path, b"two", Mode::Private).unwrap();
        assert_eq!(read(&path, 10).unwrap().unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_in_the_place_of_a_file_is_replaced_and_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        replace(&target, b"theirs", Mode::Shared).unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(read(&link, 10).is_err());
        assert!(create_new(&link, Mode::Private).is_err());
        replace(&link, b"ours", Mode::Private).unwrap();
        assert_eq!(read(&target, 10).unwrap().unwrap(), b"theirs");
    }

    #[test]
    fn what_is_not_a_regular_file_is_not_read_and_does_not_hang() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read(folder.path(), 10).unwrap_err().to_string().contains("not a regular file"));
        let pipe = folder.path().join("pipe");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        assert!(read(&pipe, 10).is_err());
    }

    #[test]
    fn a_file_that_is_longer_than_it_may_be_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long");
        replace(&path, &[0; 11], Mode::Private).unwrap();
        assert!(read(&path, 10).unwrap_err().to_string().contains("longer than 10 bytes"));
        assert!(read(&folder.path().join("none"), 10).unwrap().is_none());
    }

    #[test]
    fn a_link_is_swapped_in_one_step() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("latest.jsonl");
        swap_link(&link, Path::new("a.jsonl")).unwrap();
        swap_link(&link, Path::new("b.jsonl")).unwrap();
        assert_eq!(fs::read_link(&link).unwrap(), Path::new("b.jsonl"));
    }

    #[test]
    fn a_users_file_keeps_group_and_permissions_and_what_is_beside_it_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.py");
        let beside = folder.path().join(".a.py.tmp");
        let first = folder.path().join(format!(".mutation-agent-{}-0.tmp", std::process::id()));
        write_passing(&path, b"old").unwrap();
        write_passing(&beside, b"theirs").unwrap();
        write_passing(&first, b"theirs, too").unwrap();
        let group = another_group(&path);
        std::os::unix::fs::chown(&path, None, Some(group)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o660)).unwrap();
        replace_alike(&path, &Digest::of(b"old"), b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        let metadata = fs::metadata(&path).unwrap();
        assert_eq!((metadata.gid(), metadata.permissions().mode() & 0o777), (group, 0o660));
        assert!(replace_alike(&path, &Digest::of(b"old"), b"newer").is_err());
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read(&beside).unwrap(), b"theirs");
        assert_eq!(fs::read(&first).unwrap(), b"theirs, too");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    }

    /// One that we may give a file to: root any, others one of theirs; their only one where they have no
    /// other, and then `a_file_is_given_to_a_group_or_it_is_an_error` alone holds what is at stake.
    fn another_group(path: &Path) -> u32 {
        let own = fs::metadata(path).unwrap().gid();
        if rustix::process::geteuid().is_root() {
            return own + 1000;
        }
        let groups = rustix::process::getgroups().unwrap();
        groups.iter().map(|group| group.as_raw()).find(|group| *group != own).unwrap_or(own)
    }

    #[test]
    fn a_file_is_given_to_a_group_or_it_is_an_error() {
        let file = tempfile::tempfile().unwrap();
        let (user, group) = (file.metadata().unwrap().uid(), file.metadata().unwrap().gid() + 4321);
        let given = give(&file, user, group);
        assert_eq!(given.is_ok(), file.metadata().unwrap().gid() == group, "{given:?}");
        give(&file, user, file.metadata().unwrap().gid()).unwrap();
    }

    #[test]
    fn a_file_with_a_second_name_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (path, second) = (folder.path().join("a.py"), folder.path().join("b.py"));
        write_passing(&path, b"old").unwrap();
        fs::hard_link(&path, &second).unwrap();
        let refused = replace_alike(&path, &Digest::of(b"old"), b"new").unwrap_err().to_string();
        assert!(refused.contains("2 hard links"), "{refused}");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    /// Root removes it as it is; so what makes it removable for others is asked by itself, too.
    #[test]
    fn a_read_only_folder_is_removed_and_what_a_link_in_it_leads_to_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (tree, theirs) = (folder.path().join("tree"), folder.path().join("theirs"));
        let inner = tree.join("a/b");
        let read_only = |path: &Path| {
            fs::set_permissions(path, fs::Permissions::from_mode(0o555)).unwrap();
        };
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        fs::create_dir_all(&inner).unwrap();
        fs::create_dir(&theirs).unwrap();
        write_passing(&inner.join("file"), b"").unwrap();
        std::os::unix::fs::symlink(&theirs, tree.join("link")).unwrap();
        let all =
            || [&inner, &tree.join("a"), &theirs].into_iter().for_each(|path| read_only(path));
        all();
        open_up(&tree);
        assert_eq!((mode(&inner), mode(&tree.join("a")), mode(&theirs)), (0o755, 0o755, 0o555));
        all();
        remove_tree(&tree).unwrap();
        assert!(!tree.exists() && theirs.exists());
        remove_tree(&tree).unwrap();
    }
}
