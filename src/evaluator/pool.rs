//! Evaluations on many workers at once, for a caller that waits for one answer at a time.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::job::{Answer, Job, Verdict};
use super::post::{Post, wait_for_ends};
use super::protocol::{Assignment, GRACE, LONGEST_PAUSE, Order};
use super::settings::{EvaluatorError, Mode, Settings};
use super::wait::wait;
use rustix::event::{PollFd, PollFlags};

/// What a host may take longer than its evaluator may.
const SLACK: Duration = Duration::from_secs(5);

/// Workers that judge candidates. What is running when it is dropped is ended.
#[derive(Debug)]
pub struct Pool {
    settings: Settings,
    batch_id: String,
    host: PathBuf,
    posts: Vec<Post>,
    /// Asked for and not yet given to a worker.
    queue: VecDeque<Job>,
    /// Answered and not yet handed over.
    answers: VecDeque<Answer>,
    /// Whether any host ever came up; if none did, none will.
    was_ready: bool,
}

impl Pool {
    /// A pool whose workers are started as they are needed. `host` is this very program: `/proc/self/exe`, but in tests.
    pub fn start(
        settings: Settings,
        batch_id: &str,
        host: PathBuf,
    ) -> Result<Self, EvaluatorError> {
        settings.check()?;
        Ok(Self {
            settings,
            batch_id: batch_id.to_owned(),
            host,
            posts: Vec::new(),
            queue: VecDeque::new(),
            answers: VecDeque::new(),
            was_ready: false,
        })
    }

    /// Asks for an evaluation. It never waits: what no worker is free for is queued.
    pub fn submit(&mut self, job: Job) {
        self.queue.push_back(job);
        self.hand_out();
    }

    /// Jobs whose answers have not been handed over.
    pub fn in_flight(&self) -> usize {
        self.queue.len() + self.working()
    }

    fn working(&self) -> usize {
        self.answers.len() + self.posts.iter().map(Post::in_flight).sum::<usize>()
    }

    /// The next answer, in the order in which evaluations end. Waits for it, `patience` at the most; `None` at once
    /// where nothing is in flight.
    pub fn next(&mut self, patience: Duration) -> Option<Answer> {
        let until = Instant::now().checked_add(patience);
        // What is answered is to be on record before another job begins.
        while self.answers.is_empty() {
            self.hand_out();
            if self.in_flight() == 0 {
                return None;
            }
            if self.answers.is_empty() {
                self.listen(until);
                if self.answers.is_empty() && until.is_some_and(|until| Instant::now() >= until) {
                    return None;
                }
            }
        }
        self.answers.pop_front()
    }

    /// The next answer, if there is one already; no other job begins.
    pub fn ended(&mut self) -> Option<Answer> {
        if self.answers.is_empty() {
            self.listen(Some(Instant::now()));
        }
        self.answers.pop_front()
    }

