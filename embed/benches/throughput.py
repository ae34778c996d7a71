"""Tokens per second of the encoders beside onnxruntime's, in one run of interleaved rounds.

    pip install onnxruntime tokenizers numpy          # and see tests/reference/minilm.py for the ONNX file
    cargo build --release -p vicino-embed --example throughput
    python embed/benches/throughput.py MODEL_FOLDER minilm.onnx wordnet/usr/share/wordnet --out embed/results/throughput.json

Every engine gets the same texts of exactly 16, 64 or 256 tokens, one and two threads. Ours start from text; onnxruntime is
given token ids in batches of equal length, so that it pads nothing, at the best of three batch sizes. A round runs each engine once;
medians over the rounds are reported, with the spread of each.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

ROOT = Path(__file__).resolve().parents[2]


def texts_of(tokenizer, words, length, count, start):
    """`count` texts of exactly `length` tokens, [CLS] and [SEP] among them, and their ids."""
    texts, ids, at = [], [], start
    while len(texts) < count:
        # One word more until it is too long; then drop it and fill up with a word of one token.
        take, known = 0, 0
        while known < length - 2:
            take += 1
            known = len(tokenizer.encode(" ".join(words[at : at + take]), add_special_tokens=False).ids)
        text = " ".join(words[at : at + take - (known > length - 2)])
        short = length - 2 - len(tokenizer.encode(text, add_special_tokens=False).ids)
        text += " of" * short
        at += take
        encoded = tokenizer.encode(text).ids
        assert len(encoded) == length, (len(encoded), length)
        texts.append(text)
        ids.append(encoded)
    return texts, np.array(ids, np.int64)


class Ours:
    def __init__(self, name, model, texts, threads, folder):
        self.name = name
        path = Path(folder) / f"{name}-{threads}-{len(texts)}-{len(texts[0])}.txt"
        path.write_text("\n".join(texts) + "\n")
        command = [ROOT / "target/release/examples/throughput", model, path, str(threads)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.round()

    def round(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        tokens, seconds = self.process.stdout.readline().split()
        return int(tokens) / float(seconds)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Onnx:
    def __init__(self, path, ids, threads, batch):
        self.name = f"onnxruntime-{batch}"
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.batches = [ids[i : i + batch] for i in range(0, len(ids), batch)]
        self.tokens = ids.size
        self.round()

    def round(self):
        started = time.perf_counter()
        for ids in self.batches:
            feed = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
            self.session.run(None, feed)
        return self.tokens / (time.perf_counter() - started)

    def close(self):
        pass


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="all-MiniLM-L6-v2's folder")
    parser.add_argument("onnx", help="its body as ONNX")
    parser.add_argument("wordnet", help="WordNet's data files, for words")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--tokens", type=int, default=8192, help="per round of a transformer; the static encoder gets 32 times as many")
    parser.add_argument("--out")
    arguments = parser.parse_args()

    tokenizer = Tokenizer.from_file(f"{arguments.model}/tokenizer.json")
    tokenizer.no_padding()
    tokenizer.no_truncation()
    words = []
    for line in open(f"{arguments.wordnet}/data.noun", encoding="utf8"):
        if not line.startswith("  "):
            words += line.split(" | ", 1)[1].split()
    optimised = str(Path(tempfile.gettempdir()) / "minilm-optimised.onnx")
    try:
        from onnxruntime.transformers import optimizer

        optimizer.optimize_model(arguments.onnx, "bert", num_heads=12, hidden_size=384).save_model_to_file(optimised)
    except ImportError as error:
        print(f"the graph is not fused beforehand: {error}")
        optimised = arguments.onnx

    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for threads in (1, 2):
            for length in (16, 64, 256):
                texts, ids = texts_of(tokenizer, words, length, arguments.tokens // length, 0)
                many = texts * 32
                engines = [
                    Ours("minilm", arguments.model, texts, threads, folder),
                    Ours("static", "static", many, threads, folder),
                    *(Onnx(optimised, ids, threads, max(1, tokens // length)) for tokens in (512, 2048, 8192)),
                ]
                rates = {engine.name: [] for engine in engines}
                for _ in range(arguments.rounds):
                    for engine in engines:
                        rates[engine.name].append(engine.round())
                for engine in engines:
                    engine.close()
                onnx = max((name for name in rates if name.startswith("onnx")), key=lambda n: statistics.median(rates[n]))
                row = {"threads": threads, "length": length, "onnx_batch": int(onnx.split("-")[1])}
                for name, key in (("minilm", "minilm"), ("static", "static"), (onnx, "onnxruntime")):
                    row[key] = round(statistics.median(rates[name]))
                    row[f"{key}_range"] = [round(min(rates[name])), round(max(rates[name]))]
                rows.append(row)
                print(
                    f"{threads} threads, {length:3} tokens: minilm {row['minilm']:7} onnxruntime {row['onnxruntime']:7} "
                    f"(x {row['minilm'] / row['onnxruntime']:.2f}) static {row['static']:9} (x {row['static'] / row['minilm']:.0f}) tokens/s",
                    flush=True,
                )
    if arguments.out:
        cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.processor())
        commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
        report = {
            "command": "python embed/benches/throughput.py MODEL_FOLDER minilm.onnx WORDNET",
            "commit": commit, "cpu": cpu, "cores": os.cpu_count(), "load": os.getloadavg(),
            "onnxruntime": onnxruntime.__version__, "rounds": arguments.rounds, "tokens": arguments.tokens, "rows": rows,
        }
        Path(arguments.out).write_text(json.dumps(report, indent=1) + "\n")


main()
