//! A program of the user's, as `check` tells of it: where it would be found, without running it.

use super::Failure;
use crate::batch;
use crate::config::Config;
use crate::disk;
use crate::evaluator::Mode;
use crate::exit::Exit;
use rustix::fs::{Access, access};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Says what a batch and `promote` would run; the exit code of a batch that could not.
pub(super) fn write_programs(
    config: &Config,
    folders: &[PathBuf],
    out: &mut dyn Write,
) -> Result<Exit, Failure> {
    let promote = config.promote.command.first();
    if config.evaluator.is_none() && promote.is_none() {
        return Ok(Exit::Done);
    }
    let folder = disk::or_here(&config.base);
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    writeln!(out, "\n# programs, started in {}", folder.display())?;
    let mut exit = Exit::Done;
    if let Some(evaluator) = &config.evaluator {
        let program = evaluator.command.first().map_or("", String::as_str);
        match find(program, &config.base, folders) {
            Ok(path) => {
                let (workers, each) = (batch::workers(evaluator), evaluator.in_flight);
                let at_once = match each {
                    1 => format!("{workers} at once"),
                    _ => format!("{workers} with {each} in flight of each"),
                };
                let once = match evaluator.mode {
                    Mode::Process => "for each candidate",
                    Mode::Stream => "once per worker",
                };
                writeln!(out, "evaluator  {}  {once}, {at_once}", path.display())?;
            }
            Err(why) => {
                exit = Exit::Failed;
                let code = exit.code();
                writeln!(
                    out,
                    "evaluator  {program}  {why}: a run would fail with exit code {code}"
                )?;
            }
        }
    }
    if let Some(program) = promote {
        let (program, state) = match find(program, &config.base, folders) {
            Ok(path) => (path, "asked before a source is replaced".to_owned()),
            Err(why) => (program.into(), format!("{why}: nothing would be promoted")),
        };
        writeln!(out, "promote    {}  {state}", program.display())?;
    }
    Ok(exit)
}

/// The file that a program's name leads to: with a slash it is relative to `base`, without one it is looked up in
/// `folders`. Or why there is none.
fn find(program: &str, base: &Path, folders: &[PathBuf]) -> Result<PathBuf, &'static str> {
    let runs = |path: &PathBuf| path.is_file() && access(path, Access::EXEC_OK).is_ok();
    if !program.contains('/') {
        let mut places = folders.iter().map(|folder| base.join(folder).join(program));
        return places
            .find(runs)
            .ok_or("is not in PATH; name it with its folder, such as ./evaluator");
    }
    let path = base.join(program);
    if runs(&path) {
        Ok(path)
    } else if path.is_file() {
        Err("is not executable for this user (chmod +x)")
    } else {
        Err("is not there")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_program_is_found_as_it_would_be_started() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path();
        fs::create_dir(base.join("bin")).unwrap();
        for (name, mode) in [("bin/judge", 0o755), ("bin/plain", 0o644)] {
            drop(fs::File::create(base.join(name)).unwrap());
            fs::set_permissions(base.join(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        let folders = [base.join("nowhere"), base.join("bin")];
        assert_eq!(find("judge", base, &folders), Ok(base.join("bin/judge")));
        assert_eq!(find("bin/judge", base, &[]), Ok(base.join("bin/judge")));
        let nowhere = find("plain", base, &folders);
        assert_eq!(nowhere, Err("is not in PATH; name it with its folder, such as ./evaluator"));
        assert_eq!(find("./judge", base, &folders), Err("is not there"));
        let plain = find("bin/plain", base, &folders);
        assert_eq!(plain, Err("is not executable for this user (chmod +x)"));
        assert_eq!(find("./bin", base, &folders), Err("is not there"));
    }
}