    /// Ends everything now: asked by SIGTERM, killed after a short grace. Takes some seconds at the most.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.queue.clear();
        // They all see the end of their orders before any is waited for.
        self.posts.iter_mut().for_each(Post::dismiss);
        if let Some(until) = Instant::now().checked_add(GRACE + GRACE) {
            wait_for_ends(&self.posts, until);
        }
        for post in self.posts.drain(..) {
            post.bury(&self.batch_id);
        }
    }

    /// Gives what is queued to the workers that have least to do, new ones where there are too few. An answer that nobody
    /// has taken yet counts as in flight, so that a kill never loses more evaluations than may be. To be called when an
    /// answer is on record: the next job then begins at once.
    pub fn hand_out(&mut self) {
        while !self.queue.is_empty() && self.working() < self.settings.at_once() {
            let posts = self.posts.iter().enumerate();
            let least = posts.map(|(at, post)| (post.in_flight(), at)).min();
            let is_complete = self.posts.len() >= self.settings.workers;
            let at = match least {
                Some((0, at)) => at,
                Some((_, at)) if is_complete => at,
                Some(_) | None => match self.open() {
                    Ok(post) => {
                        self.posts.push(post);
                        self.posts.len() - 1
                    }
                    Err(error) => {
                        let folder = self.settings.folder.display();
                        let text =
                            format!("cannot start the evaluator's host in {folder}: {error}");
                        self.refuse(Verdict::Unusable(text));
                        continue;
                    }
                },
            };
            let Some(job) = self.queue.pop_front() else { return };
            self.give(at, job);
        }
    }

    /// Gives a job to a worker, or to another one where that has died since its last job.
    fn give(&mut self, at: usize, job: Job) {
        match order(&job) {
            Ok(order) if self.posts[at].give(&order) => {}
            Ok(_) => {
                self.queue.push_front(job);
                self.bury(at, host_ended);
            }
            Err(verdict) => {
                self.answers.push_back(Answer {
                    number: job.number,
                    took: Duration::ZERO,
                    verdict,
                });
            }
        }
    }

    /// How long a host that has jobs may be silent: what it wrote to its worker is answered, or its time is over; where
    /// the worker was lost meanwhile, once more.
    fn patience(&self) -> Duration {
        let waits = match self.settings.mode {
            Mode::Process => SLACK,
            Mode::Stream => SLACK + LONGEST_PAUSE,
        };
        let once = self.settings.timeout.saturating_add(GRACE + GRACE + waits);
        if self.settings.in_flight > 1 { once.saturating_mul(2) } else { once }
    }

    fn open(&self) -> io::Result<Post> {
        let assignment = Assignment {
            batch_id: self.batch_id.clone(),
            mode: self.settings.mode,
            command: self.settings.command.clone(),
            timeout: self.settings.timeout,
            memory: self.settings.memory,
            cpu: self.settings.cpu,
            in_flight: self.settings.in_flight,
        };
        Post::open(&self.host, &self.settings.folder, &assignment)
    }

    /// Answers the job that is next in the queue.
    fn refuse(&mut self, verdict: Verdict) {
        if let Some(job) = self.queue.pop_front() {
            self.answers.push_back(Answer { number: job.number, took: Duration::ZERO, verdict });
        }
    }

    /// Waits until a host says something, a host is overdue, or `until`; takes in what was said, and buries those that
    /// have ended and those that are overdue.
    fn listen(&mut self, until: Option<Instant>) {
        let patience = self.patience();
        let overdue =
            |post: &Post| post.silent_since().and_then(|since| since.checked_add(patience));
        let until = self.posts.iter().filter_map(overdue).chain(until).min();
        let (mut sources, mut fds) = (Vec::new(), Vec::new());
        for (at, post) in self.posts.iter().enumerate() {
            let ends = [(post.reports(), PollFlags::IN), (post.orders(), PollFlags::OUT)];
            for (fd, flags) in ends {
                if let Some(fd) = fd {
                    sources.push((at, flags));
                    fds.push(PollFd::from_borrowed_fd(fd, flags));
                }
            }
        }
        wait(&mut fds, until);
        let ready = sources.iter().zip(&fds).filter(|(_, fd)| !fd.revents().is_empty());
        let ready: Vec<(usize, PollFlags)> = ready.map(|(source, _)| *source).collect();
        drop(fds);
        let now = Instant::now();
        let silent = |(at, post)| {
            Some(at).filter(|at| {
                overdue(post).is_some_and(|overdue| overdue <= now)
                    && !ready.contains(&(*at, PollFlags::IN))
            })
        };
        let mut lost: Vec<(usize, bool)> =
            self.posts.iter().enumerate().filter_map(silent).map(|at| (at, true)).collect();
        for (at, flags) in ready {
            let post = &mut self.posts[at];
            if flags == PollFlags::OUT {
                post.send();
                continue;
            }
            let alive = post.read(&mut self.answers);
            self.was_ready |= post.is_ready();
            if !alive {
                lost.push((at, false));
            }
        }
        // From behind, since each is taken out.
        lost.sort_unstable();
        for (at, is_overdue) in lost.into_iter().rev() {
            self.bury(at, if is_overdue { host_overdue } else { host_ended });
        }
    }

    /// Ends a host and all that is left of its session; answers for the jobs that it had.
    fn bury(&mut self, at: usize, verdict: fn(&str) -> Verdict) {
        let mut post = self.posts.swap_remove(at);
        let jobs = post.take_jobs();
        let how = post.bury(&self.batch_id);
        let verdict = if self.was_ready {
            verdict(&how)
        } else {
            Verdict::Unusable(format!("the evaluator's host did not come up: {how}"))
        };
        let answer = |(number, took)| Answer { number, took, verdict: verdict.clone() };
        self.answers.extend(jobs.into_iter().map(answer));
    }
}

fn host_ended(how: &str) -> Verdict {
    Verdict::Failed(format!("the evaluator's host ended: {how}"))
}

fn host_overdue(_how: &str) -> Verdict {
    Verdict::Timeout("the evaluator's host did not answer in time and was killed".to_owned())
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.end();
    }
}

/// A job as it goes to a host.
fn order(job: &Job) -> Result<Order, Verdict> {
    let Some(candidate) = job.candidate.to_str() else {
        let path = job.candidate.display();
        return Err(Verdict::Unusable(format!("the candidate's path is no UTF-8: {path}")));
    };
    Ok(Order {
        number: job.number,
        candidate: candidate.to_owned(),
        mutation_id: job.mutation_id.clone(),
        strategy: job.strategy.clone(),
        parameters: job.parameters.clone(),
        seed: job.seed,
    })
}
