"""Reference vectors of all-MiniLM-L6-v2, by sentence-transformers on the CPU, for `embed/tests/it/parity.rs`.

    pip install sentence-transformers
    apt-get download wordnet-base && dpkg-deb -x wordnet-base_*.deb wordnet
    python minilm.py MODEL_FOLDER wordnet/usr/share/wordnet ../data/minilm.safetensors

200 texts of about 1 to 510 tokens, made of WordNet 3.0 glosses (its licence allows it); vectors as f16, which changes
their cosine by less than 1e-7.
"""

import sys

import numpy as np
import torch
from safetensors.numpy import save_file
from sentence_transformers import SentenceTransformer

model_folder, wordnet, out = sys.argv[1:]
COUNT, LONGEST = 200, 510

model = SentenceTransformer(model_folder, device="cpu")
model.max_seq_length = 512

glosses = []
for part in ("noun", "verb", "adj", "adv"):
    with open(f"{wordnet}/data.{part}", encoding="utf8") as lines:
        glosses += [line.split(" | ", 1)[1].strip() for line in lines if not line.startswith("  ")]
order = np.random.default_rng(1).permutation(len(glosses))
words = " ".join(glosses[i] for i in order[:20_000]).split()


def tokens(text):
    return len(model.tokenizer(text, add_special_tokens=False)["input_ids"])


texts, at = [], 0
for i in range(COUNT):
    want = 1 + i * (LONGEST - 1) // (COUNT - 1)
    take = max(1, int(want * 0.6))
    while take < want and tokens(" ".join(words[at : at + take + 1])) <= want:
        take += 1
    while take > 1 and tokens(" ".join(words[at : at + take])) > want:
        take -= 1
    texts.append(" ".join(words[at : at + take]))
    at += take
# What English glosses lack.
texts[3], texts[7], texts[11] = "Café Ångström, naïve façade – 3.5 µm", "北京 and 東京!", "😀 \u200b tabs\tand\nlines"

with torch.inference_mode():
    vectors = model.encode(texts, batch_size=8, normalize_embeddings=True, convert_to_numpy=True)
save_file(
    {
        "vectors": vectors.astype(np.float16),
        "texts": np.frombuffer("\0".join(texts).encode(), np.uint8),
    },
    out,
)
print(vectors.shape, "longest", max(map(tokens, texts)), "tokens; sentence-transformers on torch", torch.__version__)
