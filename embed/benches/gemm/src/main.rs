//! Matrix products in the shapes of all-MiniLM-L6-v2 by the crates there are, by a packed kernel written on `pulp`, and by `embed`'s
//! own kernel for few rows, whose source this compiles.
//!
//! ```text
//! cd embed/benches/gemm && cargo run --release [-- v3] > ../../results/gemm.md        # v3: AVX2 for those that can be told
//! ```
//! One thread, its own processor time (others on the machine count for little), best of the repeats, rounds interleaved. Each
//! product takes the next of many equal matrices of weights, together larger than a core's cache, as a model's layers are.
//! Products are compared after they are timed; ours for few rows reads weights rounded to 16 bits. `private-gemm-x86` is what `faer` calls on x86-64.

#[path = "../../../examples/conditions/mod.rs"]
mod conditions;
#[allow(dead_code)]
#[path = "../../../src/cpu.rs"]
mod cpu;
#[allow(dead_code)]
#[path = "../../../src/bert/few_rows.rs"]
mod few_rows;

use few_rows::Panels;
use private_gemm_x86 as faer;
use pulp::{Arch, Simd, WithSimd};

/// Tokens, inputs, outputs: short texts, up to where the general product takes over, and a full batch.
const SHAPES: [(usize, usize, usize); 16] = [
    (4, 384, 1152),
    (16, 384, 1152),
    (16, 384, 384),
    (16, 384, 1536),
    (16, 1536, 384),
    (32, 384, 1152),
    (32, 1536, 384),
    (64, 384, 1152),
    (64, 1536, 384),
    (96, 384, 1152),
    (96, 1536, 384),
    (128, 384, 1152),
    (1024, 384, 1152),
    (1024, 384, 384),
    (1024, 384, 1536),
    (1024, 1536, 384),
];
const NAMES: [&str; 5] =
    ["few rows (ours)", "gemm 0.19", "private-gemm-x86 0.1 (faer's)", "matrixmultiply 0.3", "a packed kernel on pulp"];

/// Weights that are gone through in turn.
const WEIGHT_BYTES: usize = 48 << 20;

/// A right matrix as the engines want it.
struct Weights {
    /// `[inputs × outputs]`
    plain: Vec<f32>,
    panels: Vec<f32>,
    rounded: Panels,
}

/// The right matrix in panels of two registers' columns, packed once.
struct Packed<'a> {
    left: &'a [f32],
    panels: &'a [f32],
    out: &'a mut [f32],
    shape: (usize, usize, usize),
    scratch: &'a mut Vec<f32>,
}

#[inline(always)]
fn kernel<S: Simd, const ROWS: usize>(simd: S, left: &[f32], panel: &[f32], out: &mut [f32], stride: usize, rows: usize) {
    let mut sums = [[simd.splat_f32s(0.0); 2]; ROWS];
    let (panel, _) = S::as_simd_f32s(panel);
    for (left, right) in left.as_chunks::<ROWS>().0.iter().zip(panel.as_chunks::<2>().0) {
        for (sums, &x) in sums.iter_mut().zip(left) {
            let x = simd.splat_f32s(x);
            sums[0] = simd.mul_add_e_f32s(x, right[0], sums[0]);
            sums[1] = simd.mul_add_e_f32s(x, right[1], sums[1]);
        }
    }
    for (row, sums) in sums.iter().enumerate().take(rows) {
        let (out, _) = S::as_mut_simd_f32s(&mut out[row * stride..row * stride + 2 * S::F32_LANES]);
        out.copy_from_slice(sums);
    }
}

impl Packed<'_> {
    #[inline(always)]
    fn multiply<S: Simd, const ROWS: usize>(self, simd: S) {
        let (m, k, n) = self.shape;
        let width = 2 * S::F32_LANES;
        let block = 8 * ROWS;
        self.scratch.resize(block * k, 0.0);
        for first in (0..m).step_by(block) {
            let rows = block.min(m - first);
            for start in (0..rows).step_by(ROWS) {
                let tile = self.scratch[start * k..(start + ROWS) * k].as_chunks_mut::<ROWS>().0;
                for row in 0..ROWS.min(rows - start) {
                    let from = &self.left[(first + start + row) * k..][..k];
                    tile.iter_mut().zip(from).for_each(|(tile, &x)| tile[row] = x);
                }
            }
            for panel in 0..n / width {
                let right = &self.panels[panel * width * k..(panel + 1) * width * k];
                for start in (0..rows).step_by(ROWS) {
                    let left = &self.scratch[start * k..(start + ROWS) * k];
                    let out = &mut self.out[(first + start) * n + panel * width..];
                    kernel::<S, ROWS>(simd, left, right, out, n, rows - start);
                }
            }
        }
    }
}

impl WithSimd for Packed<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if S::REGISTER_COUNT >= 32 { self.multiply::<S, 12>(simd) } else { self.multiply::<S, 6>(simd) }
    }
}

