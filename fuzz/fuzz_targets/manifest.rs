//! A manifest's bytes: refused, or it can be folded into totals that can be shown, and written, it reads as itself.

#![cfg_attr(fuzzing, no_main)]

use mutation_agent::audit::{Folder, Manifest, ManifestError};
use mutation_agent::metrics::{Buckets, Exposition, Totals, encode_text};

#[path = "../support/home.rs"]
mod home;

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| check(data));

pub(crate) fn check(data: &[u8]) {
    let home = home::home();
    let folder = Folder::new(home.path().to_owned());
    let id = "20261123T020000Z-7f3a9c".parse().unwrap();
    std::fs::write(folder.manifest(&id), data).unwrap();
    match Manifest::read(&folder, &id) {
        Ok((manifest, _)) => {
            let digest = manifest.write(&folder).unwrap();
            let (again, digest_again) =
                Manifest::read(&folder, &manifest.summary.batch_id).unwrap();
            assert!(again == manifest && digest_again == digest, "it changes by being written");
            let mut totals =
                manifest.totals_before.clone().unwrap_or_else(|| Totals::new(Buckets::default()));
            totals.fold(&manifest.summary);
            totals.fold(&manifest.summary);
            for (gateway, pushes) in &manifest.pushes {
                totals.count_pushes(gateway, &pushes.attempts);
            }
            let _ = encode_text(&Exposition::new(&totals).gather());
        }
        Err(ManifestError::Syntax { .. } | ManifestError::Newer { .. }) => {}
        Err(error @ (ManifestError::Missing(_) | ManifestError::Disk(_))) => panic!("{error}"),
    }
}
