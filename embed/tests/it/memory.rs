//! Memory from outside: product keys against integer arithmetic, and an HNSW index behind the trait of key indexes.

use vicino_embed::hopfield::{Hopfield, Recall};
use vicino_embed::memory::{
    FlatKeys, Hit, IndexError, KeyIndex, KeyIndexMut, KeyShape, KeyValueMemory, MemoryError, ProductKeys, ValueType,
};
use vicino_embed::random::Random;
use vicino_index::{ElementType, Hnsw, HnswParams, Metric, Scratch, SearchParams, Slot, VectorSpec};

/// How an index of vectors serves as a memory's keys.
struct HnswKeys {
    index: Hnsw,
    ef: usize,
}

impl HnswKeys {
    fn new(dim: usize, ef: usize) -> Self {
        let spec = VectorSpec::new(dim, Metric::Dot, ElementType::F32).unwrap();
        HnswKeys { index: Hnsw::new(spec, HnswParams::new(16, 100)).unwrap(), ef }
    }
}

impl KeyIndex for HnswKeys {
    fn dim(&self) -> usize {
        self.index.spec().dim()
    }

    fn len(&self) -> usize {
        self.index.len()
    }

    fn key(&self, id: u32, out: &mut [f32]) {
        let mut vector = Vec::new();
        self.index.vector(Slot(id), &mut vector);
        out.copy_from_slice(&vector);
    }

    fn nearest(&self, query: &[f32], k: usize) -> Result<Vec<Hit>, IndexError> {
        let (mut scratch, mut hits) = (Scratch::new(), Vec::new());
        self.index.search(query.into(), SearchParams::new(k, self.ef.max(k)), &mut scratch, &mut hits)?;
        let score = |distance| Metric::Dot.score(distance);
        Ok(hits.iter().map(|hit| Hit { id: hit.slot.0, score: score(hit.distance) }).collect())
    }
}

impl KeyIndexMut for HnswKeys {
    fn push(&mut self, key: &[f32]) -> Result<(), IndexError> {
        self.index.insert(key.into())?;
        Ok(())
    }
}

fn unit_rows(random: &mut Random, count: usize, dim: usize) -> Vec<f32> {
    let mut rows: Vec<f32> = (0..count * dim).map(|_| random.normal() as f32).collect();
    for row in rows.chunks_exact_mut(dim) {
        let length = row.iter().map(|x| x * x).sum::<f32>().sqrt();
        row.iter_mut().for_each(|x| *x /= length);
    }
    rows
}

#[test]
fn a_memory_over_hnsw_answers_as_one_over_all_keys() {
    let seed = 201;
    let (count, dim) = (1500, 16);
    let mut random = Random::new(seed);
    let rows = unit_rows(&mut random, count, dim);
    let mut exact = KeyValueMemory::new(FlatKeys::new(dim).unwrap(), ValueType::F32, dim, count).unwrap();
    let mut walked = KeyValueMemory::new(HnswKeys::new(dim, 200), ValueType::F32, dim, count).unwrap();
    for row in rows.chunks_exact(dim) {
        exact.put(row, row).unwrap();
        walked.put(row, row).unwrap();
    }
    let queries = unit_rows(&mut random, 100, dim);
    let (mut same, mut farthest) = (0, 0.0_f32);
    for query in queries.chunks_exact(dim) {
        let (all, some) = (exact.lookup(query, 10).unwrap(), walked.lookup(query, 10).unwrap());
        same += all.ids.iter().filter(|id| some.ids.contains(id)).count();
        let moved = all.value.iter().zip(&some.value).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt();
        farthest = farthest.max(moved);
    }
    assert!(same >= 980 && farthest < 0.2, "seed {seed}: {same} of 1000 keys, values up to {farthest} apart");

    // The same index holds a Hopfield network's patterns: noise is taken away.
    let network = Hopfield::new(walked.into_keys(), 60.0).unwrap();
    let noisy: Vec<f32> = rows[..dim].iter().map(|x| x + 0.1 * random.normal() as f32).collect();
    let found = network.recall(&noisy, &Recall::default()).unwrap();
    assert!(found.converged && found.ids[0] == 0, "{:?}", found.steps);
}

