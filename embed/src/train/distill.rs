//! Learning a teacher's scores: of a cross-encoder, of late interaction, or of longer vectors.
//!
//! Margin-MSE (Hofstätter et al., arXiv:2010.02666) asks the student for the teacher's difference between two documents,
//! the KL divergence for its distribution over a query's candidates. Both are losses of score lists; [`scores_backward`]
//! takes their slopes to the vectors. A teacher that reads both texts together has more to teach than a score: where its
//! tokens of one text look in the other ([`cross_attention`]).

use super::Gradients;
use crate::bert::gemm::{View, multiply};

/// The mean squared difference between the student's margins and the teacher's. All lists hold one number for each pair of a
/// positive and a negative. Returns the loss and its slopes by the student's positive scores; by the negatives' they are the
/// opposite.
pub fn margin_mse(positives: &[f32], negatives: &[f32], teacher_margins: &[f32]) -> (f64, Vec<f32>) {
    assert!(positives.len() == negatives.len() && positives.len() == teacher_margins.len(), "lists of one length");
    let pairs = positives.len().max(1) as f64;
    let margins = positives.iter().zip(negatives).zip(teacher_margins);
    let errors: Vec<f64> = margins.map(|((p, n), t)| f64::from(*p) - f64::from(*n) - f64::from(*t)).collect();
    let loss = errors.iter().map(|error| error * error).sum::<f64>() / pairs;
    (loss, errors.into_iter().map(|error| (2.0 * error / pairs) as f32).collect())
}

/// The mean over queries of `KL(softmax(teacher / temperature) ‖ softmax(student / temperature))`, where `student` and
/// `teacher` are `[queries × candidates]`. Returns it and its slopes by the student's scores.
pub fn kl(student: &[f32], teacher: &[f32], candidates: usize, temperature: f32) -> (f64, Vec<f32>) {
    assert!(student.len() == teacher.len() && student.len().is_multiple_of(candidates), "scores of {candidates} each");
    let queries = (student.len() / candidates).max(1) as f64;
    let temperature = f64::from(temperature);
    let (mut loss, mut slopes) = (0.0, Vec::with_capacity(student.len()));
    for (student, teacher) in student.chunks_exact(candidates).zip(teacher.chunks_exact(candidates)) {
        let (student, teacher) = (log_softmax(student, temperature), log_softmax(teacher, temperature));
        for (student, teacher) in student.iter().zip(&teacher) {
            loss += teacher.exp() * (teacher - student) / queries;
            slopes.push(((student.exp() - teacher.exp()) / temperature / queries) as f32);
        }
    }
    (loss, slopes)
}

fn log_softmax(scores: &[f32], temperature: f64) -> Vec<f64> {
    let scaled: Vec<f64> = scores.iter().map(|&score| f64::from(score) / temperature).collect();
    let most = scaled.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum = most + scaled.iter().map(|score| (score - most).exp()).sum::<f64>().ln();
    scaled.into_iter().map(|score| score - sum).collect()
}

/// Cross-attention distillation (Wang et al., DiDE, arXiv:2112.08723, §3.2): the mean over the query's tokens of the KL
/// divergence from the teacher's attention on the document's tokens to the student's, which is
/// `softmax(queries · keysᵀ / √dim)` although its towers never met. `queries: [q × dim]` of one text and `keys: [d × dim]` of the
/// other are what a head of the student's last layer computes; `teacher: [q × d]` is the block of the teacher's attention between
/// the two, at least 0, whose rows are scaled to sum to 1 here, for a fusing teacher also looks at its own text. Rows of zeros teach
/// nothing. The gradients' `documents` are those by the keys. The other direction is the same call with sides exchanged.
pub fn cross_attention(queries: &[f32], keys: &[f32], dim: usize, teacher: &[f32]) -> Gradients {
    let (rows, columns) = (queries.len() / dim, keys.len() / dim);
    assert!(rows * dim == queries.len() && columns * dim == keys.len(), "whole rows of {dim}");
    assert!(teacher.len() == rows * columns, "attention of {rows} tokens on {columns}");
    let (temperature, mean) = ((dim as f64).sqrt(), rows.max(1) as f64);
    let student = scores(queries, keys, dim);
    let (mut loss, mut slopes) = (0.0, vec![0.0; student.len()]);
    let rows = student.chunks_exact(columns.max(1)).zip(teacher.chunks_exact(columns.max(1)));
    for ((student, teacher), slopes) in rows.zip(slopes.chunks_exact_mut(columns.max(1))) {
        let sum: f64 = teacher.iter().copied().map(f64::from).sum();
        if sum <= 0.0 {
            continue;
        }
        for ((student, &teacher), slope) in log_softmax(student, temperature).into_iter().zip(teacher).zip(slopes) {
            let teacher = f64::from(teacher) / sum;
            if teacher > 0.0 {
                loss += teacher * (teacher.ln() - student) / mean;
            }
            *slope = ((student.exp() - teacher) / temperature / mean) as f32;
        }
    }
    scores_backward(loss, &slopes, queries, keys, dim)
}

