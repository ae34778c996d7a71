//! The real program and a ledger outside of it: writers that know which of their changes were acknowledged, and compare that with what is
//! found after a restart.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Map, Value, json};
use vicino_index::Uuid;

use crate::program::VICINO;

/// What one point is: its vector, bit by bit, and its payload.
type Held = (Vec<u32>, Value);
pub(crate) type State = BTreeMap<u64, Held>;

const DIM: usize = 8;
/// Each writer has ids of its own: those that leave its number when divided by this.
const WRITERS: u64 = 3;
const IDS: u64 = 300;

/// SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// The program, on its way to serve.
pub(crate) struct Server {
    pub(crate) child: Child,
    stdout: BufReader<std::process::ChildStdout>,
}

impl Server {
    pub(crate) fn start(data: &Path, arguments: &[&str], environment: Option<(&str, String)>) -> Self {
        let mut command = Command::new(VICINO);
        command.args(["serve", "--port", "0", "--checkpoint-after", "20000", "--data"]).arg(data).args(arguments);
        command.env("VICINO_LOG", "error").envs(environment);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Server { child, stdout }
    }

    /// Its address once it serves; `None` if it ends before.
    pub(crate) fn address(&mut self) -> Option<String> {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim().strip_prefix("listening on ").map(String::from)
    }

    /// Kills it; whether it had ended by itself.
    pub(crate) fn kill(mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has ended cannot be killed, and that is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .timeout_global(Some(Duration::from_secs(60)))
        .http_status_as_error(false)
        .build()
        .into()
}

/// One call: its result, or `None` if the server, or what it stands on, went away.
fn call(agent: &ureq::Agent, method: &str, url: &str, body: &Value, gone: &[u16]) -> Option<Value> {
    let request = if method == "PUT" { agent.put(url) } else { agent.post(url) };
    let mut response = request.send_json(body).ok()?;
    let status = response.status().as_u16();
    if gone.contains(&status) {
        return None;
    }
    let answer: Value = response.body_mut().with_config().limit(1 << 30).read_json().ok()?;
    assert_eq!(status, 200, "{method} {url} {body}: {answer}");
    Some(answer["result"].clone())
}

/// What point `number` is called: every other one by a UUID.
fn name(number: u64) -> Value {
    if number.is_multiple_of(2) { number.into() } else { Uuid::from_u128(u128::from(number) << 64).to_string().into() }
}

fn names(numbers: &[u64]) -> Vec<Value> {
    numbers.iter().map(|&number| name(number)).collect()
}

/// The number of the point called `name`.
fn number(name: &Value) -> u64 {
    let uuid = |text: &str| (text.parse::<Uuid>().expect("a UUID").as_u128() >> 64) as u64;
    name.as_u64().or_else(|| name.as_str().map(uuid)).expect("an integer or a string")
}

/// One writer's ids and what is known of them.
struct Writer {
    number: u64,
    random: Random,
    /// What was acknowledged.
    state: State,
    /// What it is instead if the change under way was stored.
    or: Option<State>,
    acknowledged: u64,
}

impl Writer {
    fn ids(&mut self, most: u64) -> Vec<u64> {
        let ids = (0..=self.random.below(most)).map(|_| self.random.below(IDS) * WRITERS + self.number);
        ids.collect::<std::collections::BTreeSet<u64>>().into_iter().collect()
    }

