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

/// The vectors of one point by name, bit by bit; the one without a name is called "".
pub(crate) type Vectors = BTreeMap<String, Vec<u32>>;
/// What one point is: its vectors and its payload.
type Held = (Vectors, Value);
type State = BTreeMap<u64, Held>;

/// The collections, and the names of their vectors: every point has the one without a name, and any of those with one.
const COLLECTIONS: [(&str, &[&str]); 2] = [("c", &[""]), (NAMED, &["title", "body"])];
const NAMED: &str = "named";
const DIM: usize = 8;
/// Of each collection. Each has ids of its own: those that leave its number when divided by this.
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

/// One writer's ids in its collection and what is known of them.
struct Writer {
    collection: &'static str,
    /// Of vectors.
    names: &'static [&'static str],
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

    /// Vectors of a point, as a request has them and as they are held.
    fn vectors(&mut self) -> (Value, Vectors) {
        let (mut sent, mut held) = (Map::new(), Vectors::new());
        for &name in self.names {
            if name.is_empty() || self.random.below(3) > 0 {
                let vector: Vec<f32> =
                    (0..DIM).map(|_| self.random.below(1 << 24) as f32 / (1 << 23) as f32 - 1.0).collect();
                held.insert(name.into(), vector.iter().map(|x| x.to_bits()).collect());
                sent.insert(name.into(), json!(vector));
            }
        }
        (sent.remove("").unwrap_or(sent.into()), held)
    }

    /// Makes changes until the server goes away, or answers with one of the statuses `gone`. What is answered once it is `over` does not
    /// count as acknowledged, nor as refused.
    fn work(&mut self, url: &str, gone: &[u16], course: &Course) {
        let agent = agent();
        loop {
            let mut after = self.state.clone();
            let (method, path, body) = self.change(&mut after);
            let answer =
                call(&agent, method, &format!("{url}/collections/{}/points{path}", self.collection), &body, gone);
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
        // Without names there is no vector that a point could be without.
        match self.random.below(if self.collection == NAMED { 14 } else { 11 }) {
            0..6 => {
                // Mostly a few, now and then many.
                let most = if self.random.below(8) == 0 { 200 } else { 4 };
                let mut points = Vec::new();
                for id in self.ids(most) {
                    let (vector, held) = self.vectors();
                    let payload =
                        json!({"n": self.random.below(1000), "text": "x".repeat(self.random.below(60) as usize)});
                    points.push(json!({"id": name(id), "vector": vector, "payload": payload}));
                    state.insert(id, (held, payload));
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
            9 => {
                let ids = there(self.ids(3), state);
                ids.iter().for_each(|id| state.get_mut(id).unwrap().1 = Map::new().into());
                ("POST", "/payload/clear?wait=true", json!({ "points": names(&ids) }))
            }
            kind => {
                let ids = there(self.ids(6), state);
                if ids.is_empty() {
                    return self.change(state);
                }
                if kind < 12 {
                    let points = ids.into_iter().map(|id| {
                        let (vector, held) = self.vectors();
                        state.get_mut(&id).unwrap().0.extend(held);
                        json!({"id": name(id), "vector": vector})
                    });
                    return ("PUT", "/vectors?wait=true", json!({ "points": points.collect::<Vec<Value>>() }));
                }
                let gone = self.names[self.random.below(self.names.len() as u64) as usize];
                ids.iter().for_each(|id| drop(state.get_mut(id).unwrap().0.remove(gone)));
                ("POST", "/vectors/delete?wait=true", json!({"points": names(&ids), "vector": [gone]}))
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
                "collection {}, writer {}: points {:?} are not as acknowledged, {or:?} not as under way",
                self.collection,
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

/// All writers, and through them all that is known of the collections.
pub(crate) struct Ledger {
    writers: Vec<Writer>,
    /// Whether the collections are made.
    made: bool,
}

impl Ledger {
    /// One for empty collections.
    pub(crate) fn new(seed: u64) -> Self {
        let writers = COLLECTIONS.into_iter().flat_map(|(collection, names)| {
            (0..WRITERS).map(move |number| {
                let random = Random(seed ^ number << 32 ^ (collection.len() as u64) << 40);
                Writer { collection, names, number, random, state: State::new(), or: None, acknowledged: 0 }
            })
        });
        Ledger { writers: writers.collect(), made: false }
    }

    /// Makes the collections, if they are not made yet; false if the server went away.
    pub(crate) fn make_collections(&mut self, url: &str) -> bool {
        self.made = self.made
            || COLLECTIONS.iter().all(|(collection, names)| {
                let vector = json!({"size": DIM, "distance": "Euclid"});
                let mut vectors: Map<String, Value> = names.iter().map(|&name| (name.into(), vector.clone())).collect();
                let vectors = vectors.remove("").unwrap_or(vectors.into());
                let url = format!("{url}/collections/{collection}");
                call(&agent(), "PUT", &url, &json!({ "vectors": vectors }), &[]).is_some()
            });
        self.made
    }

    /// Compares what the server has with what was acknowledged; the number of points, or `None` if it went away. Errors if anything is
    /// lost, back or half there.
    pub(crate) fn compare(&mut self, url: &str) -> Option<Result<usize, String>> {
        let found: BTreeMap<&str, State> = COLLECTIONS
            .into_iter()
            .map(|(collection, _)| Some((collection, found(url, collection)?)))
            .collect::<Option<_>>()?;
        let compared = self.writers.iter_mut().try_for_each(|writer| writer.compare(&found[writer.collection]));
        Some(compared.map(|()| found.values().map(State::len).sum()))
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

    /// How many changes were acknowledged, and how many of them in the collection with named vectors.
    pub(crate) fn acknowledged(&self) -> (u64, u64) {
        let count = |named: bool| {
            let writers = self.writers.iter().filter(|writer| !named || writer.collection == NAMED);
            writers.map(|writer| writer.acknowledged).sum()
        };
        (count(false), count(true))
    }
}

/// The vectors that an answer or a file has for a point.
pub(crate) fn vectors(of: &Value) -> Vectors {
    let bits =
        |vector: &Value| vector.as_array().unwrap().iter().map(|x| (x.as_f64().unwrap() as f32).to_bits()).collect();
    match of {
        Value::Object(named) => named.iter().map(|(name, vector)| (name.clone(), bits(vector))).collect(),
        one => Vectors::from([(String::new(), bits(one))]),
    }
}

/// All points of `collection` that the server has; `None` if it went away.
fn found(url: &str, collection: &str) -> Option<State> {
    let body = json!({"limit": 1_000_000, "with_vector": true, "with_payload": true});
    let page = call(&agent(), "POST", &format!("{url}/collections/{collection}/points/scroll"), &body, &[])?;
    let points = page["points"].as_array().unwrap().iter();
    Some(points.map(|p| (number(&p["id"]), (vectors(&p["vector"]), p["payload"].clone()))).collect())
}

/// The number in environment variable `name`, or `default`.
pub(crate) fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .map_or(default, |value| value.parse().unwrap_or_else(|_| panic!("{name}={value}: expected a number")))
}
