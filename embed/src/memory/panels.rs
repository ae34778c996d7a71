//! A matrix packed so that its product with vectors reads it once, in order: 64 rows side by side, column after column.
//!
//! Scoring half keys and every linear map of a memory layer is this product. Each number of the result is one sum over the
//! columns, first to last, in one accumulator, so a result does not depend on the batch it was computed in, and levels with
//! fused multiply-add agree bit for bit. The tile is chosen for the registers of each level; four vectors share each read.

use crate::cpu::{BASELINE_FUSED, Level, multiply_add};

/// Rows packed side by side.
pub(crate) const PANEL: usize = 64;

/// Vectors multiplied together.
const VECTORS: usize = 4;

/// A packed matrix. `[rows × cols]`.
#[derive(Debug, Clone)]
pub(crate) struct Panels {
    /// `[ceil(rows / 64)][cols][64]`, zeros beyond the last row.
    data: Vec<f32>,
    /// Added to each product; a multiple of 64 numbers, or none.
    bias: Vec<f32>,
    rows: usize,
    cols: usize,
}

impl Panels {
    /// Packs `matrix: [rows × cols]`, row-major.
    pub(crate) fn pack(matrix: &[f32], cols: usize) -> Panels {
        let rows = matrix.len() / cols;
        let mut data = vec![0.0; rows.next_multiple_of(PANEL) * cols];
        for (row, numbers) in matrix.chunks_exact(cols).enumerate() {
            let panel = &mut data[row / PANEL * PANEL * cols..];
            for (col, &number) in numbers.iter().enumerate() {
                panel[col * PANEL + row % PANEL] = number;
            }
        }
        Panels { data, bias: Vec::new(), rows, cols }
    }

