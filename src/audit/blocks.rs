//! Files in blocks of whole lines: one after the other, or read on every core and taken in their order.

use crate::disk::DiskError;
use std::fs::File;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, Scope};

/// Longer lines are none of ours: an error text is capped far below.
pub(super) const LONGEST_LINE: usize = 1 << 20;

/// As much as a core's own cache holds; a line that fills it is too long.
const BLOCK: usize = LONGEST_LINE;

/// How far it is read beyond a block at a time, for the end of its last line.
const STEP: usize = 4096;

/// More threads find nothing to do: memory gives what so many read.
const MOST_WORKERS: usize = 16;

/// Whole lines of a file; the last line of all may lack its newline.
pub(super) struct Block {
    /// Memory that was never written to costs none.
    buffer: Vec<u8>,
    begin: usize,
    end: usize,
    /// Where it begins in the file.
    start: u64,
    /// What came after its lines.
    failed: Option<io::Error>,
}

impl Block {
    fn new() -> Self {
        let buffer = vec![0; 1 + BLOCK + LONGEST_LINE];
        Self { buffer, begin: 0, end: 0, start: 0, failed: None }
    }

    fn bytes(&self) -> &[u8] {
        &self.buffer[self.begin..self.end]
    }

    /// Reads the lines that begin in this stretch of the file, of which `length` bytes count.
    fn load(&mut self, file: &File, length: u64) -> io::Result<()> {
        // With the byte before: a line begins after a newline.
        let before = usize::from(self.start > 0);
        let from = self.start - before as u64;
        let rest = usize::try_from(length - from).unwrap_or(usize::MAX);
        let have = read_at(file, &mut self.buffer[..rest.min(before + BLOCK)], from)?;
        let newline = memchr::memchr(b'\n', &self.buffer[..have]);
        self.begin = if before == 0 { 0 } else { newline.map_or(have, |at| at + 1) };
        self.end = have;
        while self.begin < self.end && self.buffer[self.end - 1] != b'\n' {
            let space = rest.min(self.end + STEP).min(self.buffer.len());
            let more = &mut self.buffer[self.end..space];
            let have = read_at(file, more, from + self.end as u64)?;
            if have == 0 {
                break;
            }
            self.end += memchr::memchr(b'\n', &more[..have]).map_or(have, |at| at + 1);
        }
        Ok(())
    }
}

