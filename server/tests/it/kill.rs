//! The real program, killed: at random times and at named points, some cycles again while it reads its log. A ledger outside of it knows
//! what was acknowledged; after every restart exactly that is there, and of the changes under way each is whole or absent.
//!
//! `VICINO_KILL_CYCLES=1000 cargo test --release -p vicino-server killed_at_any_time -- --nocapture` for more than the default.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use vicino_index::Uuid;
use vicino_index::faults::{KILL_AT, Point};

use crate::program::VICINO;

/// What one point is: its vector, bit by bit, and its payload.
type Held = (Vec<u32>, Value);
type State = BTreeMap<u64, Held>;

const DIM: usize = 8;
/// Each writer has ids of its own: those that leave its number when divided by this.
const WRITERS: u64 = 3;
const IDS: u64 = 300;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// The program, on its way to serve.
struct Server {
    child: Child,
    stdout: BufReader<std::process::ChildStdout>,
}

impl Server {
    fn start(data: &Path, kill_at: Option<String>) -> Self {
        let mut command = Command::new(VICINO);
        command.args(["serve", "--port", "0", "--checkpoint-after", "20000", "--data"]).arg(data);
        if let Some(kill_at) = kill_at {
            command.env(KILL_AT, kill_at);
        }
        let mut child =
            command.env("VICINO_LOG", "error").stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Server { child, stdout }
    }

    /// Its address once it serves; `None` if it ends before.
    fn address(&mut self) -> Option<String> {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim().strip_prefix("listening on ").map(String::from)
    }

