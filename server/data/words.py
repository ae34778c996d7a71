"""Makes words.tsv of WordNet 3.0: everyday nouns and what they mean.

    apt-get download wordnet-base && dpkg-deb -x wordnet-base_*.deb wordnet
    python server/data/words.py wordnet/usr/share/wordnet > server/data/words.tsv

Kept are first senses that occur in WordNet's tagged texts, of concrete things: animals, artifacts, body parts, food, phenomena, plants,
substances and people. A line holds the words, a tab, and the definition without its examples.
"""

import sys
from pathlib import Path

FILES = {"05": "animal", "06": "artifact", "08": "body", "13": "food", "18": "person", "19": "phenomenon", "20": "plant", "27": "substance"}

folder = Path(sys.argv[1])
tagged = set()
for line in open(folder / "index.noun", encoding="utf8"):
    if not line.startswith("  "):
        lemma, _, senses, pointers, *rest = line.split()
        _, in_texts, first = rest[int(pointers) :][:3]
        if int(in_texts) > 0:
            tagged.add(first)
for line in open(folder / "data.noun", encoding="utf8"):
    if line.startswith("  "):
        continue
    fields, gloss = line.rstrip().split(" | ", 1)
    offset, file, _, count, *rest = fields.split(" ")
    words = [word.replace("_", " ") for word in rest[: 2 * int(count, 16) : 2]]
    meaning = gloss.split('; "')[0].strip().rstrip(";")
    if offset in tagged and file in FILES and 30 <= len(meaning) <= 160 and words[0][0].islower():
        print(f"{', '.join(words)}\t{meaning}")