#[test]
fn an_index_that_fails_is_an_error_and_not_an_answer() {
    let memory = KeyValueMemory::new(HnswKeys::new(3, 10), ValueType::F32, 1, 10).unwrap();
    assert!(matches!(memory.lookup(&[1.0, 0.0, 0.0], 1), Err(MemoryError::Empty)));

    struct Broken;
    impl KeyIndex for Broken {
        fn dim(&self) -> usize {
            1
        }
        fn len(&self) -> usize {
            5
        }
        fn key(&self, _: u32, out: &mut [f32]) {
            out.fill(0.0);
        }
        fn nearest(&self, query: &[f32], _: usize) -> Result<Vec<Hit>, IndexError> {
            match query[0] {
                0.0 => Err("no disk".into()),
                1.0 => Ok(vec![Hit { id: 9, score: 1.0 }]),
                2.0 => Ok(vec![Hit { id: 1, score: f32::NAN }]),
                _ => Ok(Vec::new()),
            }
        }
    }
    let memory = KeyValueMemory::new(Broken, ValueType::F32, 1, 5).unwrap();
    let said = |query: f32| memory.lookup(&[query], 1).unwrap_err().to_string();
    assert_eq!(said(0.0), "the key index failed: no disk");
    assert_eq!(said(1.0), "expected an id below 5, found 9");
    assert_eq!(said(2.0), "scores: expected finite numbers, found NaN in row 1");
    assert_eq!(said(3.0), "the key index failed: it found no key though it has some");
}

/// Small integers are exact in f32, so every score is known, and most scores tie.
#[test]
fn product_keys_equal_a_scan_of_whole_keys_in_integers() {
    let seed = 202;
    let mut random = Random::new(seed);
    for (heads, sub_keys, key_dim, k) in [(1, 7, 2, 49), (2, 20, 6, 32), (3, 64, 10, 5), (1, 300, 4, 100)] {
        let shape = KeyShape { heads, sub_keys, key_dim };
        let mut integers = |count: usize| (0..count).map(|_| random.below(7) as f32 - 3.0).collect::<Vec<_>>();
        let keys = ProductKeys::new(shape, integers(shape.numbers())).unwrap();
        let queries = integers(5 * heads * key_dim);
        let top = keys.top_k(&queries, k).unwrap();
        let mut key = vec![0.0; key_dim];
        for (place, query) in queries.chunks_exact(key_dim).enumerate() {
            let mut scored: Vec<(i32, u32)> = (0..shape.slots() as u32)
                .map(|slot| {
                    keys.key(place % heads, slot, &mut key);
                    (-key.iter().zip(query).map(|(&a, &b)| a as i32 * b as i32).sum::<i32>(), slot)
                })
                .collect();
            scored.sort_unstable();
            let found = top.ids[place * k..].iter().zip(&top.scores[place * k..]).take(k);
            assert!(found.map(|(&id, &score)| (-score as i32, id)).eq(scored[..k].iter().copied()), "seed {seed}");
        }
    }
}

#[test]
fn queries_that_cannot_be_scored_are_refused() {
    let shape = KeyShape { heads: 2, sub_keys: 3, key_dim: 4 };
    let keys = ProductKeys::new(shape, vec![1.0; shape.numbers()]).unwrap();
    let said = |queries: &[f32], k| keys.top_k(queries, k).unwrap_err().to_string();
    assert_eq!(said(&[0.0; 7], 1), "queries: expected rows of 8 numbers, found 7 numbers");
    assert_eq!(said(&[0.0; 8], 10), "k: expected 1 to 9, found 10");
    assert_eq!(said(&[0.0; 8], 0), "k: expected 1 to 9, found 0");
    let mut queries = [0.0; 16];
    queries[11] = f32::NAN;
    assert_eq!(said(&queries, 1), "queries: expected finite numbers, found NaN in row 1");
    queries[11] = f32::INFINITY;
    assert_eq!(said(&queries, 1), "queries: expected finite numbers, found inf in row 1");
    queries[11] = 1e38;
    assert!(said(&queries, 1).starts_with("query 1: expected a length of at most 7.07"), "{}", said(&queries, 1));
    assert!(keys.top_k(&[], 1).unwrap().ids.is_empty());
    let refused = |shape: KeyShape, count| ProductKeys::new(shape, vec![0.0; count]).unwrap_err().to_string();
    assert_eq!(
        refused(KeyShape { key_dim: 5, ..shape }, 1),
        "key_dim: expected an even number of 2 to 1048576, found 5"
    );
    assert_eq!(refused(KeyShape { sub_keys: 65_537, ..shape }, 1), "sub_keys: expected 1 to 65536, found 65537");
    assert_eq!(refused(KeyShape { heads: 0, ..shape }, 1), "heads: expected 1 to 65536, found 0");
    assert_eq!(refused(shape, 23), "half keys: expected 24 numbers, found 23");
}