    /// Kills it; whether it had ended by itself.
    fn kill(mut self) -> bool {
        let ended = self.child.try_wait().unwrap().is_some();
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        ended
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .timeout_global(Some(Duration::from_secs(60)))
        .http_status_as_error(false)
        .build()
        .into()
}

/// One call: its result, or `None` if the server went away.
fn call(agent: &ureq::Agent, method: &str, url: &str, body: &Value) -> Option<Value> {
    let request = if method == "PUT" { agent.put(url) } else { agent.post(url) };
    let mut response = request.send_json(body).ok()?;
    let status = response.status().as_u16();
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

    /// Makes changes until the server goes away.
    fn work(&mut self, url: &str) {
        let agent = agent();
        loop {
            let mut after = self.state.clone();
            let (method, path, body) = self.change(&mut after);
            if call(&agent, method, &format!("{url}/collections/c/points{path}"), &body).is_none() {
                self.or = Some(after);
                return;
            }
            self.state = after;
            self.acknowledged += 1;
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

    /// Compares what is found with the ledger, which goes on from there.
    fn compare(&mut self, found: &State, context: &str) {
        let own: State =
            found.iter().filter(|(id, _)| *id % WRITERS == self.number).map(|(id, held)| (*id, held.clone())).collect();
        if own != self.state && Some(&own) != self.or.as_ref() {
            let difference = |expected: &State| -> Vec<u64> {
                let ids: std::collections::BTreeSet<u64> = own.keys().chain(expected.keys()).copied().collect();
                ids.into_iter().filter(|id| own.get(id) != expected.get(id)).collect()
            };
            let or = self.or.as_ref().map(difference);
            panic!(
                "{context}, writer {}: points {:?} are not as acknowledged, {or:?} not as under way",
                self.number,
                difference(&self.state)
            );
        }
        (self.state, self.or) = (own, None);
    }
}

/// All points the server has; `None` if it went away.
fn found(url: &str) -> Option<State> {
    let body = json!({"limit": 1_000_000, "with_vector": true, "with_payload": true});
    let page = call(&agent(), "POST", &format!("{url}/collections/c/points/scroll"), &body)?;
    let bits =
        |vector: &Value| vector.as_array().unwrap().iter().map(|x| (x.as_f64().unwrap() as f32).to_bits()).collect();
    let points = page["points"].as_array().unwrap().iter();
    Some(points.map(|p| (number(&p["id"]), (bits(&p["vector"]), p["payload"].clone()))).collect())
}

#[test]
fn killed_at_any_time_it_has_all_it_acknowledged() {
    let cycles: u64 = std::env::var("VICINO_KILL_CYCLES").map_or(50, |cycles| cycles.parse().expect("a number"));
    let seed: u64 = std::env::var("VICINO_KILL_SEED").map_or(1, |seed| seed.parse().expect("a number"));
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path();
    let mut random = Random(seed);
    let mut writers: Vec<Writer> = (0..WRITERS)
        .map(|number| Writer {
            number,
            random: Random(seed ^ number << 32),
            state: State::new(),
            or: None,
            acknowledged: 0,
        })
        .collect();
    let (mut at_points, mut in_recovery, started) = (BTreeMap::new(), 0, Instant::now());
    for cycle in 0..cycles {
        let context = format!("seed {seed}, cycle {cycle}");
        if cycle > 0 && random.below(4) == 0 {
            // Killed while it starts, at a point or after a few milliseconds.
            let point = [Point::Replayed, Point::Opened][random.below(2) as usize];
            let at_point = random.below(2) == 0;
            let mut server = Server::start(data, at_point.then(|| format!("{point:?}:0")));
            if at_point {
                assert_eq!(server.address(), None, "{context}: not killed at {point:?}");
                *at_points.entry(format!("{point:?}")).or_insert(0) += 1;
            } else {
                std::thread::sleep(Duration::from_millis(random.below(40)));
            }
            server.kill();
            in_recovery += 1;
        }
        let point = Point::ALL[random.below(Point::ALL.len() as u64) as usize];
        let frequent = matches!(point, Point::GroupWritten | Point::GroupSynced);
        let passes = random.below(if frequent { 100 } else { 3 });
        let at_point = cycle > 0 && random.below(2) == 0 && !matches!(point, Point::Replayed | Point::Opened);
        let mut server = Server::start(data, at_point.then(|| format!("{point:?}:{passes}")));
        let url = server.address();
        let made = |url: &str| {
            let vectors = json!({"size": DIM, "distance": "Euclid"});
            cycle > 0
                || call(&agent(), "PUT", &format!("{url}/collections/c"), &json!({ "vectors": vectors })).is_some()
        };
        let served = url.filter(|url| made(url)).and_then(|url| Some((found(&url)?, url)));
        let Some((found, url)) = served else {
            // At a point that is passed at the start, or in a checkpoint that is due from the start.
            assert!(at_point, "{context}: the server ended by itself");
            *at_points.entry(format!("{point:?}")).or_insert(0) += 1;
            server.kill();
            continue;
        };
        writers.iter_mut().for_each(|writer| writer.compare(&found, &context));
        let pause = Duration::from_millis(5 + random.below(400));
        let ended = std::thread::scope(|scope| {
            writers.iter_mut().for_each(|writer| drop(scope.spawn(|| writer.work(&url))));
            if at_point {
                let waiting = Instant::now();
                while server.child.try_wait().unwrap().is_none() && waiting.elapsed() < Duration::from_secs(5) {
                    std::thread::sleep(Duration::from_millis(2));
                }
            } else {
                std::thread::sleep(pause);
            }
            server.kill()
        });
        assert!(!ended || at_point, "{context}: the server ended by itself");
        if ended {
            *at_points.entry(format!("{point:?}")).or_insert(0) += 1;
        }
    }
    let mut server = Server::start(data, None);
    let url = server.address().expect("a server");
    let found = found(&url).expect("a server");
    writers.iter_mut().for_each(|writer| writer.compare(&found, "at the end"));
    server.kill();
    let acknowledged: u64 = writers.iter().map(|writer| writer.acknowledged).sum();
    println!(
        "{cycles} cycles in {:.0} s, seed {seed}: {acknowledged} changes acknowledged, {} points at the end; {in_recovery} killed again in \
         recovery; at points: {at_points:?}",
        started.elapsed().as_secs_f64(),
        found.len()
    );
    assert!(acknowledged > cycles);
}