/// `right: [k × n]` in panels.
fn pack(right: &[f32], n: usize, width: usize) -> Vec<f32> {
    (0..n / width).flat_map(|panel| right.chunks(n).flat_map(move |row| &row[panel * width..(panel + 1) * width])).copied().collect()
}

fn seconds() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is there to be written to.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

fn transposed(right: &[f32], n: usize) -> Vec<f32> {
    (0..n).flat_map(|column| right.iter().skip(column).step_by(n)).copied().collect()
}

fn main() {
    let narrow = std::env::args().any(|argument| argument == "v3");
    let arch = Arch::new();
    let wide = matches!(arch, Arch::V4(_)) && !narrow;
    let ours = if wide { arch } else { cpu::Level::Avx2.arch() };
    let level = if wide { "AVX-512" } else { "AVX2 (gemm and matrixmultiply choose for themselves)" };
    let arguments = if narrow { " -- v3" } else { "" };
    println!("# Matrix products, GFLOP/s\n\n`cd embed/benches/gemm && cargo run --release{arguments}`  ");
    println!("{}\n", conditions::conditions(level));
    println!("f32, one thread, in the shapes of all-MiniLM-L6-v2 (tokens × inputs × outputs); best of the repeats by the thread's own processor time,");
    println!("rounds interleaved; each product takes the next of equal matrices of weights, {} MiB together.\n", WEIGHT_BYTES >> 20);
    println!("| shape | {} |", NAMES.join(" | "));
    println!("|---{}|", "|---".repeat(NAMES.len()));
    let mut seed = 1_u64;
    let mut number = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    for (m, k, n) in SHAPES {
        let left: Vec<f32> = (0..m * k).map(|_| number()).collect();
        let plain: Vec<f32> = (0..k * n).map(|_| number()).collect();
        let of = |plain: &[f32]| Weights {
            plain: plain.to_vec(),
            panels: pack(plain, n, if wide { 32 } else { 16 }),
            rounded: Panels::new(&transposed(plain, n), k),
        };
        let copies = WEIGHT_BYTES / (4 * k * n);
        let weights: Vec<Weights> = (0..copies).map(|_| of(&plain)).collect();
        let (mut outs, mut scratch) = (vec![vec![0.0_f32; m * n]; NAMES.len()], Vec::new());
        let mut best = [f64::MAX; NAMES.len()];
        for round in 0..if m < 100 { 200 } else { 60 } {
            for (engine, out) in outs.iter_mut().enumerate() {
                // Not the ones that the engine before has just brought into the cache.
                let Weights { plain, panels, rounded } = &weights[(round + engine * copies / NAMES.len()) % copies];
                let (a, b, c) = (left.as_ptr(), plain.as_ptr(), out.as_mut_ptr());
                let started = seconds();
                // SAFETY: the strides are those of matrices of these shapes, which the vectors hold.
                unsafe {
                    match engine {
                        0 => few_rows::multiply(ours, &left, rounded, out, false),
                        1 => gemm::gemm(
                            m, n, k, c, 1, n as isize, false, a, 1, k as isize, b, 1, n as isize, 0.0, 1.0, false, false,
                            false, gemm::Parallelism::None,
                        ),
                        2 => {
                            let set = if wide { faer::InstrSet::Avx512 } else { faer::InstrSet::Avx256 };
                            let (none, one) = (std::ptr::null(), 1.0_f32);
                            // Column-major: the product of the transposes.
                            faer::gemm(
                                faer::DType::F32, faer::IType::U32, set, n, m, k, c.cast(), 1, n as isize, none, none,
                                faer::DstKind::Full, faer::Accum::Replace, b.cast(), 1, n as isize, false, none, 0,
                                a.cast(), 1, k as isize, false, (&raw const one).cast(), 1,
                            );
                        }
                        3 => matrixmultiply::sgemm(
                            m, k, n, 1.0, a, k as isize, 1, b, n as isize, 1, 0.0, c, n as isize, 1,
                        ),
                        _ => {
                            let packed = Packed { left: &left, panels, out, shape: (m, k, n), scratch: &mut scratch };
                            match pulp::x86::V3::try_new() {
                                Some(v3) if !wide => Simd::vectorize(v3, packed),
                                _ => arch.dispatch(packed),
                            }
                        }
                    }
                }
                best[engine] = best[engine].min(seconds() - started);
            }
        }
        for out in &outs[1..] {
            let apart = out.iter().zip(&outs[0]).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max);
            assert!(apart < 1e-3, "products differ by {apart}");
        }
        let rates = best.map(|best| 2.0 * (m * k * n) as f64 / best / 1e9);
        let most = rates.iter().copied().fold(0.0, f64::max);
        let rates = rates.map(|rate| if rate == most { format!("**{rate:.0}**") } else { format!("{rate:.0}") });
        println!("| {m} × {k} × {n} | {} |", rates.join(" | "));
    }
}