/// From slopes by all products of `queries: [q × dim]` and `documents: [d × dim]`, `slopes: [q × d]`, to gradients by both.
pub fn scores_backward(loss: f64, slopes: &[f32], queries: &[f32], documents: &[f32], dim: usize) -> Gradients {
    let columns = documents.len() / dim;
    let mut gradients = Gradients { loss, queries: vec![0.0; queries.len()], documents: vec![0.0; documents.len()] };
    let slopes = View::rows(slopes, columns);
    multiply(slopes, View::rows(documents, dim), &mut gradients.queries, dim, false);
    multiply(slopes.transposed(), View::rows(queries, dim), &mut gradients.documents, dim, false);
    gradients
}

/// All products of `queries: [q × dim]` and `documents: [d × dim]`, `[q × d]`.
pub fn scores(queries: &[f32], documents: &[f32], dim: usize) -> Vec<f32> {
    let columns = documents.len() / dim;
    let mut scores = vec![0.0; queries.len() / dim * columns];
    multiply(View::rows(queries, dim), View::rows(documents, dim).transposed(), &mut scores, columns, false);
    scores
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::*;
    use crate::random::Random;

    #[test]
    fn slopes_match_differences() {
        let mut random = Random::new(71);
        let [student, other, teacher] = [(); 3].map(|()| check::normal(&mut random, 12));
        let (loss, slopes) = margin_mse(&student, &other, &teacher);
        check::gradient(&student, &slopes, 1e-4, |student| margin_mse(student, &other, &teacher).0);
        let opposite: Vec<f32> = slopes.iter().map(|slope| -slope).collect();
        check::gradient(&other, &opposite, 1e-4, |other| margin_mse(&student, other, &teacher).0);
        let plain: f32 = (0..12).map(|i| (student[i] - other[i] - teacher[i]).powi(2) / 12.0).sum();
        assert!((loss - f64::from(plain)).abs() < 1e-5);

        for temperature in [0.5, 2.0] {
            let (loss, slopes) = kl(&student, &teacher, 4, temperature);
            assert!(loss > 0.0);
            check::gradient(&student, &slopes, 1e-4, |student| kl(student, &teacher, 4, temperature).0);
            let (none, still) = kl(&teacher, &teacher, 4, temperature);
            assert!(none.abs() < 1e-12 && still.iter().all(|slope| slope.abs() < 1e-7));
        }
    }

    #[test]
    fn gradients_by_vectors_match_differences() {
        let mut random = Random::new(72);
        let (queries, documents) = (check::normal(&mut random, 3 * 4), check::normal(&mut random, 5 * 4));
        let teacher = check::normal(&mut random, 15);
        let total = |queries: &[f32], documents: &[f32]| kl(&scores(queries, documents, 4), &teacher, 5, 1.0);
        let (loss, slopes) = total(&queries, &documents);
        let found = scores_backward(loss, &slopes, &queries, &documents, 4);
        check::gradient(&queries, &found.queries, 1e-3, |queries| total(queries, &documents).0);
        check::gradient(&documents, &found.documents, 1e-3, |documents| total(&queries, documents).0);
    }

    #[test]
    fn cross_attention_matches_differences_and_its_definition() {
        let mut random = Random::new(73);
        let (queries, keys, dim) = (check::normal(&mut random, 3 * 4), check::normal(&mut random, 5 * 4), 4);
        // The second token attends to its own text only.
        let teacher: Vec<f32> = (0..15).map(|i| if i / 5 == 1 { 0.0 } else { random.unit() as f32 / 9.0 }).collect();
        let found = cross_attention(&queries, &keys, dim, &teacher);
        check::gradient(&queries, &found.queries, 1e-3, |queries| cross_attention(queries, &keys, dim, &teacher).loss);
        check::gradient(&keys, &found.documents, 1e-3, |keys| cross_attention(&queries, keys, dim, &teacher).loss);
        assert!(found.loss > 0.0 && found.queries[4..8] == [0.0; 4], "nothing is learnt where nothing is taught");

        // A teacher that looks where the student looks, however much of its attention is left over, costs nothing.
        let products = scores(&queries, &keys, dim);
        let own = products.chunks(5).flat_map(|row| log_softmax(row, 2.0)).map(|log| (0.3 * log.exp()) as f32);
        let found = cross_attention(&queries, &keys, dim, &own.collect::<Vec<f32>>());
        assert!(found.loss.abs() < 1e-6 && found.queries.iter().all(|slope| slope.abs() < 1e-6), "{}", found.loss);
    }
}
