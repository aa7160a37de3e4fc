//! All batches from the oldest to the newest: each names the digest of the one before, and its totals.

use super::batch::{Described, buckets_of, check, name, not_ours, totals_figures};
use super::log::read_log;
use super::{Fault, Finding};
use crate::audit::manifest::Heading;
use crate::audit::retention::Anchor;
use crate::audit::{BatchFiles, Folder, Manifest, ManifestError, Order, Pruned};
use crate::disk::DiskError;
use crate::metrics::{BatchSummary, Buckets, Status, Tally, Totals};
use crate::units::{BatchId, Digest};
use std::collections::BTreeMap;
use std::io;

/// What is known of both ends of the chain from elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The newest batch that is counted, and the digest of its manifest.
    pub newest: Option<(&'a BatchId, &'a Digest)>,
    /// The totals after it.
    pub totals: Option<&'a Totals>,
    /// What was pruned.
    pub pruned: &'a Pruned,
    /// Who says all this, for messages.
    pub by: &'a str,
}

/// What reading everything came to.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What is wrong, oldest batch first.
    pub findings: Vec<Finding>,
    /// What is worth a word and no fault.
    pub notes: Vec<String>,
    /// Sealed batches.
    pub batches: u64,
    /// Records in them.
    pub records: u64,
    /// The totals, folded again from the oldest log on; those of pruned batches stand in the oldest manifest.
    pub totals: Option<Totals>,
    /// The journals that are open.
    pub open: Vec<OpenLog>,
}

/// A journal that is open: its batch runs, or was killed.
#[derive(Clone, Debug)]
pub struct OpenLog {
    /// Which batch.
    pub id: BatchId,
    /// The fold over its whole lines.
    pub tally: Tally,
}

/// Reads the whole folder.
pub fn verify(folder: &Folder, known: &Known<'_>) -> Result<Report, DiskError> {
    let mut report = Report::default();
    let mut closed = Vec::new();
    let batches = folder.batches()?;
    let anchor = known.pruned.anchor(folder, &batches);
    for (id, files) in batches {
        if files.open {
            read_open(folder, &id, known, &mut report)?;
        } else if anchor.is_some_and(|anchor| anchor.is_left(&id, files)) {
            report.notes.push(format!("{id} is pruned; the next prune removes what is left of it"));
        } else {
            if files.is_sealed() && anchor.is_some_and(|anchor| anchor.is_past(&id)) {
                report.notes.push(format!("{id} was pruned, and is there again"));
            }
            closed.push((id, files));
        }
    }
    let mut walk = Walk { folder, known, anchor, report, cards: BTreeMap::new(), before: None };
    let mut links = Vec::new();
    for (id, files) in closed {
        let card = Card::read(folder, &id)?;
        if matches!(card, Card::Good { running: true, .. }) && !files.is_sealed() {
            // It was never sealed, so it is no link of the chain.
            let file = name(&folder.manifest(&id));
            walk.report.findings.push(Finding { file, fault: Fault::RunningLogGone });
        } else {
            walk.cards.insert(id.clone(), card);
            links.push((id, files));
        }
    }
    let changed = walk.changed();
    for (index, (id, files)) in links.iter().enumerate() {
        walk.step(id, *files, index == 0, changed.get(id))?;
    }
    walk.look_for_the_newest();
    Ok(walk.report)
}

/// What the whole lines of an open journal say. Its end may be torn at any moment.
fn read_open(
    folder: &Folder,
    id: &BatchId,
    known: &Known<'_>,
    report: &mut Report,
) -> Result<(), DiskError> {
    let path = folder.open_journal(id);
    let manifest = Manifest::read(folder, id).ok().map(|(manifest, _)| manifest);
    let buckets = manifest.as_ref().map_or_else(Buckets::default, buckets_of);
    let order = Order::of(manifest.as_ref());
    let file = name(&path);
    let reading = match read_log(&path, id, buckets, &order) {
        Ok(reading) => reading,
        // Sealed while we looked; the caller sees that the folder changed.
        Err(error) if error.source.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            report
                .findings
                .push(Finding { file, fault: Fault::NotAFile { why: not_ours(error)? } });
            return Ok(());
        }
    };
    let left = known.newest.is_some_and(|(newest, _)| id < newest).then_some(Fault::LeftOpen);
    let other = reading.other.map(|batch| Fault::OtherLog { batch });
    let faults = reading.faults.into_iter().chain(left).chain(other);
    report.findings.extend(faults.map(|fault| Finding { file: file.clone(), fault }));
    report.notes.push(format!(
        "{id} is open with {} whole lines: it runs, or was killed and is sealed by the next start",
        reading.lines
    ));
    report.open.push(OpenLog { id: id.clone(), tally: reading.tally });
    Ok(())
}

/// What the chain needs of a manifest.
enum Card {
    Good {
        digest: Digest,
        previous: Option<Digest>,
        /// Batches counted before it, and with it.
        counted: (u64, u64),
        running: bool,
    },
    Bad(Fault),
}

