//! The `simsimd` library as a second oracle in the tests and as the baseline in `benches/kernels.rs`; nothing else names it.
//!
//! The engine computes every distance itself: the benchmark holds the numbers. Compiled for tests and benchmarks alone, so that
//! building the crate asks for no C compiler.

use half::f16;
use half::slice::HalfFloatSliceExt;
use simsimd::{BinarySimilarity, SpatialSimilarity};

use crate::distance::Bits8;
use crate::metric::Metric;

/// A distance in the engine's sense.
pub(crate) type Distance<T> = fn(&[T], &[T]) -> f32;

/// A word that the library may know.
pub(crate) trait Baseline: Sized {
    /// The library's distance; `None` where it has none. Unlike ours, cosine over floats computes the norms.
    fn baseline(metric: Metric) -> Option<Distance<Self>>;
}

impl Baseline for f32 {
    fn baseline(metric: Metric) -> Option<Distance<f32>> {
        spatial::<f32>(metric)
    }
}

impl Baseline for f16 {
    fn baseline(metric: Metric) -> Option<Distance<f16>> {
        spatial::<f16>(metric)
    }
}

impl Baseline for u8 {
    fn baseline(_: Metric) -> Option<Distance<u8>> {
        None
    }
}

impl Baseline for i8 {
    fn baseline(metric: Metric) -> Option<Distance<i8>> {
        spatial::<i8>(metric)
    }
}

impl Baseline for Bits8 {
    fn baseline(metric: Metric) -> Option<Distance<Bits8>> {
        let hamming: Distance<Bits8> =
            |a, b| value(BinarySimilarity::hamming(bytemuck::cast_slice::<_, u8>(a), bytemuck::cast_slice(b)));
        (metric == Metric::Hamming).then_some(hamming)
    }
}

/// Words of ours as the library's.
trait Spatial: Sized {
    type Theirs: SpatialSimilarity;
    fn theirs(words: &[Self]) -> &[Self::Theirs];
}

impl Spatial for f32 {
    type Theirs = f32;
    fn theirs(words: &[f32]) -> &[f32] {
        words
    }
}

impl Spatial for i8 {
    type Theirs = i8;
    fn theirs(words: &[i8]) -> &[i8] {
        words
    }
}

impl Spatial for f16 {
    type Theirs = simsimd::f16;
    fn theirs(words: &[f16]) -> &[simsimd::f16] {
        let bits: &[u16] = words.reinterpret_cast();
        // SAFETY: `simsimd::f16` is a transparent `u16`.
        unsafe { std::slice::from_raw_parts(bits.as_ptr().cast(), bits.len()) }
    }
}

fn spatial<T: Spatial>(metric: Metric) -> Option<Distance<T>> {
    match metric {
        Metric::L2 => Some(|a, b| value(T::Theirs::l2sq(T::theirs(a), T::theirs(b)))),
        Metric::Dot => Some(|a, b| -value(T::Theirs::dot(T::theirs(a), T::theirs(b)))),
        Metric::Cosine => Some(|a, b| value(T::Theirs::cos(T::theirs(a), T::theirs(b)))),
        Metric::L1 | Metric::Hamming => None,
    }
}

/// The library declines only where lengths differ.
fn value(distance: Option<f64>) -> f32 {
    distance.expect("vectors of one length") as f32
}
