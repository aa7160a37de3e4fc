//! One sealed batch: its log held to its manifest.

use super::log::{LogReading, read_log};
use super::{Fault, Finding};
use crate::audit::{BatchFiles, Folder, Manifest, Order};
use crate::disk::DiskError;
use crate::metrics::{Buckets, Difference, Tally, Totals, differences, folded_samples};
use crate::units::{BatchId, Digest};
use std::io;
use std::path::Path;

/// What a sealed batch came to.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) findings: Vec<Finding>,
    /// The fold over its log, where that can be read.
    pub(super) tally: Option<Tally>,
    /// Whole lines in its log.
    pub(super) records: u64,
}

/// What is known of a batch's manifest before its log is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Described<'a> {
    pub(super) manifest: Option<&'a Manifest>,
    /// Who names another digest for the manifest, so that it was changed.
    pub(super) changed_by: Option<&'a str>,
    /// A figure of the chain that does not fit.
    pub(super) unchained: Option<&'a str>,
}

/// Reads the logs of a batch and compares.
pub(super) fn check(
    folder: &Folder,
    id: &BatchId,
    files: BatchFiles,
    described: Described<'_>,
) -> Result<Checked, DiskError> {
    let mut checked = Checked { findings: Vec::new(), tally: None, records: 0 };
    let buckets = described.manifest.map_or_else(Buckets::default, buckets_of);
    let mut logs = Vec::new();
    for path in [(files.plain, folder.sealed(id)), (files.compressed, folder.compressed(id))] {
        let (true, path) = path else { continue };
        match read_log(&path, id, buckets.clone(), &Order::of(described.manifest)) {
            Ok(reading) => logs.push((name(&path), reading)),
            Err(error) if error.source.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                let why = not_ours(error)?;
                checked
                    .findings
                    .push(Finding { file: name(&path), fault: Fault::NotAFile { why } });
            }
        }
    }
    let mut figures = Vec::new();
    if let Some((file, reading)) = logs.first_mut() {
        if let Some(manifest) = described.manifest {
            reading.judge_the_last_id(manifest.records);
        }
        let (faults, more) = judge(reading, described);
        let finding = |fault| Finding { file: file.clone(), fault };
        checked.findings.extend(faults.into_iter().map(finding));
        figures = more;
    } else if checked.findings.is_empty() {
        let records = described.manifest.map_or(0, |manifest| manifest.records);
        checked
            .findings
            .push(Finding { file: name(&folder.sealed(id)), fault: Fault::LogMissing { records } });
    }
    if let [(beside, plain), (file, packed)] = &logs[..]
        && plain.sha256 != packed.sha256
    {
        let fault = Fault::CopiesDiffer { beside: beside.clone() };
        checked.findings.push(Finding { file: file.clone(), fault });
    }
    let fault = match described.changed_by {
        Some(by) => Some(Fault::ManifestChanged { by: by.to_owned(), figures }),
        None => (!figures.is_empty()).then_some(Fault::Figures { figures }),
    };
    let file = name(&folder.manifest(id));
    checked.findings.extend(fault.map(|fault| Finding { file, fault }));
    if let Some((_, reading)) = logs.into_iter().next() {
        checked.records = reading.lines;
        checked.tally = Some(reading.tally);
    }
    Ok(checked)
}

/// What is wrong with the log, and what is wrong with its manifest.
fn judge(reading: &LogReading, described: Described<'_>) -> (Vec<Fault>, Vec<String>) {
    if let Some(batch) = &reading.other {
        return (vec![Fault::OtherLog { batch: batch.clone() }], Vec::new());
    }
    let mut faults = reading.faults.clone();
    let Some(manifest) = described.manifest else {
        faults.extend((reading.torn > 0).then_some(Fault::TornEnd { bytes: reading.torn }));
        return (faults, Vec::new());
    };
    let mut figures: Vec<String> = described.unchained.map(ToOwned::to_owned).into_iter().collect();
    if reading.sha256 == manifest.sha256 {
        // The log is what was sealed, and so what does not fit is the manifest's.
        figures.extend(misfits(reading, manifest));
        return (faults, figures);
    }
    if !faults.iter().any(|fault| matches!(fault, Fault::Damaged { .. })) {
        faults.extend(reading.length_fault(manifest.records));
    }
    if faults.is_empty() && described.changed_by.is_some() {
        // One of the two was changed, and it is known which.
        figures.push("`sha256` is not the log's".to_owned());
        figures.extend(misfits(reading, manifest));
    } else if faults.is_empty() {
        faults.push(Fault::Changed { figures: tally_figures(&reading.tally, manifest) });
    }
    (faults, figures)
}

/// What a manifest says of its log and is not so.
fn misfits(reading: &LogReading, manifest: &Manifest) -> Vec<String> {
    let mut figures = Vec::new();
    for (name, says, is) in
        [("records", manifest.records, reading.lines), ("bytes", manifest.bytes, reading.bytes)]
    {
        if says != is {
            figures.push(format!("`{name}` is {says} where {is} belongs"));
        }
    }
    let rounds = manifest.summary.rounds_completed;
    if !manifest.can_have_completed(rounds, reading.round) {
        figures.push(format!(
            "`rounds_completed` is {rounds}, and the last round of the log is {}",
            reading.round
        ));
    }
    if let (Some(config), Some(digest)) = (&manifest.config, &manifest.config_sha256)
        && Digest::of(config.as_bytes()) != *digest
    {
        figures.push("`config` does not have the digest `config_sha256`".to_owned());
    }
    figures.extend(tally_figures(&reading.tally, manifest));
    figures
}

fn tally_figures(tally: &Tally, manifest: &Manifest) -> Vec<String> {
    if *tally == manifest.summary.tally {
        return Vec::new();
    }
    let by_log = folded(manifest, tally);
    let by_manifest = folded(manifest, &manifest.summary.tally);
    totals_figures(&by_log, &by_manifest)
}

fn folded(manifest: &Manifest, tally: &Tally) -> Totals {
    let mut totals = Totals::new(buckets_of(manifest));
    let mut summary = manifest.summary.clone();
    summary.tally.clone_from(tally);
    totals.fold(&summary);
    totals
}

pub(super) fn buckets_of(manifest: &Manifest) -> Buckets {
    manifest.summary.tally.duration_histogram().buckets().clone()
}

/// In which figures totals are not what they should be; those that are no fold are left aside.
pub(super) fn totals_figures(expected: &Totals, found: &Totals) -> Vec<String> {
    if expected.same_facts(found) {
        return Vec::new();
    }
    let differing = differences(&folded_samples(expected), &folded_samples(found));
    if differing.is_empty() {
        return vec!["figures that no metric shows are others".to_owned()];
    }
    differing.iter().map(in_words).collect()
}

fn in_words(difference: &Difference) -> String {
    let number = |value: Option<f64>| value.unwrap_or(0.0);
    let (found, expected) = (number(difference.found), number(difference.expected));
    format!("{} is {found} where {expected} belongs", difference.series)
}

/// What stands in the place of a file and is none of ours; a disk that cannot be read is an error.
pub(super) fn not_ours(error: DiskError) -> Result<String, DiskError> {
    let link = Some(rustix::io::Errno::LOOP.raw_os_error());
    match error.source.raw_os_error() {
        None => Ok(error.source.to_string()),
        code if code == link => Ok("it is a symbolic link".to_owned()),
        Some(_) => Err(error),
    }
}

/// The last component of a path.
pub(super) fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