impl Card {
    fn read(folder: &Folder, id: &BatchId) -> Result<Self, DiskError> {
        Ok(match Heading::read(folder, id) {
            Ok((heading, _)) if heading.batch_id != *id => {
                Self::Bad(Fault::OtherManifest { batch: heading.batch_id })
            }
            Ok((heading, digest)) => {
                let before = heading.counted_before();
                let running = heading.status == Status::Running;
                let counted = (before, before.saturating_add(u64::from(!running)));
                Self::Good { digest, previous: heading.previous_sha256, counted, running }
            }
            Err(error) => Self::Bad(unusable(error)?),
        })
    }
}

/// What is wrong with a manifest; a disk that cannot be read is an error.
fn unusable(error: ManifestError) -> Result<Fault, DiskError> {
    let why = match error {
        ManifestError::Missing(_) => return Ok(Fault::ManifestMissing),
        ManifestError::Syntax { source, .. } => source.to_string(),
        ManifestError::Newer { found, .. } => format!("it has schema {found}: use a newer agent"),
        ManifestError::Disk(error) => not_ours(error)?,
    };
    Ok(Fault::ManifestUnusable { why })
}

/// A manifest that is not what the one who names it says.
struct Change {
    by: String,
    /// It does not name the digest of the one before it either.
    unchained: Option<String>,
}

/// The batch before.
struct Link {
    id: BatchId,
    digest: Digest,
    /// The totals after it, as its manifest has them.
    after: Totals,
    /// Nothing is wrong with it.
    sound: bool,
}

struct Walk<'a> {
    folder: &'a Folder,
    known: &'a Known<'a>,
    /// Up to where was pruned, where the chain says so too.
    anchor: Option<Anchor<'a>>,
    report: Report,
    cards: BTreeMap<BatchId, Card>,
    before: Option<Link>,
}

