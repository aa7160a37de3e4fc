//! What can be done to an audit by those who should not, each with what `audit verify` must say.

use crate::story::Story;
use mutation_agent::units::{BatchId, Digest};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// Four batches, A to D, of sixty records each; what is done to them is undone before the next case.
pub(crate) struct Folders {
    pub(crate) story: Story,
    pub(crate) ids: Vec<BatchId>,
}

pub(crate) const NAMES: [&str; 4] = ["A", "B", "C", "D"];

impl Folders {
    pub(crate) fn new(compress: bool) -> Self {
        let mut story = Story::new();
        story.set("audit", "compress", if compress { "true" } else { "false" });
        for _ in NAMES {
            story.expect(0, &["run"]);
        }
        copy(&story.path("mutation-data"), &story.path("as-it-was"));
        Self { ids: story.batches(), story }
    }

    pub(crate) fn restore(&self) {
        fs::remove_dir_all(self.story.path("mutation-data")).unwrap();
        copy(&self.story.path("as-it-was"), &self.story.path("mutation-data"));
    }

    /// What `audit verify` says, with the names A to D, and `.jsonl` for packed logs as well.
    pub(crate) fn findings(&self, code: i32) -> Vec<String> {
        let said = self.story.expect(code, &["audit", "verify"]).stdout;
        let said = self.named(&said).replace(".jsonl.zst:", ".jsonl:");
        said.lines().map(ToOwned::to_owned).collect()
    }

    fn named(&self, text: &str) -> String {
        let ids = self.ids.iter().zip(NAMES);
        ids.fold(text.to_owned(), |text, (id, name)| text.replace(id.as_str(), name))
    }

    pub(crate) fn log(&self, batch: usize) -> PathBuf {
        let (audit, id) = (self.story.audit(), &self.ids[batch]);
        let plain = audit.sealed(id);
        if plain.exists() { plain } else { audit.compressed(id) }
    }

    pub(crate) fn manifest(&self, batch: usize) -> PathBuf {
        self.story.audit().manifest(&self.ids[batch])
    }

    pub(crate) fn lines(&self, batch: usize) -> Vec<String> {
        let text = unpacked(&self.log(batch));
        String::from_utf8(text).unwrap().split_inclusive('\n').map(ToOwned::to_owned).collect()
    }

    /// Writes a log in the form that it has.
    fn set_log(&self, batch: usize, text: &str) {
        let path = self.log(batch);
        let packed = path.extension().unwrap() == "zst";
        let bytes = text.as_bytes();
        let bytes = if packed { zstd::encode_all(bytes, 3).unwrap() } else { bytes.to_vec() };
        fs::write(path, bytes).unwrap();
    }

    pub(crate) fn edit_log(&self, batch: usize, edit: impl FnOnce(&mut Vec<String>)) {
        let mut lines = self.lines(batch);
        let before = lines.clone();
        edit(&mut lines);
        assert_ne!(lines, before, "the edit changes something");
        self.set_log(batch, &lines.concat());
    }

    fn edit_json(path: &Path, edit: impl FnOnce(&mut Value)) {
        let mut value: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        let before = value.clone();
        edit(&mut value);
        assert_ne!(value, before, "the edit changes something");
        fs::write(path, value.to_string() + "\n").unwrap();
    }

    pub(crate) fn edit_manifest(&self, batch: usize, edit: impl FnOnce(&mut Value)) {
        Self::edit_json(&self.manifest(batch), edit);
    }

    pub(crate) fn edit_state(&self, edit: impl FnOnce(&mut Value)) {
        Self::edit_json(&self.story.path("mutation-data/state.json"), edit);
    }

    /// Forges all digests after a manifest that was changed, so that the chain holds again.
    fn forge_chain(&self) {
        let mut digest = Value::Null;
        for batch in 0..self.ids.len() {
            let mut value: Value =
                serde_json::from_slice(&fs::read(self.manifest(batch)).unwrap()).unwrap();
            value["previous_sha256"] = digest;
            fs::write(self.manifest(batch), value.to_string() + "\n").unwrap();
            digest = Digest::of(&fs::read(self.manifest(batch)).unwrap()).as_str().into();
        }
        self.edit_state(|state| state["last_batch"]["manifest_sha256"] = digest);
    }

