//! The Porter stemmer: English words to stems, by taking suffixes off in five steps.
//!
//! M. F. Porter, "An algorithm for suffix stripping", Program 14(3), 1980, with the two changes of the author's later
//! programs (`bli` for `abli`, and `logi`) that Lucene's `PorterStemFilter` has too. It is not Snowball's "English"
//! stemmer (Porter2), which gives other stems for many words and so other scores than Lucene's.

/// What a suffix becomes. In each table the first that fits is the one that is taken, or none.
type Rules = &'static [(&'static str, &'static str)];

/// Double suffixes to single ones.
const STEP_2: Rules = &[
    ("ational", "ate"),
    ("tional", "tion"),
    ("enci", "ence"),
    ("anci", "ance"),
    ("izer", "ize"),
    ("bli", "ble"),
    ("alli", "al"),
    ("entli", "ent"),
    ("eli", "e"),
    ("ousli", "ous"),
    ("ization", "ize"),
    ("ation", "ate"),
    ("ator", "ate"),
    ("alism", "al"),
    ("iveness", "ive"),
    ("fulness", "ful"),
    ("ousness", "ous"),
    ("aliti", "al"),
    ("iviti", "ive"),
    ("biliti", "ble"),
    ("logi", "log"),
];

const STEP_3: Rules =
    &[("icate", "ic"), ("ative", ""), ("alize", "al"), ("iciti", "ic"), ("ical", "ic"), ("ful", ""), ("ness", "")];

const STEP_4: &[&str] = &[
    "al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "sion", "tion", "ou", "ism",
    "ate", "iti", "ous", "ive", "ize",
];

/// The stem of `word`, which must be in lower case. Words of one or two letters are their own stems.
///
/// ```
/// use vicino_embed::analyze::porter::stem;
/// assert_eq!(["relational", "hopping", "ponies", "sky"].map(stem), ["relat", "hop", "poni", "sky"]);
/// ```
pub fn stem(word: &str) -> String {
    let mut word: Vec<char> = word.chars().collect();
    if word.len() > 2 {
        plurals_and_participles(&mut word);
        y_to_i(&mut word);
        replace(&mut word, STEP_2);
        replace(&mut word, STEP_3);
        drop_suffix(&mut word);
        tidy_end(&mut word);
    }
    word.into_iter().collect()
}

/// Step 1a and 1b: `-s`, `-eed`, `-ed`, `-ing`.
fn plurals_and_participles(word: &mut Vec<char>) {
    if cut(word, "sses").is_some() || cut(word, "ies").is_some() {
        word.truncate(word.len() - 2);
    } else if cut(word, "s").is_some_and(|stem| !stem.ends_with(&['s'])) {
        word.pop();
    }

    if let Some(stem) = cut(word, "eed") {
        if measure(stem) > 0 {
            word.pop();
        }
        return;
    }
    let participle = cut(word, "ed").or_else(|| cut(word, "ing"));
    let Some(stem) = participle.filter(|stem| has_vowel(stem)).map(<[char]>::len) else { return };
    word.truncate(stem);
    if ["at", "bl", "iz"].iter().any(|suffix| cut(word, suffix).is_some()) {
        word.push('e');
    } else if ends_in_double_consonant(word) {
        if !matches!(word.last(), Some('l' | 's' | 'z')) {
            word.pop();
        }
    } else if measure(word) == 1 && ends_in_short_syllable(word) {
        word.push('e');
    }
}

/// Step 1c: `y` after a vowel somewhere before.
fn y_to_i(word: &mut Vec<char>) {
    if cut(word, "y").is_some_and(has_vowel) {
        word.pop();
        word.push('i');
    }
}

/// Steps 2 and 3: the first suffix of `rules` that fits, if a syllable is left before it.
fn replace(word: &mut Vec<char>, rules: Rules) {
    let fits = rules.iter().find_map(|(suffix, by)| cut(word, suffix).map(|stem| (stem.len(), measure(stem), by)));
    if let Some((stem, 1.., by)) = fits {
        word.truncate(stem);
        word.extend(by.chars());
    }
}

/// Step 4: a single suffix, if two syllables are left before it. Of `-sion` and `-tion` only `-ion` falls.
fn drop_suffix(word: &mut Vec<char>) {
    let Some((suffix, stem)) = STEP_4.iter().find_map(|suffix| cut(word, suffix).map(|stem| (*suffix, stem))) else {
        return;
    };
    let kept = if suffix.ends_with("ion") { stem.len() + 1 } else { stem.len() };
    if measure(&word[..kept]) > 1 {
        word.truncate(kept);
    }
}

/// Step 5: a last `-e`, and one of two last `l`.
fn tidy_end(word: &mut Vec<char>) {
    let syllables = measure(word);
    if let Some(stem) = cut(word, "e")
        && (syllables > 1 || syllables == 1 && !ends_in_short_syllable(stem))
    {
        word.pop();
    }
    if syllables > 1 && word.ends_with(&['l', 'l']) {
        word.pop();
    }
}

/// `word` without `suffix`, if it ends in it.
fn cut<'w>(word: &'w [char], suffix: &str) -> Option<&'w [char]> {
    let stem = word.len().checked_sub(suffix.len())?; // suffixes are ASCII
    word[stem..].iter().copied().eq(suffix.chars()).then(|| &word[..stem])
}

/// Which letters are consonants; `y` is one at the start and after a vowel.
fn consonants(word: &[char]) -> impl Iterator<Item = bool> + '_ {
    word.iter().scan(false, |consonant, letter| {
        *consonant = match letter {
            'a' | 'e' | 'i' | 'o' | 'u' => false,
            'y' => !*consonant,
            _ => true,
        };
        Some(*consonant)
    })
}

/// Porter's m: how often a consonant follows a vowel.
fn measure(stem: &[char]) -> usize {
    consonants(stem).zip(consonants(stem).skip(1)).filter(|&(before, after)| !before && after).count()
}

fn has_vowel(stem: &[char]) -> bool {
    consonants(stem).any(|consonant| !consonant)
}

fn ends_in_double_consonant(word: &[char]) -> bool {
    matches!(word, [.., before, last] if before == last) && consonants(word).last() == Some(true)
}

/// Consonant, vowel, consonant, and the last is none of `w`, `x`, `y`: as in `hop`, whose `hoping` was `hope`.
fn ends_in_short_syllable(word: &[char]) -> bool {
    let Some(start) = word.len().checked_sub(3) else { return false };
    consonants(word).skip(start).eq([true, false, true]) && !matches!(word[start + 2], 'w' | 'x' | 'y')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words and their stems by another implementation, NLTK 3.10 in its mode `MARTIN_EXTENSIONS`.
    #[test]
    fn stems_as_another_implementation_does() {
        let mut words = 0;
        for line in include_str!("porter.tsv").lines() {
            let (word, expected) = line.split_once('\t').expect("word, tab, stem");
            assert_eq!(stem(word), expected, "{word}");
            words += 1;
        }
        assert!(words > 1000, "{words} words");
    }

    #[test]
    fn takes_any_word() {
        let long = "y".repeat(100_000);
        assert_eq!(stem(&long).chars().count(), long.len());
        for word in ["", "s", "ies", "ing", "eed", "ational", "naïves", "2s3s", "ßßs", "eee"] {
            assert!(stem(word).chars().count() <= word.chars().count(), "{word}");
        }
    }
}
