"""Tokens per second of the encoders beside onnxruntime's and candle's, in one run of interleaved rounds.

    pip install onnxruntime onnx sympy tokenizers numpy safetensors
    python embed/benches/minilm_onnx.py MODEL_FOLDER minilm.onnx
    cargo build --release -p vicino-embed --example throughput
    (cd embed/benches/candle && cargo build --release)
    python embed/benches/throughput.py MODEL_FOLDER minilm.onnx wordnet/usr/share/wordnet --out embed/results/throughput.md

Every engine gets the same texts of exactly 16, 64 or 256 tokens, one and two threads. Ours start from text; the others are given
token ids in batches of equal length, so that they pad nothing, at the best of three batch sizes, and onnxruntime's graph is fused
beforehand. A round runs each engine once; medians over the rounds are reported. The first vectors must agree.
"""

import argparse
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
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
CANDLE = Path(os.environ.get("CANDLE_TARGET", ROOT / "embed/benches/candle/target"))
LINES = object()
CPU_TIME = False
BATCH_TOKENS = (512, 2048, 8192)


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


class Program:
    """A program that encodes its texts for each line it is given, and answers with tokens, seconds and two numbers of the first vector."""

    def __init__(self, name, command, lines, threads, folder):
        self.name = name
        path = Path(folder) / f"{name}-{threads}-{len(lines)}.txt"
        path.write_text("\n".join(lines) + "\n")
        command = [path if part is LINES else str(part) for part in command]
        environment = os.environ | {"RAYON_NUM_THREADS": str(threads)}
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        self.round()

    def round(self):
        before = self.processor_time()
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        tokens, seconds, *self.first = map(float, self.process.stdout.readline().split())
        return tokens / (self.processor_time() - before if CPU_TIME else seconds)

    def processor_time(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split() if CPU_TIME else ["0"] * 13
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def ours(name, model, texts, threads, folder):
    return Program(name, [TARGET / "release/examples/throughput", model, LINES, threads], texts, threads, folder)


def candle(model, ids, threads, batch, folder):
    program = CANDLE / "release/candle-throughput"
    return Program(f"candle-{batch}", [program, model, LINES, batch], [" ".join(map(str, text)) for text in ids], threads, folder)


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
        clock = time.process_time if CPU_TIME else time.perf_counter
        started = clock()
        for at, ids in enumerate(self.batches):
            feed = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
            states = self.session.run(None, feed)[0]
            vectors = states.mean(1)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            if at == 0:
                self.first = vectors[0, :2].tolist()
        return self.tokens / (clock() - started)

    def close(self):
        pass


def medians(engines, rounds):
    """Each engine's rates: median, least, most. Rounds are interleaved."""
    rates = {engine.name: [] for engine in engines}
    for _ in range(rounds):
        for engine in engines:
            rates[engine.name].append(engine.round())
    agree = [engine.first for engine in engines if engine.name != "static"]
    assert np.abs(np.array(agree) - agree[0]).max() < 1e-5, f"the first vectors differ: {agree}"
    for engine in engines:
        engine.close()
    return {name: (statistics.median(found), min(found), max(found)) for name, found in rates.items()}


def best(found, prefix):
    """The engine of that kind with the best median, and its batch."""
    name = max((name for name in found if name.startswith(prefix)), key=lambda name: found[name][0])
    return found[name], int(name.split("-")[1])


def main():
    global CPU_TIME
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="all-MiniLM-L6-v2's folder")
    parser.add_argument("onnx", help="its body as ONNX")
    parser.add_argument("wordnet", help="WordNet's data files, for words")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--tokens", type=int, default=8192, help="per round of a transformer; the static encoder gets 32 times as many")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--lengths", type=int, nargs="+", default=[16, 64, 256])
    parser.add_argument("--cpu-time", action="store_true", help="count processor time, for machines that are not idle; of one thread")
    parser.add_argument("--out", help="the report")
    arguments = parser.parse_args()
    CPU_TIME = arguments.cpu_time

    tokenizer = Tokenizer.from_file(f"{arguments.model}/tokenizer.json")
    tokenizer.no_padding()
    tokenizer.no_truncation()
    words = []
    for line in open(f"{arguments.wordnet}/data.noun", encoding="utf8"):
        if not line.startswith("  "):
            words += line.split(" | ", 1)[1].split()
    fused, optimised = "fused", str(Path(tempfile.gettempdir()) / "minilm-optimised.onnx")
    try:
        from onnxruntime.transformers import optimizer

        # Level 0: without the session's own passes, which come when it is opened, and would need torch here.
        graph = optimizer.optimize_model(arguments.onnx, "bert", num_heads=12, hidden_size=384, opt_level=0)
        assert graph.get_fused_operator_statistics()["Attention"] == 6, graph.get_fused_operator_statistics()
        graph.save_model_to_file(optimised)
    except ImportError as error:
        print(f"the graph is not fused beforehand: {error}")
        fused, optimised = "not fused", arguments.onnx

    table = ["| threads | tokens of a text | MiniLM here | onnxruntime (batch) | candle (batch) | × onnxruntime | × candle | static | × MiniLM |", "|---" * 9 + "|"]
    single = ["| tokens | MiniLM here, ms | onnxruntime, ms | candle, ms | static, ms |", "|---|---|---|---|---|"]
    show = lambda rate: f"{rate[0]:,.0f} ({rate[1]:,.0f}–{rate[2]:,.0f})"
    with tempfile.TemporaryDirectory() as folder:
        for threads in arguments.threads:
            for length in arguments.lengths:
                texts, ids = texts_of(tokenizer, words, length, arguments.tokens // length, 0)
                sizes = [max(1, tokens // length) for tokens in BATCH_TOKENS]
                found = medians(
                    [
                        ours("minilm", arguments.model, texts, threads, folder),
                        ours("static", "static", texts * 32, threads, folder),
                        *(Onnx(optimised, ids, threads, size) for size in sizes),
                        *(candle(arguments.model, ids, threads, size, folder) for size in sizes),
                    ],
                    arguments.rounds,
                )
                minilm, static = found["minilm"], found["static"]
                (onnx, onnx_batch), (other, candle_batch) = best(found, "onnxruntime"), best(found, "candle")
                table.append(
                    f"| {threads} | {length} | {show(minilm)} | {show(onnx)} ({onnx_batch}) | {show(other)} ({candle_batch}) | "
                    f"**{minilm[0] / onnx[0]:.2f}** | **{minilm[0] / other[0]:.2f}** | {static[0]:,.0f} | **{static[0] / minilm[0]:.0f}** |"
                )
                print(table[-1], flush=True)
        for length in () if CPU_TIME else arguments.lengths[:2]:
            texts, ids = texts_of(tokenizer, words, length, 1, 0)
            engines = [ours("minilm", arguments.model, texts, 1, folder), Onnx(optimised, ids, 1, 1), candle(arguments.model, ids, 1, 1, folder)]
            found = medians([*engines, ours("static", "static", texts, 1, folder)], 30 * arguments.rounds)
            milliseconds = [1e3 * length / found[name][0] for name in ("minilm", "onnxruntime-1", "candle-1", "static")]
            single.append(f"| {length} | " + " | ".join(f"{time:.3f}" for time in milliseconds) + " |")
            print(single[-1], flush=True)
    if arguments.out:
        cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.processor())
        commit = subprocess.run(["git", "rev-parse", "--short=9", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
        lines = [
            "# Tokens per second", "",
            "`python embed/benches/throughput.py MODEL_FOLDER minilm.onnx WORDNET" + (" --cpu-time" if CPU_TIME else "") + "`; what it needs is in its head.", "",
            f"{cpu}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; commit {commit}; onnxruntime {onnxruntime.__version__}, its graph {fused}; "
            f"{'processor time' if CPU_TIME else 'wall time'}, medians of {arguments.rounds} interleaved rounds of {arguments.tokens} tokens (least–most).", "",
            *table,
        ]
        if len(single) > 2:
            lines += ["", "One text alone, one thread:", "", *single]
        Path(arguments.out).write_text("\n".join(lines) + "\n")


main()