    /// Makes a manifest fit its log in digest and length.
    fn forge_digest(&self, batch: usize) {
        let log = unpacked(&self.log(batch));
        self.edit_manifest(batch, |manifest| {
            manifest["sha256"] = Digest::of(&log).as_str().into();
            manifest["bytes"] = log.len().into();
        });
    }

    fn remove_batch(&self, batch: usize) {
        fs::remove_file(self.log(batch)).unwrap();
        fs::remove_file(self.manifest(batch)).unwrap();
    }

    fn swap(one: &Path, other: &Path) {
        let (first, second) = (fs::read(one).unwrap(), fs::read(other).unwrap());
        fs::write(one, second).unwrap();
        fs::write(other, first).unwrap();
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(path).unwrap(), target).unwrap();
        } else if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(path, target).unwrap();
        }
    }
}

fn unpacked(path: &Path) -> Vec<u8> {
    if path.extension().unwrap() == "zst" {
        zstd::decode_all(fs::File::open(path).unwrap()).unwrap()
    } else {
        fs::read(path).unwrap()
    }
}

/// Replaces the number after `"key":` by one that is as long.
fn other_number(line: &str, key: &str) -> String {
    let at = line.find(&format!("\"{key}\":")).unwrap() + key.len() + 3;
    let end = at + line[at..].find([',', '}']).unwrap();
    let digit = line[at..end].rfind(|c: char| c.is_ascii_digit()).unwrap() + at;
    let other = if &line[digit..=digit] == "7" { "8" } else { "7" };
    format!("{}{other}{}", &line[..digit], &line[digit + 1..])
}