impl Walk<'_> {
    /// The manifests that were changed: their digest is not the one that the next one, or the state, names.
    ///
    /// From the newest on: whoever was changed itself vouches for nobody.
    fn changed(&self) -> BTreeMap<BatchId, Change> {
        let mut changed = BTreeMap::<BatchId, Change>::new();
        let mut later: Option<(&BatchId, &Card)> = None;
        for (id, card) in self.cards.iter().rev() {
            let Card::Good { digest, counted, .. } = card else {
                later = Some((id, card));
                continue;
            };
            let by_state =
                self.known.newest.filter(|(newest, named)| *newest == id && *named != digest);
            if by_state.is_some() {
                let by = self.known.by.to_owned();
                changed.insert(id.clone(), Change { by, unchained: None });
            }
            if let Some((next, Card::Good { previous, counted: next_counted, .. })) = later
                && previous.as_ref() != Some(digest)
                && next_counted.0 <= counted.1
            {
                if let Some(change) = changed.get_mut(next) {
                    let or = format!("or {id} was changed too");
                    change.unchained = Some(format!("`previous_sha256` is not that of {id}, {or}"));
                } else {
                    let by = name(&self.folder.manifest(next));
                    changed.entry(id.clone()).or_insert(Change { by, unchained: None });
                }
            }
            later = Some((id, card));
        }
        changed
    }

    fn step(
        &mut self,
        id: &BatchId,
        files: BatchFiles,
        is_oldest: bool,
        change: Option<&Change>,
    ) -> Result<(), DiskError> {
        let card = self.cards.remove(id).unwrap_or(Card::Bad(Fault::ManifestMissing));
        let file = name(&self.folder.manifest(id));
        // The whole of it only now, so that no more than one is in memory.
        let read = match card {
            Card::Good { digest, previous, counted, .. } => match Manifest::read(self.folder, id) {
                Ok((manifest, _)) => Ok((manifest, digest, previous, counted)),
                Err(error) => Err(unusable(error)?),
            },
            Card::Bad(fault) => Err(fault),
        };
        let (manifest, digest, previous, counted) = match read {
            Ok(read) => read,
            Err(fault) => {
                self.report.findings.push(Finding { file, fault });
                self.before = None;
                return self.without_manifest(id, files);
            }
        };
        let described = Described {
            manifest: Some(&manifest),
            changed_by: change.map(|change| change.by.as_str()),
            unchained: change.and_then(|change| change.unchained.as_deref()),
        };
        let mut checked = check(self.folder, id, files, described)?;
        let mut faults = Vec::new();
        if self.is_after_pruned(id, previous.as_ref()) {
            // The totals of what is missing stand in this manifest.
            self.before = None;
            self.report.totals = None;
        }
        if manifest.summary.status == Status::Running && files.is_sealed() {
            faults.push(Fault::StillRunning);
        }
        let sound = checked.findings.is_empty();
        faults.extend(self.chain_fault(&manifest, previous.as_ref(), counted.0, is_oldest, sound));
        checked
            .findings
            .extend(faults.into_iter().map(|fault| Finding { file: file.clone(), fault }));
        self.count(files, checked.records);
        let sound = checked.findings.is_empty();
        self.report.findings.append(&mut checked.findings);
        self.fold_again(&manifest, checked.tally);
        let after = after(&manifest);
        self.compare_state(id, &after, sound);
        self.before = Some(Link { id: id.clone(), digest, after, sound });
        Ok(())
    }

    /// Holds a manifest to the one before it, or to what is known of the beginning.
    fn chain_fault(
        &mut self,
        manifest: &Manifest,
        previous: Option<&Digest>,
        counted: u64,
        is_oldest: bool,
        sound: bool,
    ) -> Option<Fault> {
        let Some(before) = &self.before else {
            return if is_oldest && sound {
                self.beginning_fault(manifest, previous)
            } else {
                None
            };
        };
        let totals = manifest.totals_before.as_ref()?;
        let chained = previous == Some(&before.digest);
        let missing = counted.saturating_sub(before.after.ended());
        if !chained && missing > 0 {
            let records = totals.tally().attempts();
            let records = records.saturating_sub(before.after.tally().attempts());
            return Some(Fault::BatchesMissing {
                count: missing,
                records,
                after: before.id.clone(),
            });
        }
        // What follows from another finding is not worth one of its own.
        if !(chained && sound && before.sound) {
            return None;
        }
        let figures = totals_figures(&before.after, totals);
        (!figures.is_empty()).then(|| Fault::TotalsBefore { after: before.id.clone(), figures })
    }

    /// Whether batches before this one were pruned, and others before those were not, or are there again.
    fn is_after_pruned(&self, id: &BatchId, previous: Option<&Digest>) -> bool {
        let (Some(before), Some(anchor)) = (&self.before, self.anchor) else { return false };
        anchor.is_past(&before.id)
            && previous != Some(&before.digest)
            && (anchor.is_past(id) || previous == Some(anchor.manifest_sha256))
    }

    fn beginning_fault(&mut self, manifest: &Manifest, previous: Option<&Digest>) -> Option<Fault> {
        let id = &manifest.summary.batch_id;
        if self.anchor.is_some_and(|anchor| anchor.is_past(id)) {
            return None;
        }
        let Some(previous) = previous else {
            if let Pruned::UpTo { batch_id: batch, .. } = self.known.pruned {
                let fault = Fault::NothingPruned { batch: batch.clone() };
                self.report.findings.push(Finding { file: self.known.by.to_owned(), fault });
            }
            return None;
        };
        match self.known.pruned {
            Pruned::UpTo { manifest_sha256, .. } if manifest_sha256 == previous => None,
            Pruned::UpTo { .. } | Pruned::Nothing => Some(Fault::BeginningMissing),
            Pruned::Unknown => {
                self.report.notes.push(format!(
                    "{} does not know what was pruned: whether batches before {} were taken away cannot be told",
                    self.known.by, manifest.summary.batch_id
                ));
                None
            }
        }
    }

    /// A log that stands alone: its lines can still be looked at.
    fn without_manifest(&mut self, id: &BatchId, files: BatchFiles) -> Result<(), DiskError> {
        let described = Described { manifest: None, changed_by: None, unchained: None };
        let mut checked = check(self.folder, id, files, described)?;
        self.count(files, checked.records);
        self.report.findings.append(&mut checked.findings);
        if let (Some(totals), Some(tally)) = (&mut self.report.totals, checked.tally) {
            totals.fold(&BatchSummary::new(id.clone(), tally));
        }
        Ok(())
    }

    fn count(&mut self, files: BatchFiles, records: u64) {
        self.report.batches += u64::from(files.is_sealed());
        self.report.records += records;
    }

    /// Folds the batch in as its log has it.
    fn fold_again(&mut self, manifest: &Manifest, tally: Option<Tally>) {
        let mut summary = manifest.summary.clone();
        if let Some(tally) = tally {
            summary.tally = tally;
        }
        let start = || before(manifest);
        self.report.totals.get_or_insert_with(start).fold(&summary);
    }

    fn compare_state(&mut self, id: &BatchId, after: &Totals, sound: bool) {
        let (Some((newest, _)), Some(totals)) = (self.known.newest, self.known.totals) else {
            return;
        };
        if newest > id {
            return;
        }
        if newest < id {
            self.report.notes.push(format!("{id} is not counted yet; the next start counts it"));
        } else if sound {
            let figures = totals_figures(after, totals);
            if !figures.is_empty() {
                let fault = Fault::StateTotals { after: id.clone(), figures };
                self.report.findings.push(Finding { file: self.known.by.to_owned(), fault });
            }
        }
    }

    fn look_for_the_newest(&mut self) {
        let Some((newest, _)) = self.known.newest else { return };
        let there = self.folder.manifest(newest).exists()
            || self.folder.sealed(newest).exists()
            || self.folder.compressed(newest).exists();
        if !there {
            let fault = Fault::NewestMissing { batch: newest.clone() };
            self.report.findings.push(Finding { file: self.known.by.to_owned(), fault });
        }
    }
}

fn before(manifest: &Manifest) -> Totals {
    let buckets = || Totals::new(buckets_of(manifest));
    manifest.totals_before.clone().unwrap_or_else(buckets)
}

fn after(manifest: &Manifest) -> Totals {
    let mut totals = before(manifest);
    totals.fold(&manifest.summary);
    totals
}
