//! Runs as files of six columns, which `trec_eval` and its kin read: query, `Q0`, document, rank, score, name.

use super::Run;
use std::io::{self, Write};

/// Writes `run` under `name`, queries in order of their ids, each one's documents best first, ties by id. White space in
/// ids and the name, which would break the columns, becomes `_`.
pub fn write(out: &mut dyn Write, run: &Run, name: &str) -> io::Result<()> {
    let word = |text: &str| text.split_whitespace().collect::<Vec<_>>().join("_");
    let mut queries: Vec<_> = run.iter().collect();
    queries.sort_by_key(|(query, _)| *query);
    for (query, found) in queries {
        let mut found: Vec<&(String, f32)> = found.iter().collect();
        found.sort_by(|(a, a_score), (b, b_score)| b_score.total_cmp(a_score).then(a.cmp(b)));
        for (place, (document, score)) in found.into_iter().enumerate() {
            writeln!(out, "{} Q0 {} {} {score} {}", word(query), word(document), place + 1, word(name))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_columns_best_first() {
        let run = Run::from([
            ("q2".into(), vec![("a".into(), 0.5), ("b".into(), 1.5)]),
            ("q 1".into(), vec![("c".into(), 1.0)]),
        ]);
        let mut out = Vec::new();
        write(&mut out, &run, "model x").unwrap();
        let expected = "q_1 Q0 c 1 1 model_x\nq2 Q0 b 1 1.5 model_x\nq2 Q0 a 2 0.5 model_x\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
