//! The set that is always there: UCI's handwritten digits, 8 × 8 pixels of 0..=16, held in the library itself.
//!
//! 1,797 images, few enough to carry along and enough for a search to be wrong on. `data/README.md` says where they are from.

use vicino_index::Metric;

use crate::dataset::Dataset;
use crate::matrix::{Matrix, Values};
use crate::truth::truth;

/// The name under which [`open`](crate::open()) knows [`digits`].
pub const DIGITS: &str = "digits-64-euclidean";

/// Pixels, `[1797 × 64]`.
static PIXELS: &[u8] = include_bytes!("../data/digits.u8");

const DIM: usize = 64;

/// Every ninth image is a query: 200 of them, by all the hands that wrote.
const TEST_STRIDE: usize = 9;

/// Neighbours per query.
const K: usize = 100;

/// The digits: 1,597 rows and 200 queries of 64 unsigned bytes, Euclidean, with 100 exact neighbours each. Takes milliseconds.
pub fn digits() -> Dataset {
    let all = Matrix::new(Values::U8(PIXELS.to_vec()), DIM).expect("the embedded images are whole");
    let (test, train) = (0..all.len()).partition::<Vec<_>, _>(|row| row % TEST_STRIDE == 0);
    let digits = Dataset::new(DIGITS, Metric::L2, all.select(train), all.select(test), None);
    let mut digits = digits.expect("rows and queries are of one matrix");
    digits.truth = Some(truth(&digits, K, 0, None).expect("bytes are finite"));
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_the_published_images() {
        // Shape, range and sum as `sklearn.datasets.load_digits().data` has them.
        assert_eq!(PIXELS.len(), 1797 * DIM);
        assert_eq!(PIXELS.iter().max(), Some(&16));
        assert_eq!(PIXELS.iter().map(|&pixel| u64::from(pixel)).sum::<u64>(), 561_718);
        assert_eq!(PIXELS[..8], [0, 0, 5, 13, 9, 1, 0, 0]);
    }

    #[test]
    fn rows_and_queries_share_no_image() {
        let digits = digits();
        assert_eq!((digits.train.len(), digits.test.len()), (1597, 200));
        assert_eq!(digits.test.row(0).words(), DIM);
        let truth = digits.truth.unwrap();
        assert_eq!((truth.k, truth.neighbors.len()), (K, 200 * K));
        assert!(truth.distances.unwrap().iter().all(|&distance| distance > 0.0), "a query is a row");
    }
}