    /// Makes changes until the server goes away, or answers with one of the statuses `gone`. What is answered once it is `over` does not
    /// count as acknowledged, nor as refused.
    fn work(&mut self, url: &str, gone: &[u16], course: &Course) {
        let agent = agent();
        loop {
            let mut after = self.state.clone();
            let (method, path, body) = self.change(&mut after);
            let answer = call(&agent, method, &format!("{url}/collections/c/points{path}"), &body, gone);
            if answer.is_none() || course.over.load(Ordering::SeqCst) {
                self.or = Some(after);
                return;
            }
            self.state = after;
            self.acknowledged += 1;
            course.acknowledged.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// A request, and what it makes of `state`.
    fn change(&mut self, state: &mut State) -> (&'static str, &'static str, Value) {
        let there = |ids: Vec<u64>, state: &State| -> Vec<u64> {
            ids.into_iter().filter(|id| state.contains_key(id)).collect()
        };
        match self.random.below(10) {
            0..6 => {
                // Mostly a few, now and then many.
                let most = if self.random.below(8) == 0 { 200 } else { 4 };
                let mut points = Vec::new();
                for id in self.ids(most) {
                    let vector: Vec<f32> =
                        (0..DIM).map(|_| self.random.below(1 << 24) as f32 / (1 << 23) as f32 - 1.0).collect();
                    let payload =
                        json!({"n": self.random.below(1000), "text": "x".repeat(self.random.below(60) as usize)});
                    points.push(json!({"id": name(id), "vector": vector, "payload": payload}));
                    state.insert(id, (vector.iter().map(|x| x.to_bits()).collect(), payload));
                }
                ("PUT", "?wait=true", json!({ "points": points }))
            }
            6..8 => {
                let ids = self.ids(6);
                ids.iter().for_each(|id| drop(state.remove(id)));
                ("POST", "/delete?wait=true", json!({ "points": names(&ids) }))
            }
            8 => {
                let (ids, value) = (there(self.ids(6), state), self.random.below(1000));
                ids.iter().for_each(|id| state.get_mut(id).unwrap().1["set"] = value.into());
                ("POST", "/payload?wait=true", json!({"payload": {"set": value}, "points": names(&ids)}))
            }
            _ => {
                let ids = there(self.ids(3), state);
                ids.iter().for_each(|id| state.get_mut(id).unwrap().1 = Map::new().into());
                ("POST", "/payload/clear?wait=true", json!({ "points": names(&ids) }))
            }
        }
    }

    /// Compares what is found with the ledger, which goes on from there. Errors if it is not as it must be.
    fn compare(&mut self, found: &State) -> Result<(), String> {
        let own: State =
            found.iter().filter(|(id, _)| *id % WRITERS == self.number).map(|(id, held)| (*id, held.clone())).collect();
        if own != self.state && Some(&own) != self.or.as_ref() {
            let difference = |expected: &State| -> Vec<u64> {
                let ids: std::collections::BTreeSet<u64> = own.keys().chain(expected.keys()).copied().collect();
                ids.into_iter().filter(|id| own.get(id) != expected.get(id)).collect()
            };
            let or = self.or.as_ref().map(difference);
            return Err(format!(
                "writer {}: points {:?} are not as acknowledged, {or:?} not as under way",
                self.number,
                difference(&self.state)
            ));
        }
        (self.state, self.or) = (own, None);
        Ok(())
    }
}

/// What writers and whoever ends their work tell each other.
#[derive(Default)]
pub(crate) struct Course {
    /// Whether what is answered counts no more.
    pub(crate) over: AtomicBool,
    /// How many changes were acknowledged.
    pub(crate) acknowledged: AtomicU64,
}

/// All writers, and through them all that is known of a collection.
pub(crate) struct Ledger {
    writers: Vec<Writer>,
    /// Whether the collection is made.
    made: bool,
}

impl Ledger {
    /// One for an empty collection.
    pub(crate) fn new(seed: u64) -> Self {
        let writer = |number| {
            let random = Random(seed ^ number << 32);
            Writer { number, random, state: State::new(), or: None, acknowledged: 0 }
        };
        Ledger { writers: (0..WRITERS).map(writer).collect(), made: false }
    }

    /// Makes the collection, if it is not made yet; false if the server went away.
    pub(crate) fn make_collection(&mut self, url: &str) -> bool {
        let vectors = json!({"vectors": {"size": DIM, "distance": "Euclid"}});
        self.made = self.made || call(&agent(), "PUT", &format!("{url}/collections/c"), &vectors, &[]).is_some();
        self.made
    }

    /// Compares what the server has with what was acknowledged; the number of points, or `None` if it went away. Errors if anything is
    /// lost, back or half there.
    pub(crate) fn compare(&mut self, url: &str) -> Option<Result<usize, String>> {
        let found = found(url)?;
        Some(self.writers.iter_mut().try_for_each(|writer| writer.compare(&found)).map(|()| found.len()))
    }

    /// Lets all writers work until the server goes away, which `end` makes it do; it may first say that it is over. `gone` are statuses
    /// of answers that say so too.
    pub(crate) fn work_until<T>(&mut self, url: &str, gone: &[u16], end: impl FnOnce(&Course) -> T) -> T {
        let course = Course::default();
        std::thread::scope(|scope| {
            self.writers.iter_mut().for_each(|writer| drop(scope.spawn(|| writer.work(url, gone, &course))));
            end(&course)
        })
    }

    /// How many changes were acknowledged.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.writers.iter().map(|writer| writer.acknowledged).sum()
    }
}

/// All points the server has; `None` if it went away.
fn found(url: &str) -> Option<State> {
    let body = json!({"limit": 1_000_000, "with_vector": true, "with_payload": true});
    let page = call(&agent(), "POST", &format!("{url}/collections/c/points/scroll"), &body, &[])?;
    let bits =
        |vector: &Value| vector.as_array().unwrap().iter().map(|x| (x.as_f64().unwrap() as f32).to_bits()).collect();
    let points = page["points"].as_array().unwrap().iter();
    Some(points.map(|p| (number(&p["id"]), (bits(&p["vector"]), p["payload"].clone()))).collect())
}

/// The number in environment variable `name`, or `default`.
pub(crate) fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .map_or(default, |value| value.parse().unwrap_or_else(|_| panic!("{name}={value}: expected a number")))
}
