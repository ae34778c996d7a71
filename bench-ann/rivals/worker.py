"""A measured engine in a process of its own: one JSON request a line on stdin, one JSON reply a line on stdout.

Started as `python worker.py ENGINE`; `engines.py` beside it holds the engines. The other side, and what each field means, is
`src/protocol.rs`. A process per engine gives each its own peak memory and keeps a crash from ending the run.

The clock runs around the engine's call alone: reading, writing and converting neighbours happen outside it.
"""

import ctypes
import gc
import json
import os
import signal
import sys
import time
import traceback

import numpy as np

WARM_UP_QUERIES = 20


def memory(field):
    """`VmRSS` or `VmHWM` of this process, in bytes; None where the kernel does not say."""
    try:
        with open("/proc/self/status") as status:
            for line in status:
                if line.startswith(field + ":"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None


def forget_peak():
    """Starts `VmHWM` again from the present size, so that the peak is the build's and not the loading's."""
    try:
        with open("/proc/self/clear_refs", "w") as refs:
            refs.write("5")
    except OSError:
        pass


def give_back():
    """Returns freed memory to the system, where the allocator can, so that `VmRSS` shows what is held."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError):
        pass


class Worker:
    def __init__(self, engine):
        self.engine = engine
        self.train = None
        self.queries = None

    def load(self, request):
        self.queries = self.engine.fit(np.fromfile(request["queries"], dtype="<f4").reshape(-1, request["dim"]))
        give_back()
        self.empty = memory("VmRSS")
        self.train = self.engine.fit(np.fromfile(request["train"], dtype="<f4").reshape(-1, request["dim"]))
        self.metric = request["metric"]
        return {"reply": "loaded", "version": self.engine.version()}

    def build(self, request):
        self.engine.stage(self.train, **request["params"])
        forget_peak()
        before = memory("VmRSS")
        start, cpu = time.perf_counter(), time.process_time()
        self.engine.build(self.train, self.metric, request["threads"], **request["params"])
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
        peak = memory("VmHWM")
        self.train = None
        give_back()
        after = memory("VmRSS")
        return {
            "reply": "built",
            "seconds": seconds,
            "cpu_seconds": cpu,
            "index_bytes": self.engine.size(request["scratch"], request["keep"]),
            "rss_before_bytes": before,
            "peak_rss_bytes": peak,
            "resident_bytes": None if after is None else max(after - self.empty, 0),
        }

    def restore(self, request):
        dim, self.train = self.train.shape[1], None
        self.engine.restore(request["path"], dim, self.metric, **request["params"])
        give_back()
        return {"reply": "restored"}

    def search(self, request):
        k, threads = request["k"], request["threads"]
        self.engine.prepare(k, threads, **request["params"])
        start, cpu = time.perf_counter(), time.process_time()
        found = self.engine.search(self.queries, k, threads)
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
        distances, hops = self.engine.counters()
        padded(found, len(self.queries), k).tofile(request["neighbors"])
        return {"reply": "searched", "seconds": seconds, "cpu_seconds": cpu, "distances": distances, "hops": hops}

    def latency(self, request):
        k, count = request["k"], min(request["queries"], len(self.queries))
        self.engine.prepare(k, 1, **request["params"])
        singles = [self.queries[i : i + 1] for i in range(count)]
        for query in singles[:WARM_UP_QUERIES]:
            self.engine.search(query, k, 1)
        micros = np.empty(count, dtype="<f4")
        for i, query in enumerate(singles):
            start = time.perf_counter_ns()
            self.engine.search(query, k, 1)
            micros[i] = (time.perf_counter_ns() - start) / 1000
        micros.tofile(request["micros"])
        return {"reply": "timed"}


def padded(found, queries, k):
    """`found` as int32 [queries x k]; -1 where an engine returned fewer."""
    rows = np.full((queries, k), -1, dtype="<i4")
    for i, ids in enumerate(found):
        ids = np.asarray(ids).ravel()[:k]
        # Engines mark a missing neighbour with -1 or with the largest value of an unsigned type.
        missing = (ids < 0) | (ids > np.iinfo(np.int32).max)
        rows[i, : len(ids)] = np.where(missing, -1, ids)
    return rows


def main():
    # Ctrl-C in the terminal ends a native call too, which Python's own handler would wait for.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # Libraries print to stdout as they please: replies get a descriptor of their own, the rest goes to stderr.
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    try:
        from engines import ENGINES

        worker = Worker(ENGINES[sys.argv[1]]())
    except Exception as error:  # An engine that does not start is a result to report, whatever the reason.
        worker, broken = None, f"{type(error).__name__}: {error}"
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if worker is None:
                raise RuntimeError(broken)
            reply = getattr(worker, request["op"])(request)
        except Exception as error:  # Engines raise what they like.
            traceback.print_exc()
            reply = {"reply": "failed", "message": f"{type(error).__name__}: {error}"}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


if __name__ == "__main__":
    main()
