//! Whether a file or folder is ours alone. Judged from what `stat` says, before anything is done with it.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// Others may write there.
const OTHERS: u32 = 0o022;
/// Everybody may write there.
const EVERYBODY: u32 = 0o002;
/// In such a folder only its owner may rename or remove a file, as in `/tmp`.
const STICKY: u32 = 0o1000;

/// A folder in which others could put, swap or remove our files.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Exposed {
    /// Group or world may write in it.
    #[error("{} can be written by others; run: chmod go-w {}", .0.display(), .0.display())]
    Writable(PathBuf),
    /// Everybody may rename it away and put another one in its place.
    #[error(
        "{} can be swapped by anybody, for {} can be written by all; run: chmod o-w {}, or give another folder",
        path.display(), parent.display(), parent.display()
    )]
    Swappable {
        /// The folder.
        path: PathBuf,
        /// The one that it is in.
        parent: PathBuf,
    },
    /// Its owner may do so too.
    #[error("{} {}", path.display(), whose(*owner))]
    Foreign {
        /// The folder.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
    },
}

/// Whether the folder at `path`, or where it would be made, is one for us alone. A symbolic link is
/// judged by what it leads to (systemd's `DynamicUser=` makes some), and by the folder it is in.
pub fn exposed(path: &Path) -> Result<(), Exposed> {
    for place in [Some(path.to_owned()), path.canonicalize().ok()].into_iter().flatten() {
        let is_missing = |folder: &&Path| super::or_here(folder).symlink_metadata().is_err();
        let missing = place.ancestors().take_while(is_missing);
        let lowest = missing.last().unwrap_or(&place);
        let parent = lowest.parent().map(super::or_here);
        if let Some((parent, metadata)) = parent.and_then(|it| Some((it, fs::metadata(it).ok()?)))
            && metadata.mode() & EVERYBODY != 0
            && metadata.mode() & STICKY == 0
        {
            return Err(Exposed::Swappable { path: path.to_owned(), parent: parent.to_owned() });
        }
    }
    let Ok(metadata) = fs::metadata(path) else { return Ok(()) };
    if !metadata.is_dir() {
        // That is said by whoever wants a folder there.
        return Ok(());
    }
    if metadata.uid() != us() {
        return Err(Exposed::Foreign { path: path.to_owned(), owner: metadata.uid() });
    }
    if metadata.mode() & OTHERS != 0 {
        return Err(Exposed::Writable(path.to_owned()));
    }
    Ok(())
}

/// Refuses what is not a regular file.
pub(super) fn regular(metadata: &Metadata) -> io::Result<()> {
    if metadata.is_file() {
        return Ok(());
    }
    Err(io::Error::other(format!("it is {}, not a regular file; move it away", kind(metadata))))
}

/// Refuses what is not a regular file of ours with one name: somebody else could have planted it, or
/// could read and change it under another name.
pub(super) fn ours(metadata: &Metadata) -> io::Result<()> {
    regular(metadata)?;
    if metadata.uid() != us() {
        let told = format!("it {}", whose(metadata.uid()));
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, told));
    }
    if metadata.nlink() != 1 {
        let told = format!(
            "it has {} names (hard links), and may be somebody else's; put a copy of it in its place",
            metadata.nlink()
        );
        return Err(io::Error::other(told));
    }
    Ok(())
}

fn us() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn whose(owner: u32) -> String {
    format!("is owned by uid {owner}, and this is uid {}; run as that user, or chown it", us())
}

fn kind(metadata: &Metadata) -> &'static str {
    let kind = metadata.file_type();
    match () {
        () if kind.is_symlink() => "a symbolic link",
        () if kind.is_dir() => "a folder",
        () if kind.is_fifo() => "a pipe",
        () if kind.is_socket() => "a socket",
        () if kind.is_block_device() || kind.is_char_device() => "a device",
        () => "something else",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_folder_is_judged_by_its_mode_and_by_the_folder_it_is_in() {
        let root = tempfile::tempdir().unwrap();
        let (parent, data) = (root.path().join("parent"), root.path().join("parent/data"));
        fs::create_dir_all(&data).unwrap();
        for (mode_of_parent, mode, expected) in [
            (0o755, 0o700, None),
            (0o755, 0o755, None),
            (0o755, 0o770, Some(Exposed::Writable(data.clone()))),
            (0o755, 0o702, Some(Exposed::Writable(data.clone()))),
            (0o1777, 0o700, None),
            (0o775, 0o700, None),
            (0o777, 0o700, Some(Exposed::Swappable { path: data.clone(), parent: parent.clone() })),
        ] {
            chmod(&parent, mode_of_parent);
            chmod(&data, mode);
            assert_eq!(exposed(&data).err(), expected, "{mode_of_parent:o} {mode:o}");
        }
        let below = data.join("a/b");
        assert_eq!(exposed(&below), Ok(()), "it will be made in a folder of ours");
        chmod(&data, 0o777);
        assert!(matches!(exposed(&below), Err(Exposed::Swappable { .. })));
    }

    #[test]
    fn a_link_to_a_folder_is_judged_by_what_it_leads_to() {
        let root = tempfile::tempdir().unwrap();
        let private = root.path().join("private");
        fs::create_dir(&private).unwrap();
        fs::create_dir(private.join("agent")).unwrap();
        let link = root.path().join("agent");
        std::os::unix::fs::symlink("private/agent", &link).unwrap();
        chmod(&private.join("agent"), 0o700);
        assert_eq!(exposed(&link), Ok(()));
        chmod(&private.join("agent"), 0o720);
        assert!(matches!(exposed(&link), Err(Exposed::Writable(_))));
        chmod(&private.join("agent"), 0o700);
        chmod(&private, 0o777);
        assert!(matches!(exposed(&link), Err(Exposed::Swappable { .. })));
    }

    #[test]
    fn a_file_with_two_names_is_not_ours_alone() {
        let root = tempfile::tempdir().unwrap();
        let (one, two) = (root.path().join("one"), root.path().join("two"));
        fs::File::create(&one).unwrap();
        assert!(ours(&fs::metadata(&one).unwrap()).is_ok());
        fs::hard_link(&one, &two).unwrap();
        let told = ours(&fs::metadata(&one).unwrap()).unwrap_err().to_string();
        assert!(told.contains("2 names"), "{told}");
        assert!(regular(&fs::metadata(&one).unwrap()).is_ok());
        let told = regular(&fs::metadata(root.path()).unwrap()).unwrap_err().to_string();
        assert!(told.contains("it is a folder, not a regular file"), "{told}");
    }
}
