//! Sums are compared with f64 sums of the same numbers, for every element type, level and shape.

use super::*;
use crate::random::Random;

const SEED: u64 = 0x6a_7e11;

fn normals(random: &mut Random, count: usize) -> Vec<f32> {
    (0..count).map(|_| random.normal() as f32).collect()
}

/// Bags of mixed lengths, empty ones among them.
fn bags(random: &mut Random, rows: usize) -> (Vec<u32>, Vec<f32>, Vec<usize>) {
    let lengths: Vec<usize> = (0..9).map(|bag| if bag == 4 { 0 } else { random.below(11) }).collect();
    let ends: Vec<usize> = lengths
        .iter()
        .scan(0, |end, length| {
            Some({
                *end += length;
                *end
            })
        })
        .collect();
    let count = ends[ends.len() - 1];
    let ids = (0..count).map(|_| random.below(rows) as u32).collect();
    (ids, normals(random, count), ends)
}

/// The sums in f64, and the sum of absolute terms, which bounds rounding errors.
fn reference(
    number: impl Fn(usize, usize) -> f64,
    dim: usize,
    ids: &[u32],
    weights: &[f32],
    ends: &[usize],
) -> Vec<(f64, f64)> {
    let mut start = 0;
    let mut sums = Vec::new();
    for &end in ends {
        for column in 0..dim {
            let terms = (start..end).map(|i| f64::from(weights[i]) * number(ids[i] as usize, column));
            sums.push(terms.fold((0.0, 0.0), |(sum, size), term| (sum + term, size + term.abs())));
        }
        start = end;
    }
    sums
}

#[test]
fn sums_equal_f64_sums_at_every_level_and_type() {
    let mut random = Random::new(SEED);
    for dim in [1, 3, 15, 16, 17, 31, 32, 63, 64, 65, 100, 256, 384] {
        let rows = 37;
        let floats = normals(&mut random, rows * dim);
        let halves: Vec<bf16> = floats.iter().map(|&x| bf16::from_f32(x)).collect();
        let codes: Vec<i8> = (0..rows * dim).map(|_| random.below(256) as u8 as i8).collect();
        let scales = normals(&mut random, rows);
        let (ids, weights, ends) = bags(&mut random, rows);
        let tables = [Rows::F32(&floats), Rows::Bf16(&halves), Rows::Int8 { codes: &codes, scales: &scales }];
        for rows in tables {
            let number = |row: usize, column: usize| {
                let at = row * dim + column;
                match rows {
                    Rows::F32(rows) => f64::from(rows[at]),
                    Rows::Bf16(rows) => rows[at].to_f64(),
                    Rows::Int8 { codes, scales } => f64::from(codes[at]) * f64::from(scales[row]),
                }
            };
            let expected = reference(number, dim, &ids, &weights, &ends);
            let table = Table::new(rows, dim).unwrap();
            let mut fused = None;
            for level in Level::ALL.into_iter().filter(|level| level.available()) {
                let mut out = vec![f32::NAN; expected.len()];
                table.reduce_at(level, &ids, &weights, &ends, &mut out).unwrap();
                for (at, (&found, &(sum, size))) in out.iter().zip(&expected).enumerate() {
                    let error = (f64::from(found) - sum).abs();
                    assert!(error <= size * 2e-6, "seed {SEED}: {level:?}, dim {dim}, {at}: {found}, expected {sum}");
                }
                if level > Level::Baseline {
                    assert_eq!(*fused.get_or_insert_with(|| out.clone()), out, "levels with FMA agree bit for bit");
                }
            }
        }
    }
}

#[test]
fn a_bag_does_not_depend_on_its_batch() {
    let mut random = Random::new(SEED + 1);
    let (rows, dim) = (50, 96);
    let floats = normals(&mut random, rows * dim);
    let table = Table::new(Rows::F32(&floats), dim).unwrap();
    let (ids, weights, ends) = bags(&mut random, rows);
    let mut together = vec![0.0; ends.len() * dim];
    table.reduce(&ids, &weights, &ends, &mut together).unwrap();
    let mut start = 0;
    for (&end, together) in ends.iter().zip(together.chunks_exact(dim)) {
        let mut alone = vec![0.0; dim];
        table.reduce(&ids[start..end], &weights[start..end], &[end - start], &mut alone).unwrap();
        assert_eq!(alone, together);
        start = end;
    }
}

#[test]
fn refuses_what_does_not_fit() {
    let rows = [0.0; 6];
    assert_eq!(Table::new(Rows::F32(&rows), 4).unwrap_err(), GatherError::Shape { dim: 4, found: 6 });
    assert_eq!(Table::new(Rows::F32(&rows), 0).unwrap_err(), GatherError::Shape { dim: 0, found: 6 });
    let no_scales = Rows::Int8 { codes: &[0; 6], scales: &[] };
    assert_eq!(Table::new(no_scales, 2).unwrap_err(), GatherError::Scales { rows: 3, found: 0 });

    let table = Table::new(Rows::F32(&rows), 2).unwrap();
    let mut out = [7.0; 2];
    let mut refused = |ids: &[u32], weights: &[f32], ends: &[usize], room: usize| {
        table.reduce(ids, weights, ends, &mut out[..room]).unwrap_err()
    };
    let one = [1.0];
    assert_eq!(refused(&[3], &one, &[1], 2), GatherError::Id { rows: 3, found: 3, place: 0 });
    assert_eq!(refused(&[0], &[], &[1], 2), GatherError::Weights { ids: 1, found: 0 });
    assert_eq!(refused(&[0], &one, &[2], 2), GatherError::Ends { ids: 1, bag: 0, found: 2 });
    assert_eq!(refused(&[0], &one, &[0], 2), GatherError::Ends { ids: 1, bag: 0, found: 0 });
    assert_eq!(refused(&[0], &one, &[], 0), GatherError::Ends { ids: 1, bag: 0, found: 0 });
    assert_eq!(refused(&[0], &one, &[1], 1), GatherError::Output { expected: 2, found: 1 });
    assert_eq!(out, [7.0; 2]);
}