/// As many bytes as there are, up to the length of `buffer`.
fn read_at(file: &File, buffer: &mut [u8], from: u64) -> io::Result<usize> {
    let mut have = 0;
    while have < buffer.len() {
        match file.read_at(&mut buffer[have..], from + have as u64) {
            Ok(0) => break,
            Ok(length) => have += length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(have)
}

/// Where blocks come from.
enum Source<'a> {
    /// A file as it was when it was opened: an open journal may grow faster than it is read.
    Plain { file: &'a File, length: u64, next: u64 },
    /// What is unpacked on the way, and the beginning of a line that is not whole yet.
    Packed { reader: Box<dyn Read + 'a>, carried: Vec<u8>, is_over: bool },
}

impl<'a> Source<'a> {
    fn of(file: &'a File, path: &Path) -> io::Result<Self> {
        if path.extension().is_some_and(|end| end == "zst") {
            let reader = Box::new(zstd::stream::read::Decoder::new(file)?);
            return Ok(Self::Packed { reader, carried: Vec::new(), is_over: false });
        }
        Ok(Self::Plain { file, length: file.metadata()?.len(), next: 0 })
    }

    /// Whether no block comes after those that were given out.
    fn is_over(&self) -> bool {
        match self {
            Self::Plain { length, next, .. } => next >= length,
            Self::Packed { is_over, .. } => *is_over,
        }
    }

    /// Gives out the next block; false after the last one. A plain file's is still to be loaded.
    fn next(&mut self, block: &mut Block) -> bool {
        match self {
            Self::Plain { length, next, .. } => {
                block.start = *next;
                *next += BLOCK as u64;
                block.start < *length
            }
            Self::Packed { is_over: true, .. } => false,
            Self::Packed { reader, carried, is_over } => {
                let mut have = carried.len();
                block.buffer[..have].copy_from_slice(carried);
                while have < BLOCK && !*is_over {
                    match reader.read(&mut block.buffer[have..BLOCK]) {
                        Ok(0) => *is_over = true,
                        Ok(length) => have += length,
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Err(error) => (block.failed, *is_over) = (Some(error), true),
                    }
                }
                let whole = memchr::memrchr(b'\n', &block.buffer[..have]).map_or(0, |at| at + 1);
                let is_last = block.failed.is_none() && (*is_over || whole == 0);
                (block.begin, block.end) = (0, if is_last { have } else { whole });
                carried.clear();
                carried.extend_from_slice(&block.buffer[block.end..have]);
                true
            }
        }
    }

    /// What loads a block that was given out, on whichever thread.
    fn loading(&self) -> impl Fn(&mut Block) + Sync + use<'a> {
        let plain = match self {
            Self::Plain { file, length, .. } => Some((*file, *length)),
            Self::Packed { .. } => None,
        };
        move |block| {
            if let Some((file, length)) = plain
                && let Err(error) = block.load(file, length)
            {
                (block.begin, block.end, block.failed) = (0, 0, Some(error));
            }
        }
    }
}

/// A block and what is made of it.
struct Job<T> {
    block: Block,
    made: T,
}

impl<T> Job<T> {
    /// With the first block; `None` where there is none.
    fn first(source: &mut Source<'_>, made: T) -> Option<Self> {
        let mut block = Block::new();
        source.next(&mut block).then_some(Self { block, made })
    }

    fn take(
        &mut self,
        take: &mut impl FnMut(&mut T, &[u8]) -> ControlFlow<()>,
    ) -> ControlFlow<io::Result<()>> {
        match (take(&mut self.made, self.block.bytes()), self.block.failed.take()) {
            (ControlFlow::Break(()), _) => ControlFlow::Break(Ok(())),
            (ControlFlow::Continue(()), Some(error)) => ControlFlow::Break(Err(error)),
            (ControlFlow::Continue(()), None) => ControlFlow::Continue(()),
        }
    }
}

/// Hands block after block to `read`, on this thread.
pub(super) fn one_by_one(
    file: &File,
    path: &Path,
    mut read: impl FnMut(&[u8]) -> ControlFlow<()>,
) -> Result<(), DiskError> {
    let failed = |source| DiskError::new("read", path)(source);
    let mut source = Source::of(file, path).map_err(failed)?;
    let Some(first) = Job::first(&mut source, ()) else { return Ok(()) };
    here(source, first, |(), _| (), |(), bytes| read(bytes)).map_err(failed)
}

/// Hands each block to `read`, on any core and in any order, and then to `take` with what was made of it: here, and block after
/// block. `take` leaves behind what `make` makes, for a block to come.
pub(super) fn in_order<T: Send>(
    file: &File,
    path: &Path,
    make: impl Fn() -> T,
    read: impl Fn(&mut T, &[u8]) + Sync,
    take: impl FnMut(&mut T, &[u8]) -> ControlFlow<()>,
) -> Result<(), DiskError> {
    let failed = |source| DiskError::new("read", path)(source);
    let mut source = Source::of(file, path).map_err(failed)?;
    let Some(first) = Job::first(&mut source, make()) else { return Ok(()) };
    // One block is not worth a thread: most packed logs are one.
    if source.is_over() {
        return here(source, first, read, take).map_err(failed);
    }
    let workers = thread::available_parallelism().map_or(1, |cores| cores.get().min(MOST_WORKERS));
    if workers == 1 {
        return here(source, first, read, take).map_err(failed);
    }
    let (load, read) = (source.loading(), &read);
    let work = |job: &mut Job<T>| {
        load(&mut job.block);
        read(&mut job.made, job.block.bytes());
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| Worker::start(scope, &work)).collect();
        with_workers(source, first, &workers, make, take)
    })
    .map_err(failed)
}

fn here<T>(
    mut source: Source<'_>,
    mut job: Job<T>,
    read: impl Fn(&mut T, &[u8]),
    mut take: impl FnMut(&mut T, &[u8]) -> ControlFlow<()>,
) -> io::Result<()> {
    let load = source.loading();
    loop {
        load(&mut job.block);
        read(&mut job.made, job.block.bytes());
        if let ControlFlow::Break(end) = job.take(&mut take) {
            return end;
        }
        if !source.next(&mut job.block) {
            return Ok(());
        }
    }
}

/// A thread that gives back what it is given, in that order.
struct Worker<T> {
    jobs: Sender<Job<T>>,
    done: Receiver<Job<T>>,
}

impl<T: Send> Worker<T> {
    fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        work: &'scope (impl Fn(&mut Job<T>) + Sync),
    ) -> Self
    where
        T: 'scope,
    {
        let (jobs, given) = mpsc::channel::<Job<T>>();
        let (finished, done) = mpsc::channel();
        scope.spawn(move || {
            for mut job in given {
                work(&mut job);
                // Nobody waits for it where reading has ended early.
                if finished.send(job).is_err() {
                    break;
                }
            }
        });
        Self { jobs, done }
    }
}