    /// Packs the transpose of `matrix: [cols × rows]`, row-major.
    pub(crate) fn pack_transposed(matrix: &[f32], rows: usize) -> Panels {
        let cols = matrix.len() / rows;
        let mut data = vec![0.0; rows.next_multiple_of(PANEL) * cols];
        for (col, numbers) in matrix.chunks_exact(rows).enumerate() {
            for (panel, numbers) in numbers.chunks(PANEL).enumerate() {
                data[(panel * cols + col) * PANEL..][..numbers.len()].copy_from_slice(numbers);
            }
        }
        Panels { data, bias: Vec::new(), rows, cols }
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn cols(&self) -> usize {
        self.cols
    }

    /// Row `row`. `out: [cols]`
    pub(crate) fn row(&self, row: usize, out: &mut [f32]) {
        let panel = &self.data[row / PANEL * PANEL * self.cols..];
        out.iter_mut().enumerate().for_each(|(col, out)| *out = panel[col * PANEL + row % PANEL]);
    }

    /// Appends a row to a matrix without bias. `row: [cols]`
    pub(crate) fn push(&mut self, row: &[f32]) {
        let panel = self.rows / PANEL * PANEL * self.cols;
        self.data.resize((self.rows + 1).next_multiple_of(PANEL) * self.cols, 0.0);
        for (col, &number) in row.iter().enumerate() {
            self.data[panel + col * PANEL + self.rows % PANEL] = number;
        }
        self.rows += 1;
    }

    /// Adds `bias[row]` to each product from now on.
    pub(crate) fn with_bias(mut self, bias: &[f32]) -> Panels {
        self.bias = bias.to_vec();
        self.bias.resize(self.rows.next_multiple_of(PANEL), 0.0);
        self
    }

    /// `out[v × rows + r] = bias[r] + Σ_c matrix[r][c] · vectors[v × stride + c]`, for `out.len() / rows` vectors.
    pub(crate) fn multiply(&self, level: Level, vectors: &[f32], stride: usize, out: &mut [f32]) {
        assert!(level.available(), "this CPU cannot run {level:?}");
        self.dispatch(level, vectors, stride, out);
    }

    #[allow(unsafe_code)]
    fn dispatch(&self, level: Level, vectors: &[f32], stride: usize, out: &mut [f32]) {
        match level {
            Level::Baseline => self.product::<8, BASELINE_FUSED>(vectors, stride, out),
            // SAFETY: `multiply` made sure that the CPU has the level's features.
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => unsafe { self.product_avx2(vectors, stride, out) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => unsafe { self.product_avx512(vectors, stride, out) },
            #[cfg(not(target_arch = "x86_64"))]
            _ => unreachable!("available on x86-64 only"),
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn product_avx2(&self, vectors: &[f32], stride: usize, out: &mut [f32]) {
        self.product::<16, true>(vectors, stride, out);
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
    fn product_avx512(&self, vectors: &[f32], stride: usize, out: &mut [f32]) {
        self.product::<64, true>(vectors, stride, out);
    }

    /// The product in tiles of `WIDTH` rows.
    #[inline(always)]
    fn product<const WIDTH: usize, const FUSED: bool>(&self, vectors: &[f32], stride: usize, out: &mut [f32]) {
        let count = out.len().checked_div(self.rows).unwrap_or(0);
        for (index, panel) in self.data.chunks_exact(PANEL * self.cols).enumerate() {
            for sub in (0..PANEL).step_by(WIDTH) {
                let row = index * PANEL + sub;
                if row >= self.rows {
                    break;
                }
                let width = WIDTH.min(self.rows - row);
                let vector = |v: usize| &vectors[v * stride..v * stride + self.cols];
                let mut v = 0;
                while v + VECTORS <= count {
                    let x = std::array::from_fn(|i| vector(v + i));
                    let sums = self.tile::<VECTORS, WIDTH, FUSED>(panel, sub, row, x);
                    for (i, sums) in sums.iter().enumerate() {
                        out[(v + i) * self.rows + row..][..width].copy_from_slice(&sums[..width]);
                    }
                    v += VECTORS;
                }
                while v < count {
                    let [sums] = self.tile::<1, WIDTH, FUSED>(panel, sub, row, [vector(v)]);
                    out[v * self.rows + row..][..width].copy_from_slice(&sums[..width]);
                    v += 1;
                }
            }
        }
    }

    /// The products of `WIDTH` rows of a panel, from row `sub` of it, with `V` vectors.
    #[inline(always)]
    fn tile<const V: usize, const WIDTH: usize, const FUSED: bool>(
        &self,
        panel: &[f32],
        sub: usize,
        row: usize,
        x: [&[f32]; V],
    ) -> [[f32; WIDTH]; V] {
        let mut start = [0.0; WIDTH];
        if let Some(bias) = self.bias.get(row..row + WIDTH) {
            start.copy_from_slice(bias);
        }
        let mut sums = [start; V];
        let x = x.map(|x| &x[..self.cols]);
        for (col, column) in panel.chunks_exact(PANEL).enumerate() {
            let column: &[f32; WIDTH] = column[sub..sub + WIDTH].try_into().expect("WIDTH numbers");
            for (sums, x) in sums.iter_mut().zip(x) {
                for (sum, &number) in sums.iter_mut().zip(column) {
                    *sum = multiply_add::<FUSED>(number, x[col], *sum);
                }
            }
        }
        sums
    }
}

/// `out += aᵀ · b` with `a: [n × rows]`, `b: [n × cols]`, `out: [rows × cols]`, all row-major: the gradient of a linear map.
pub(crate) fn add_outer(level: Level, a: &[f32], rows: usize, b: &[f32], cols: usize, out: &mut [f32]) {
    let n = b.len() / cols;
    let mut turned = vec![0.0; a.len()];
    for (i, numbers) in a.chunks_exact(rows).enumerate() {
        numbers.iter().enumerate().for_each(|(row, &number)| turned[row * n + i] = number);
    }
    let mut product = vec![0.0; rows * cols];
    Panels::pack_transposed(b, cols).multiply(level, &turned, n, &mut product);
    out.iter_mut().zip(product).for_each(|(sum, term)| *sum += term);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn normals(random: &mut Random, count: usize) -> Vec<f32> {
        (0..count).map(|_| random.normal() as f32).collect()
    }

    #[test]
    fn products_equal_f64_sums_at_every_level() {
        let mut random = Random::new(11);
        for (rows, cols, vectors) in [(1, 1, 1), (63, 5, 3), (64, 16, 4), (65, 33, 9), (200, 128, 6)] {
            let stride = cols + 3;
            let matrix = normals(&mut random, rows * cols);
            let x = normals(&mut random, vectors * stride);
            let bias = normals(&mut random, rows);
            let mut turned = vec![0.0; rows * cols];
            for (at, &number) in matrix.iter().enumerate() {
                turned[at % cols * rows + at / cols] = number;
            }
            let packed = Panels::pack(&matrix, cols).with_bias(&bias);
            assert_eq!(packed.data, Panels::pack_transposed(&turned, rows).data);
            let mut fused = None;
            for level in Level::ALL.into_iter().filter(|level| level.available()) {
                let mut out = vec![f32::NAN; vectors * rows];
                packed.multiply(level, &x, stride, &mut out);
                for (at, &found) in out.iter().enumerate() {
                    let (v, r) = (at / rows, at % rows);
                    let terms = (0..cols).map(|c| f64::from(matrix[r * cols + c]) * f64::from(x[v * stride + c]));
                    let expected = f64::from(bias[r]) + terms.sum::<f64>();
                    let error = (f64::from(found) - expected).abs();
                    assert!(error < 2e-6 * (cols as f64 + 4.0), "{level:?}: {rows} × {cols}, {at}: {error}");
                }
                if level > Level::Baseline {
                    assert_eq!(*fused.get_or_insert_with(|| out.clone()), out, "levels with FMA agree bit for bit");
                }
            }
        }
    }

    #[test]
    fn rows_are_appended_where_packing_puts_them() {
        let mut random = Random::new(13);
        let matrix = normals(&mut random, 70 * 3);
        let mut grown = Panels::pack(&[], 3);
        matrix.chunks_exact(3).for_each(|row| grown.push(row));
        assert_eq!((&grown.data, grown.rows()), (&Panels::pack(&matrix, 3).data, 70));
        let mut row = [0.0; 3];
        grown.row(66, &mut row);
        assert_eq!(row, matrix[66 * 3..67 * 3]);
    }

    #[test]
    fn outer_products_add_up() {
        let mut random = Random::new(12);
        let (n, rows, cols) = (7, 5, 70);
        let (a, b) = (normals(&mut random, n * rows), normals(&mut random, n * cols));
        let mut out = vec![1.0; rows * cols];
        add_outer(Level::detect(), &a, rows, &b, cols, &mut out);
        for (at, &found) in out.iter().enumerate() {
            let expected: f32 = 1.0 + (0..n).map(|i| a[i * rows + at / cols] * b[i * cols + at % cols]).sum::<f32>();
            assert!((found - expected).abs() < 1e-5);
        }
    }
}
