//! Logs that are still written: they grow, they are cut, and others take their names.

use super::OldLog;
use crate::disk::DiskError;
use std::path::PathBuf;
use std::rc::Rc;

/// Files that were renamed stay open, for their program may not know yet; no more than these of one name.
const MOST_LEAVING: usize = 3;

/// What stands under some names, now and a while ago.
#[derive(Debug)]
pub struct Watch(Vec<Followed>);

#[derive(Debug)]
struct Followed {
    path: PathBuf,
    /// The one that has the name, if there is one, is the last.
    logs: Vec<Watched>,
    /// Why nothing can be opened under the name, and that was said.
    trouble: Option<String>,
}

/// Which log under watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    followed: usize,
    index: usize,
}

#[derive(Debug)]
struct Watched {
    log: Rc<OldLog>,
    /// Bytes that were read of it; `None` before the first look.
    read: Option<u64>,
}

impl Watched {
    /// Whether it is longer, or shorter, than what was read.
    fn has_news(&self) -> Result<bool, DiskError> {
        match self.read {
            None => Ok(true),
            // What is packed is written once.
            Some(_) if self.log.is_packed() => Ok(false),
            Some(read) => Ok(self.log.length()? != read),
        }
    }
}

impl Watch {
    /// Of these names, of which some may have nothing yet.
    pub fn new(paths: &[PathBuf]) -> Self {
        let mut followed: Vec<Followed> = Vec::new();
        for path in paths {
            if followed.iter().all(|one| one.path != *path) {
                followed.push(Followed { path: path.clone(), logs: Vec::new(), trouble: None });
            }
        }
        Self(followed)
    }

    /// Opens what has come under the names. Places stay what they are.
    pub fn look(&mut self) -> Result<(), DiskError> {
        for one in &mut self.0 {
            let current = one.logs.last();
            if current.map_or(Ok(true), |current| current.log.is_replaced())? {
                match OldLog::open(&one.path) {
                    Ok(log) => {
                        one.trouble = None;
                        one.logs.push(Watched { log: Rc::new(log), read: None });
                    }
                    // It may not be there yet, or not be readable yet: whoever rotates logs does one thing after the other.
                    Err(error) => {
                        let trouble = Some(error.to_string());
                        if one.trouble != trouble {
                            tracing::warn!(%error, "waiting for that log");
                            one.trouble = trouble;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Lets go of files that have lost their names and that nothing comes from. Places change.
    pub fn let_go(&mut self) -> Result<(), DiskError> {
        for one in &mut self.0 {
            let leaving = one.logs.len().saturating_sub(1);
            let mut kept = Vec::new();
            for (index, watched) in one.logs.drain(..).enumerate() {
                let is_past = index < leaving
                    && (watched.log.is_removed()? || index + MOST_LEAVING < leaving);
                if !is_past || watched.has_news()? {
                    kept.push(watched);
                }
            }
            one.logs = kept;
        }
        Ok(())
    }

    /// Whether any of them has something that was not read.
    pub fn has_news(&self) -> Result<bool, DiskError> {
        for watched in self.0.iter().flat_map(|one| &one.logs) {
            if watched.has_news()? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Others than these that have something that was not read.
    pub fn news_beside(&self, places: &[Place]) -> Result<Vec<Place>, DiskError> {
        let mut found = Vec::new();
        for (followed, one) in self.0.iter().enumerate() {
            for (index, watched) in one.logs.iter().enumerate() {
                let place = Place { followed, index };
                if !places.contains(&place) && watched.has_news()? {
                    found.push(place);
                }
            }
        }
        Ok(found)
    }

    /// One of each name: the oldest that has news, else the one that has the name now.
    pub fn due(&self) -> Result<Vec<Place>, DiskError> {
        let mut due = Vec::new();
        for (followed, one) in self.0.iter().enumerate() {
            let Some(mut index) = one.logs.len().checked_sub(1) else { continue };
            for (older, watched) in one.logs.iter().enumerate().rev() {
                if watched.has_news()? {
                    index = older;
                }
            }
            due.push(Place { followed, index });
        }
        Ok(due)
    }

    /// The log at a place.
    pub fn get(&self, place: Place) -> Rc<OldLog> {
        Rc::clone(&self.0[place.followed].logs[place.index].log)
    }

    /// Whether its name was taken more than once since: nobody writes there any more.
    pub fn is_left_behind(&self, place: Place) -> bool {
        self.0[place.followed].logs.len() > place.index + 2
    }

    /// Lets a log be looked at again, though nothing is written in it.
    pub fn look_again(&mut self, place: Place) {
        self.0[place.followed].logs[place.index].read = None;
    }

    /// Remembers that so much of it was read.
    pub fn read_up_to(&mut self, place: Place, bytes: u64) {
        self.0[place.followed].logs[place.index].read = Some(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{self, Mode};

    #[test]
    fn what_is_no_log_yet_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("old.log");
        let mut watch = Watch::new(&[path.clone(), path.clone()]);
        let mut has_news = || {
            watch.look().unwrap();
            watch.has_news().unwrap()
        };
        assert!(!has_news(), "nothing is there");
        std::fs::create_dir(&path).unwrap();
        assert!(!has_news(), "a folder is no log");
        std::fs::remove_dir(&path).unwrap();
        disk::replace(&path, b"{}\n", Mode::Private).unwrap();
        assert!(has_news());
        assert_eq!(watch.due().unwrap().len(), 1, "one name is one log");
    }
}