/// Each worker has one block at hand and one waiting, so memory is bounded.
fn with_workers<T>(
    mut source: Source<'_>,
    first: Job<T>,
    workers: &[Worker<T>],
    make: impl Fn() -> T,
    mut take: impl FnMut(&mut T, &[u8]) -> ControlFlow<()>,
) -> io::Result<()> {
    let job = |_| Job { block: Block::new(), made: make() };
    let mut spare: Vec<_> = (1..2 * workers.len()).map(job).collect();
    let mut give = workers.iter().cycle();
    let mut waiting = 1;
    let _ = give.next().map(|worker| worker.jobs.send(first));
    for worker in workers.iter().cycle() {
        while let Some(mut job) = spare.pop() {
            if !source.next(&mut job.block) {
                break;
            }
            waiting += 1;
            // A thread that has panicked is noticed below, and by the scope.
            let _ = give.next().map(|worker| worker.jobs.send(job));
        }
        if waiting == 0 {
            break;
        }
        waiting -= 1;
        let Ok(mut job) = worker.done.recv() else { break };
        if let ControlFlow::Break(end) = job.take(&mut take) {
            return end;
        }
        spare.push(job);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{self, Mode};
    use std::fs;
    use std::path::PathBuf;

    /// The same bytes, plain and packed.
    fn files(bytes: &[u8]) -> (tempfile::TempDir, [PathBuf; 2]) {
        let root = tempfile::tempdir().unwrap();
        let paths = ["log.jsonl", "log.jsonl.zst"].map(|name| root.path().join(name));
        disk::replace(&paths[0], bytes, Mode::Private).unwrap();
        disk::replace(&paths[1], &zstd::encode_all(bytes, 1).unwrap(), Mode::Private).unwrap();
        (root, paths)
    }

    /// What comes of a file, block after block, on one thread and on all.
    fn blocks(path: &Path) -> [Vec<Vec<u8>>; 2] {
        let open = || File::open(path).unwrap();
        let (mut one, mut all) = (Vec::new(), Vec::new());
        one_by_one(&open(), path, |bytes| {
            one.push(bytes.to_vec());
            ControlFlow::Continue(())
        })
        .unwrap();
        let read = |made: &mut usize, bytes: &[u8]| *made = bytes.len();
        in_order(
            &open(),
            path,
            || 0,
            read,
            |made, bytes| {
                assert_eq!(*made, bytes.len(), "what was made of another block");
                all.push(bytes.to_vec());
                ControlFlow::Continue(())
            },
        )
        .unwrap();
        [one, all]
    }

    #[test]
    fn blocks_are_whole_lines_and_together_the_file() {
        let mut lines = Vec::new();
        for length in (0..9000).map(|number| number * 7919 % 1500) {
            lines.resize(lines.len() + length, b'x');
            lines.push(b'\n');
        }
        assert!(lines.len() > 5 * BLOCK);
        for torn in ["", "{\"torn\""] {
            let (_root, paths) = files(&[&lines, torn.as_bytes()].concat());
            for path in paths {
                let read = blocks(&path);
                assert_eq!(read[0], read[1]);
                assert!(read[0].len() > 4);
                assert_eq!(read[0].concat(), fs::read(path.with_file_name("log.jsonl")).unwrap());
                let last = read[0].len() - 1;
                assert!(read[0][..last].iter().all(|block| block.ends_with(b"\n")));
            }
        }
    }

    #[test]
    fn lines_that_end_where_blocks_do_belong_to_one_of_them() {
        for before in BLOCK - 3..=BLOCK + 3 {
            for length in [1, 2, STEP, STEP + 1, 3 * STEP] {
                let line = |length: usize| [vec![b'x'; length - 1], vec![b'\n']].concat();
                let bytes = [line(before), line(length), line(5)].concat();
                let (_root, paths) = files(&bytes);
                for path in paths {
                    let [one, all] = blocks(&path);
                    assert_eq!(one, all);
                    assert_eq!(one.concat(), bytes, "{before} {length}");
                }
            }
        }
    }

    #[test]
    fn a_line_without_end_is_handed_over_as_far_as_it_is_too_long() {
        let (_root, paths) = files(&[b"line\n".as_slice(), &vec![b'x'; 3 * BLOCK]].concat());
        for path in paths {
            for blocks in blocks(&path) {
                let lines = blocks.concat();
                assert!(lines.starts_with(b"line\nx") && lines.len() > 5 + LONGEST_LINE);
            }
        }
    }

    #[test]
    fn reading_ends_where_it_is_told_to() {
        let (_root, paths) = files(&b"line\n".repeat(BLOCK));
        for path in paths {
            let mut taken = 0;
            let read = |(): &mut (), _: &[u8]| ();
            in_order(
                &File::open(&path).unwrap(),
                &path,
                || (),
                read,
                |(), _| {
                    taken += 1;
                    if taken == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                },
            )
            .unwrap();
            assert_eq!(taken, 2);
        }
    }

    #[test]
    fn what_is_whole_before_a_fault_is_handed_over() {
        let (_root, [_, path]) = files(&b"line\n".repeat(BLOCK));
        let mut packed = fs::read(&path).unwrap();
        packed.truncate(packed.len() - 4);
        disk::replace(&path, &packed, Mode::Private).unwrap();
        let file = File::open(&path).unwrap();
        let mut taken = Vec::new();
        let read = |(): &mut (), _: &[u8]| ();
        let end = in_order(
            &file,
            &path,
            || (),
            read,
            |(), bytes| {
                taken.extend_from_slice(bytes);
                ControlFlow::Continue(())
            },
        );
        assert!(end.unwrap_err().to_string().starts_with("cannot read "));
        assert!(taken.ends_with(b"line\n") && taken.len() > BLOCK);
    }
}