/// What is done, and the lines that `audit verify` must begin with: no more and no less.
pub(crate) type Case = (&'static str, fn(&Folders), &'static [&'static str]);

pub(crate) const LOGS: &[Case] = &[
    (
        "a value that no figure knows is changed",
        |f| f.edit_log(1, |l| l[2] = other_number(&l[2], "line")),
        &[
            "B.jsonl: its content was changed: it has another digest than its manifest gives; number and order of its records are right",
        ],
    ),
    (
        "a duration is changed",
        |f| f.edit_log(1, |l| l[2] = l[2].replace("\"duration_ms\":", "\"duration_ms\":9")),
        &[
            "B.jsonl: its content was changed: it has another digest than its manifest gives; number and order of its records are right; exit_mutation_duration_p95_seconds",
        ],
    ),
    (
        "a success is made none, consistently",
        |f| {
            f.edit_log(1, |l| {
                l[2] = l[2]
                    .replace(
                        "\"success\":true,\"validation_passed\":true",
                        "\"success\":false,\"validation_passed\":false",
                    )
                    .replace("\"outcome\":\"success\"", "\"outcome\":\"no_change\"");
            });
        },
        &["B.jsonl: its content was changed"],
    ),
    (
        "a success is made none, in one field",
        |f| {
            f.edit_log(1, |l| {
                l[2] = l[2].replace("\"outcome\":\"success\"", "\"outcome\":\"no_change\"");
            });
        },
        &["B.jsonl: line 3 contradicts itself"],
    ),
    (
        "a line is made no record",
        |f| f.edit_log(1, |l| l[16] = l[16].replacen('{', "[", 1)),
        &["B.jsonl: line 17 is no audit record: "],
    ),
    (
        "a newline is taken away",
        |f| f.edit_log(1, |l| l[16] = l[16].trim_end().to_owned() + " "),
        &["B.jsonl: line 17 is no audit record: "],
    ),
    (
        "a line is removed",
        |f| f.edit_log(1, |l| drop(l.remove(4))),
        &["B.jsonl: 1 record is missing before line 5: exit_mut_000005 was removed"],
    ),
    (
        "the first line is removed",
        |f| f.edit_log(1, |l| drop(l.remove(0))),
        &["B.jsonl: 1 record is missing before line 1: exit_mut_000001 was removed"],
    ),
    (
        "four lines are removed",
        |f| f.edit_log(1, |l| drop(l.drain(4..8))),
        &[
            "B.jsonl: 4 records are missing before line 5: exit_mut_000005 to exit_mut_000008 were removed",
        ],
    ),
    (
        "a line is there twice",
        |f| f.edit_log(1, |l| l.insert(4, l[4].clone())),
        &["B.jsonl: line 6 goes back to exit_mut_000005 where exit_mut_000006 belongs"],
    ),
    (
        "two lines are swapped",
        |f| f.edit_log(1, |l| l.swap(4, 5)),
        &["B.jsonl: lines 5 and 6 stand in each other's place"],
    ),
    (
        "an id is changed",
        |f| f.edit_log(1, |l| l[4] = l[4].replace("exit_mut_000005", "exit_mut_000500")),
        &["B.jsonl: line 5 has the id exit_mut_000500 where exit_mut_000005 belongs"],
    ),
    (
        "a round is changed",
        |f| f.edit_log(1, |l| l[30] = l[30].replace("\"round\":2", "\"round\":1")),
        &["B.jsonl: line 31 goes back to round 1 from round 2"],
    ),
    (
        "the tail is cut off",
        |f| f.edit_log(1, |l| l.truncate(40)),
        &["B.jsonl: the end is cut off: 40 of 60 records are there, the last is exit_mut_000040"],
    ),
    (
        "the tail is cut off in the middle of a line",
        |f| {
            f.edit_log(1, |l| {
                l.truncate(41);
                l[40].truncate(99);
            });
        },
        &[
            "B.jsonl: the end is cut off: 40 of 60 records are there, the last is exit_mut_000040, and 99 bytes of a line follow",
        ],
    ),
    (
        "nothing is left of it",
        |f| f.edit_log(1, Vec::clear),
        &["B.jsonl: the end is cut off: 0 of 60 records are there"],
    ),
    (
        "a line is added at the end",
        |f| f.edit_log(1, |l| l.push(l[59].replace("exit_mut_000060", "exit_mut_000061"))),
        &["B.jsonl: it has 1 record more than the 60 that its manifest counts"],
    ),
    (
        "bytes are added at the end",
        |f| f.edit_log(1, |l| l.push("junk!".to_owned())),
        &["B.jsonl: 5 bytes that are no line follow its last record"],
    ),
    (
        "a record of another batch is put in",
        |f| {
            let foreign = f.lines(2)[6].clone();
            f.edit_log(1, |l| l.insert(6, foreign));
        },
        &["B.jsonl: line 7 is a record of batch C"],
    ),
    (
        "a record is exchanged for another batch's",
        |f| {
            let foreign = f.lines(2)[6].clone();
            f.edit_log(1, |l| l[6] = foreign);
        },
        &["B.jsonl: line 7 is a record of batch C"],
    ),
    (
        "a line is removed and the tail is cut off",
        |f| {
            f.edit_log(1, |l| {
                l.remove(4);
                l.truncate(40);
            });
        },
        &[
            "B.jsonl: 1 record is missing before line 5: exit_mut_000005 was removed",
            "B.jsonl: the end is cut off: 40 of 60 records are there, the last is exit_mut_000041",
        ],
    ),
    (
        "two logs are changed",
        |f| {
            f.edit_log(0, |l| l.truncate(59));
            f.edit_log(3, |l| drop(l.remove(0)));
        },
        &["A.jsonl: the end is cut off: 59 of 60", "D.jsonl: 1 record is missing before line 1"],
    ),
    (
        "a log is removed",
        |f| fs::remove_file(f.log(1)).unwrap(),
        &["B.jsonl: is missing; its manifest counts 60 records"],
    ),
    (
        "two logs are swapped",
        |f| {
            let (b, c) = (f.lines(1).concat(), f.lines(2).concat());
            f.set_log(1, &c);
            f.set_log(2, &b);
        },
        &[
            "B.jsonl: it has the records of batch C: it was put in the place of another log",
            "C.jsonl: it has the records of batch B: it was put in the place of another log",
        ],
    ),
    (
        "a log is put in the place of another",
        |f| {
            let c = f.lines(2).concat();
            f.set_log(1, &c);
        },
        &["B.jsonl: it has the records of batch C"],
    ),
    (
        "a link is put in the place of a log",
        |f| {
            let log = f.log(1);
            fs::remove_file(&log).unwrap();
            std::os::unix::fs::symlink(f.log(2), log).unwrap();
        },
        &["B.jsonl: is not a file of ours: it is a symbolic link"],
    ),
    (
        "a folder is put in the place of a log",
        |f| {
            let log = f.log(1);
            fs::remove_file(&log).unwrap();
            fs::create_dir(log).unwrap();
        },
        &["B.jsonl: is not a file of ours: it is a folder, not a regular file; move it away"],
    ),
];

pub(crate) const MANIFESTS: &[Case] = &[
    (
        "a manifest is removed",
        |f| fs::remove_file(f.manifest(1)).unwrap(),
        &["B.manifest.json: is missing; without it nobody can tell whether the log was changed"],
    ),
    (
        "a manifest is cut off",
        |f| fs::write(f.manifest(1), &fs::read(f.manifest(1)).unwrap()[..500]).unwrap(),
        &["B.manifest.json: cannot be used: EOF while parsing"],
    ),
    (
        "a manifest is of a later version",
        |f| f.edit_manifest(1, |m| m["schema"] = 9.into()),
        &["B.manifest.json: cannot be used: it has schema 9: use a newer agent"],
    ),
    (
        "two manifests are swapped",
        |f| Folders::swap(&f.manifest(1), &f.manifest(2)),
        &[
            "B.manifest.json: it is the manifest of batch C: it was put in the place of another",
            "C.manifest.json: it is the manifest of batch B: it was put in the place of another",
        ],
    ),
    (
        "a status is changed",
        |f| f.edit_manifest(1, |m| m["status"] = "failed".into()),
        &["B.manifest.json: was changed after it was sealed: C.manifest.json names another digest"],
    ),
    (
        "a seed is changed",
        |f| f.edit_manifest(0, |m| m["seed"] = 8.into()),
        &["A.manifest.json: was changed after it was sealed: B.manifest.json names another digest"],
    ),
    (
        "the newest is changed",
        |f| f.edit_manifest(3, |m| m["seed"] = 8.into()),
        &["D.manifest.json: was changed after it was sealed: state.json names another digest"],
    ),
    (
        "a count is changed",
        |f| f.edit_manifest(1, |m| m["records"] = 61.into()),
        &[
            "B.manifest.json: was changed after it was sealed: C.manifest.json names another digest; `records` is 61 where 60 belongs",
        ],
    ),
    (
        "the log's digest is changed",
        |f| f.edit_manifest(1, |m| m["sha256"] = "0".repeat(64).into()),
        &[
            "B.manifest.json: was changed after it was sealed: C.manifest.json names another digest; `sha256` is not the log's",
        ],
    ),
    (
        "the config is changed",
        |f| f.edit_manifest(1, |m| m["config"] = "data_dir = \"elsewhere\"".into()),
        &[
            "B.manifest.json: was changed after it was sealed: C.manifest.json names another digest; `config` does not have the digest `config_sha256`",
        ],
    ),
    (
        "a figure is changed",
        |f| f.edit_manifest(1, |m| m["tally"]["successes"] = 3.into()),
        &[
            "B.manifest.json: was changed after it was sealed: C.manifest.json names another digest; exit_mutation_success_rate is 0.05 where 1 belongs; exit_mutations_success is 3 where 60 belongs",
        ],
    ),
    (
        "the link to the one before is changed",
        |f| f.edit_manifest(2, |m| m["previous_sha256"] = "0".repeat(64).into()),
        &[
            "C.manifest.json: was changed after it was sealed: D.manifest.json names another digest; `previous_sha256` is not that of B",
        ],
    ),
    (
        "the totals before are changed",
        |f| f.edit_manifest(2, |m| m["totals_before"]["tally"]["attempts"] = 7.into()),
        &["C.manifest.json: was changed after it was sealed: D.manifest.json names another digest"],
    ),
    (
        "two manifests that follow each other are changed",
        |f| {
            for batch in [1, 2] {
                f.edit_manifest(batch, |m| m["seed"] = 8.into());
            }
        },
        &[
            "C.manifest.json: was changed after it was sealed: D.manifest.json names another digest; `previous_sha256` is not that of B, or B was changed too",
        ],
    ),
    (
        "a log and its manifest's digest are changed",
        |f| {
            f.edit_log(1, |l| l[2] = other_number(&l[2], "line"));
            f.forge_digest(1);
        },
        &["B.manifest.json: was changed after it was sealed: C.manifest.json names another digest"],
    ),
    (
        "a log, its manifest and all digests after it are changed",
        |f| {
            f.edit_log(1, |l| drop(l.pop()));
            f.forge_digest(1);
            f.forge_chain();
        },
        &["B.manifest.json: does not fit its log; `records` is 60 where 59 belongs"],
    ),
    (
        "a status and all digests after it are changed",
        |f| {
            f.edit_manifest(1, |m| m["status"] = "failed".into());
            f.forge_chain();
        },
        &["C.manifest.json: its `totals_before` are not the totals after B; mutation_batch"],
    ),
    (
        "the newest's status and the state's digest are changed",
        |f| {
            f.edit_manifest(3, |m| m["status"] = "failed".into());
            f.forge_chain();
        },
        &["state.json: its totals are not those after D; mutation_batch"],
    ),
];

/// Numbers that no sum can hold are no reason to panic.
pub(crate) const ABSURD: &[Case] = &[
    (
        "counts are absurd",
        |f| {
            f.edit_manifest(1, |m| {
                for key in ["attempts", "successes"] {
                    m["tally"][key] = u64::MAX.into();
                }
                m["records"] = u64::MAX.into();
            });
        },
        &["B.manifest.json: was changed"],
    ),
    (
        "histograms are absurd",
        |f| {
            f.edit_manifest(1, |m| {
                for count in m["tally"]["duration_histogram"]["counts"].as_array_mut().unwrap() {
                    *count = u64::MAX.into();
                }
            });
        },
        &["B.manifest.json: was changed"],
    ),
    (
        "durations are absurd",
        |f| {
            f.edit_manifest(1, |m| {
                m["tally"]["durations"]["recent_nanoseconds"] = json!(vec![u64::MAX; 10]);
            });
        },
        &["B.manifest.json: cannot be used: "],
    ),
    (
        "quantiles are absurd",
        |f| {
            f.edit_manifest(1, |m| {
                m["tally"]["durations"]["quantiles"] = json!([[1000, u64::MAX], [2000, u64::MAX]]);
            });
        },
        &["B.manifest.json: "],
    ),
    (
        "totals are absurd",
        |f| {
            f.edit_state(|s| {
                s["totals"]["tally"]["attempts"] = u64::MAX.into();
                s["totals"]["batches"]["completed"] = u64::MAX.into();
            });
        },
        &["state.json: its totals are not those after D"],
    ),
    (
        "ids are absurd",
        |f| {
            f.edit_log(1, |l| {
                l[4] = l[4].replace("exit_mut_000005", "exit_mut_18446744073709551615");
            });
        },
        &["B.jsonl: line 5 has the id"],
    ),
    (
        "the last id is absurd",
        |f| {
            f.edit_log(1, |l| {
                l[59] = l[59].replace("exit_mut_000060", "exit_mut_18446744073709551615");
            });
        },
        &[
            "B.jsonl: line 60 has the id exit_mut_18446744073709551615 where exit_mut_000060 belongs",
        ],
    ),
];

pub(crate) const BATCHES_AND_STATE: &[Case] = &[
    (
        "a batch in the middle is removed",
        |f| f.remove_batch(1),
        &["C.manifest.json: a batch is missing between A and this one: removed, with 60 records"],
    ),
    (
        "two batches in the middle are removed",
        |f| {
            f.remove_batch(1);
            f.remove_batch(2);
        },
        &[
            "D.manifest.json: 2 batches are missing between A and this one: removed, with 120 records",
        ],
    ),
    (
        "the newest batch is removed",
        |f| f.remove_batch(3),
        &["state.json: names D as the newest batch that is counted, and that batch was removed"],
    ),
    (
        "the oldest batch is removed",
        |f| f.remove_batch(0),
        &[
            "B.manifest.json: names a batch before it that is neither there nor what was pruned: older batches were removed",
        ],
    ),
    (
        "the oldest and the newest are removed",
        |f| {
            f.remove_batch(0);
            f.remove_batch(3);
        },
        &[
            "B.manifest.json: names a batch before it that is neither there nor what was pruned",
            "state.json: names D as the newest batch that is counted",
        ],
    ),
    (
        "all batches are removed",
        |f| (0..4).for_each(|batch| f.remove_batch(batch)),
        &["state.json: names D as the newest batch that is counted"],
    ),
    (
        "a total is changed",
        |f| f.edit_state(|s| s["totals"]["tally"]["attempts"] = 999.into()),
        &[
            "state.json: its totals are not those after D; exit_mutations_total is 999 where 240 belongs; mutation_audit_records_total is 999 where 240 belongs",
        ],
    ),
    (
        "the state says that all was pruned",
        |f| {
            let id = f.ids[3].as_str();
            let last = f.story.state()["last_batch"]["manifest_sha256"].clone();
            f.edit_state(|s| {
                s["pruned"] = json!({"up_to": {"batch_id": id, "manifest_sha256": last}});
            });
        },
        &[
            "state.json: says that all batches up to D were pruned, and the oldest manifest names none before it",
        ],
    ),
    (
        "the state says that the first was pruned, with another digest",
        |f| {
            let id = f.ids[0].as_str();
            f.edit_state(|s| {
                s["pruned"] = json!({"up_to": {"batch_id": id, "manifest_sha256": "0".repeat(64)}});
            });
        },
        &[
            "state.json: says that all batches up to A were pruned, and the oldest manifest names none before it",
        ],
    ),
    (
        "the state is removed",
        |f| fs::remove_file(f.story.path("mutation-data/state.json")).unwrap(),
        &["state.json: is missing; the next start makes it again from the manifests"],
    ),
    (
        "another state was set aside",
        |f| {
            f.story.write("mutation-data/state.json.foreign-20260101T000000Z", "{}");
            f.story.write("mutation-data/state.json.corrupt-20260101T000000Z", "{}");
        },
        &[
            "state.json.foreign-20260101T000000Z: was set aside because it did not belong to this audit",
            "note: state.json.corrupt-20260101T000000Z was corrupt and set aside",
        ],
    ),
    (
        "a manifest of a batch that was killed is left without its log",
        |f| {
            let mut running = f.story.manifest(&f.ids[2]);
            let id = format!("{}-ffffff", &f.ids[1].as_str()[..16]);
            running["batch_id"] = id.as_str().into();
            running["status"] = "running".into();
            running["records"] = 0.into();
            let name = format!("mutation-data/audit/{id}.manifest.json");
            f.story.write(&name, &running.to_string());
        },
        &["20"],
    ),
    (
        "the state is corrupt",
        |f| fs::write(f.story.path("mutation-data/state.json"), "{").unwrap(),
        &["state.json: is corrupt (EOF while parsing"],
    ),
    (
        "a journal is left open between sealed batches",
        |f| {
            f.story.write(
                &format!("mutation-data/audit/{}-000000.jsonl.partial", &f.ids[1].as_str()[..16]),
                "",
            );
        },
        &["20", "note: "],
    ),
];
