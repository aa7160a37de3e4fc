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
        self.answers.len() + self.posts.iter().filter(|post| post.is_busy()).count()
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
                self.bury_the_overdue();
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

    /// Gives what is queued to idle workers, new ones where there are too few. An answer that nobody has taken yet counts
    /// as a worker, so that a kill never loses more evaluations than there are workers. To be called when an answer is on
    /// record: the next job then begins at once.
    pub fn hand_out(&mut self) {
        while !self.queue.is_empty() && self.working() < self.settings.workers {
            let idle = match self.posts.iter().position(|post| !post.is_busy()) {
                Some(idle) => idle,
                None if self.posts.len() < self.settings.workers => match self.open() {
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
                None => return,
            };
            let Some(job) = self.queue.pop_front() else { return };
            self.give(idle, job);
        }
    }

    /// Gives a job to an idle worker, or to another one where that has died since its last job.
    fn give(&mut self, idle: usize, job: Job) {
        let waits = match self.settings.mode {
            Mode::Process => SLACK,
            Mode::Stream => SLACK + LONGEST_PAUSE,
        };
        let overdue = self.settings.timeout.saturating_add(GRACE + GRACE + waits);
        match order(&job) {
            Ok(order) if self.posts[idle].send(&order, overdue) => {}
            Ok(_) => {
                self.queue.push_front(job);
                self.posts.swap_remove(idle).bury(&self.batch_id);
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

    fn open(&self) -> io::Result<Post> {
        let assignment = Assignment {
            batch_id: self.batch_id.clone(),
            mode: self.settings.mode,
            command: self.settings.command.clone(),
            timeout: self.settings.timeout,
            memory: self.settings.memory,
            cpu: self.settings.cpu,
        };
        Post::open(&self.host, &self.settings.folder, &assignment)
    }

    /// Answers the job that is next in the queue.
    fn refuse(&mut self, verdict: Verdict) {
        if let Some(job) = self.queue.pop_front() {
            self.answers.push_back(Answer { number: job.number, took: Duration::ZERO, verdict });
        }
    }

    /// Waits until a host says something, a host is overdue, or `until`.
    fn listen(&mut self, until: Option<Instant>) {
        let busy: Vec<usize> =
            (0..self.posts.len()).filter(|at| self.posts[*at].is_busy()).collect();
        let overdue = busy.iter().filter_map(|at| self.posts[*at].overdue()).min();
        let until = until.into_iter().chain(overdue).min();
        let fds = busy.iter().map(|at| PollFd::new(self.posts[*at].reports(), PollFlags::IN));
        let mut fds: Vec<PollFd<'_>> = fds.collect();
        wait(&mut fds, until);
        let said: Vec<usize> = busy
            .iter()
            .zip(&fds)
            .filter(|(_, fd)| !fd.revents().is_empty())
            .map(|(at, _)| *at)
            .collect();
        drop(fds);
        // From behind, since one that ended is taken out.
        for at in said.into_iter().rev() {
            let alive = self.posts[at].read();
            self.was_ready |= self.posts[at].is_ready();
            self.answers.extend(self.posts[at].answer());
            if !alive {
                self.bury(at, |how| Verdict::Failed(format!("the evaluator's host ended: {how}")));
            }
        }
    }

    fn bury_the_overdue(&mut self) {
        let now = Instant::now();
        for at in (0..self.posts.len()).rev() {
            if self.posts[at].overdue().is_some_and(|overdue| overdue <= now) {
                let text = "the evaluator's host did not answer in time and was killed";
                self.bury(at, |_| Verdict::Timeout(text.to_owned()));
            }
        }
    }

    /// Ends a host and all that is left of its session; answers for the job that it had.
    fn bury(&mut self, at: usize, verdict: impl FnOnce(&str) -> Verdict) {
        let post = self.posts.swap_remove(at);
        let job = post.job();
        let how = post.bury(&self.batch_id);
        let Some((number, took)) = job else { return };
        let verdict = if self.was_ready {
            verdict(&how)
        } else {
            Verdict::Unusable(format!("the evaluator's host did not come up: {how}"))
        };
        self.answers.push_back(Answer { number, took, verdict });
    }
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
