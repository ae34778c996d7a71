//! Many texts through a model: tokenized, cut into batches by tokens, computed on all threads, put back in order.
//!
//! Texts go through in windows, which bounds what is held besides the result. Within a window they are sorted by length
//! and cut into batches of about [`BATCH_TOKENS`] tokens: large enough for matrix products to run at full speed, small
//! enough that a batch's activations stay in a core's cache, and of like cost, so that threads finish together.

use super::{Scratch, TokenBatch, TokenModel};
use crate::encoder::{Counts, EncodeError, EncodeOptions, Overlong};
use crate::model::TokenizedText;
use rayon::prelude::*;
use std::cmp::Reverse;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Tokens computed at once by one thread.
pub(crate) const BATCH_TOKENS: usize = 512;

/// Texts tokenized before they are computed.
const WINDOW: usize = 4096;

/// A batch that has been through the model, on its way to what a head makes of it.
pub(crate) struct Computed<'a> {
    pub(crate) batch: &'a TokenBatch,
    /// `[tokens × hidden]`
    pub(crate) states: &'a mut [f32],
}

/// Tokenizes `count` texts by `tokenize`, runs them through `model`, makes a `T` of each by `head`, and gives these in
/// order. `head` is called with a batch and returns one `T` for each of its texts. Uses the current rayon pool.
pub(crate) fn run<T: Send>(
    model: &dyn TokenModel,
    count: usize,
    tokenize: impl Fn(usize) -> Result<TokenizedText, EncodeError> + Sync,
    options: &EncodeOptions<'_>,
    head: impl Fn(Computed<'_>) -> Vec<T> + Sync,
) -> Result<(Vec<T>, Counts), EncodeError> {
    let mut outputs = Vec::with_capacity(count);
    let mut counts = Counts::default();
    let done = AtomicUsize::new(0);
    for start in (0..count).step_by(WINDOW) {
        let window = start..count.min(start + WINDOW);
        options.check_cancelled()?;
        let texts: Vec<TokenizedText> = window.into_par_iter().map(&tokenize).collect::<Result<_, _>>()?;
        for (text, tokens) in texts.iter().enumerate() {
            if tokens.cut && options.overlong == Overlong::Refuse {
                return Err(EncodeError::TooLong { text: start + text, max: tokens.ids.len() });
            }
            counts.tokens += tokens.ids.len();
            counts.cut += usize::from(tokens.cut);
        }
        let mut order: Vec<usize> = (0..texts.len()).collect();
        order.sort_by_key(|&text| Reverse(texts[text].ids.len()));
        let batches = cut(&order, |text| texts[text].ids.len(), rayon::current_num_threads());
        let compute = |(scratch, states): &mut (Scratch, Vec<f32>), members: &&[usize]| {
            options.check_cancelled()?;
            let batch = TokenBatch::new(members.iter().map(|&text| &texts[text]));
            model.forward(&batch, scratch, states)?;
            let made = head(Computed { batch: &batch, states });
            debug_assert_eq!(made.len(), members.len());
            let finished = done.fetch_add(members.len(), Ordering::Relaxed) + members.len();
            options.report(finished, count);
            Ok(made)
        };
        let made = batches.par_iter().map_init(Default::default, compute).collect::<Result<Vec<_>, EncodeError>>()?;
        let mut placed: Vec<Option<T>> = Vec::new();
        placed.resize_with(texts.len(), || None);
        for (output, &text) in made.into_iter().flatten().zip(&order) {
            placed[text] = Some(output);
        }
        outputs.extend(placed.into_iter().map(|output| output.expect("every text is in one batch")));
    }
    Ok((outputs, counts))
}

/// Cuts `order` into runs of at most [`BATCH_TOKENS`] tokens, or one text; of fewer where that leaves a thread idle.
fn cut(order: &[usize], length: impl Fn(usize) -> usize, threads: usize) -> Vec<&[usize]> {
    let total: usize = order.iter().map(|&text| length(text)).sum();
    let limit = BATCH_TOKENS.min(total.div_ceil(threads).max(1));
    let (mut batches, mut rest) = (Vec::new(), order);
    while !rest.is_empty() {
        let mut tokens = 0;
        let fits = rest.iter().take_while(|&&text| {
            tokens += length(text);
            tokens <= limit
        });
        let (batch, after) = rest.split_at(fits.count().max(1));
        batches.push(batch);
        rest = after;
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_hold_every_text_once_and_few_tokens() {
        let lengths = [512, 300, 212, 40, 40, 3, 3, 3, 0, 0];
        let order: Vec<usize> = (0..lengths.len()).collect();
        for threads in [1, 2, 5] {
            let batches = cut(&order, |text| lengths[text], threads);
            assert_eq!(batches.concat(), order);
            for batch in batches {
                let tokens: usize = batch.iter().map(|&text| lengths[text]).sum();
                assert!(batch.len() == 1 || tokens <= BATCH_TOKENS, "{batch:?}: {tokens}");
            }
        }
        assert!(cut(&[], |_| 0, 1).is_empty());
    }
}
