"""The rivals, each behind the same calls, set up as its own documentation says is fast.

`build` takes what the sweep names; `prepare` sets search parameters, outside the clock; `search` answers a batch in one native
call where the library has one (`pyvsag` and `ngt` have none with a stated thread count: a loop, and the report says so).
`save` writes the index to disk and `restore`, on a new engine and with the parameters it was built with, reads it back into memory.
For the metric `cosine` the rows and queries arrive normalised, so an engine may use its cheaper inner product.
"""

import importlib
import importlib.metadata
import json
import os
import shutil
import tempfile

import numpy as np


def disk_bytes(path):
    """Bytes of a file, or of all files below a folder."""
    if os.path.isfile(path):
        return os.path.getsize(path)
    return sum(os.path.getsize(os.path.join(at, name)) for at, _, names in os.walk(path) for name in names)


class Engine:
    """What every engine shares: its library, imported before any clock or memory mark; version, size as saved, no counters."""

    package = ""  # as installed
    module = ""  # as imported

    def __init__(self):
        self.library = importlib.import_module(self.module)

    def version(self):
        return f"{self.package} {importlib.metadata.version(self.package)}"

    def fit(self, rows):
        """Rows or queries in the shape the engine takes; outside the clock."""
        return rows

    def stage(self, train, **params):
        """What must lie on disk before a build; outside the clock."""

    def size(self, scratch, keep):
        """Bytes of the index as the engine itself saves it: at `keep`, or for the purpose only, in the folder `scratch`."""
        path = keep or os.path.join(scratch, "index")
        try:
            self.save(path)
            return disk_bytes(path)
        finally:
            if not keep:
                shutil.rmtree(path, ignore_errors=True)
                if os.path.exists(path):
                    os.remove(path)

    def counters(self):
        """(distances, hops) of the last batch, where the engine counts them."""
        return None, None


class Hnswlib(Engine):
    package = "hnswlib"
    module = "hnswlib"

    def make(self, dim, metric):
        return self.library.Index(space="l2" if metric == "l2" else "ip", dim=dim)

    def build(self, train, metric, threads, m, ef_construction):
        self.index = self.make(train.shape[1], metric)
        self.index.init_index(max_elements=len(train), M=m, ef_construction=ef_construction)
        self.index.add_items(train, num_threads=threads)

    def save(self, path):
        self.index.save_index(path)

    def restore(self, path, dim, metric, **params):
        self.index = self.make(dim, metric)
        self.index.load_index(path)

    def prepare(self, k, threads, ef):
        self.index.set_ef(max(ef, k))

    def search(self, queries, k, threads):
        return self.index.knn_query(queries, k=k, num_threads=threads)[0]


class Faiss(Engine):
    package = "faiss-cpu"
    module = "faiss"

    def metric(self, metric):
        return self.library.METRIC_L2 if metric == "l2" else self.library.METRIC_INNER_PRODUCT

    def save(self, path):
        self.library.write_index(self.index, path)

    def restore(self, path, dim, metric, **params):
        self.index = self.library.read_index(path)

    def search(self, queries, k, threads):
        return self.index.search(queries, k)[1]


class FaissHnsw(Faiss):
    """HNSW over full vectors, or over 8-bit scalar codes, from which the answers come too."""

    def build(self, train, metric, threads, m, ef_construction, codes="f32"):
        self.library.omp_set_num_threads(threads)
        dim, metric = train.shape[1], self.metric(metric)
        if codes == "f32":
            self.index = self.library.IndexHNSWFlat(dim, m, metric)
        elif codes == "sq8":
            self.index = self.library.IndexHNSWSQ(dim, self.library.ScalarQuantizer.QT_8bit, m, metric)
        else:
            raise ValueError(f"codes={codes}: expected f32, sq8")
        self.index.hnsw.efConstruction = ef_construction
        if not self.index.is_trained:
            self.index.train(train)
        self.index.add(train)

    def prepare(self, k, threads, ef):
        self.library.omp_set_num_threads(threads)
        self.index.hnsw.efSearch = ef
        self.library.cvar.hnsw_stats.reset()

    def counters(self):
        stats = self.library.cvar.hnsw_stats
        return stats.ndis, stats.nhops


class FaissIvfPqFastScan(Faiss):
    """IVF over 4-bit product codes scored 32 at a time, refined on the full vectors."""

    def build(self, train, metric, threads, nlist, dims_per_code):
        self.library.omp_set_num_threads(threads)
        dim = train.shape[1]
        factory = f"IVF{nlist},PQ{dim // dims_per_code}x4fs,RFlat"
        self.index = self.library.index_factory(dim, factory, self.metric(metric))
        self.index.train(train)
        self.index.add(train)

    def prepare(self, k, threads, nprobe, refine):
        self.library.omp_set_num_threads(threads)
        self.index.k_factor = refine
        self.library.extract_index_ivf(self.index.base_index).nprobe = nprobe


class Usearch(Engine):
    package = "usearch"
    module = "usearch.index"

    def make(self, dim, metric, m, ef_construction):
        metric = "l2sq" if metric == "l2" else "ip"
        return self.library.Index(ndim=dim, metric=metric, dtype="f32", connectivity=m, expansion_add=ef_construction)

    def build(self, train, metric, threads, m, ef_construction):
        self.index = self.make(train.shape[1], metric, m, ef_construction)
        self.index.add(np.arange(len(train)), train, threads=threads)

    def save(self, path):
        self.index.save(path)

    def restore(self, path, dim, metric, **params):
        self.index = self.make(dim, metric, **params)
        self.index.load(path)

    def prepare(self, k, threads, ef):
        self.index.expansion_search = ef

    def search(self, queries, k, threads):
        # One row would come back as `Matches` of one query: same attribute, one dimension less.
        return np.atleast_2d(self.index.search(queries, k, threads=threads).keys)


class Voyager(Engine):
    package = "voyager"
    module = "voyager"

    def build(self, train, metric, threads, m, ef_construction):
        space = {"l2": self.library.Space.Euclidean, "cosine": self.library.Space.Cosine, "dot": self.library.Space.InnerProduct}[metric]
        self.index = self.library.Index(space, train.shape[1], M=m, ef_construction=ef_construction, max_elements=len(train))
        self.index.add_items(train, num_threads=threads)

    def save(self, path):
        self.index.save(path)

    def restore(self, path, dim, metric, **params):
        self.index = self.library.Index.load(path)

    def prepare(self, k, threads, ef):
        self.ef = max(ef, k)

    def search(self, queries, k, threads):
        return self.index.query(queries, k=k, num_threads=threads, query_ef=self.ef)[0]


class Scann(Engine):
    package = "scann"
    module = "scann"

    def build(self, train, metric, threads, leaves, dims_per_block, avq_threshold):
        self.index = (
            self.library.scann_ops_pybind.builder(train, 10, "squared_l2" if metric == "l2" else "dot_product")
            .set_n_training_threads(threads)
            .tree(num_leaves=leaves, num_leaves_to_search=1, training_sample_size=len(train))
            .score_ah(
                dims_per_block,
                # Anisotropic quantisation is for inner products only.
                anisotropic_quantization_threshold=float("nan") if metric == "l2" else avq_threshold,
            )
            .reorder(100)
            .build()
        )

    def save(self, path):
        os.makedirs(path)
        # The folder may move.
        self.index.serialize(path, relative_path=True)

    def restore(self, path, dim, metric, **params):
        self.index = self.library.scann_ops_pybind.load_searcher(path)

    def prepare(self, k, threads, leaves_searched, reorder):
        self.options = {"leaves_to_search": leaves_searched, "pre_reorder_num_neighbors": max(reorder, k)}
        if threads > 1:
            self.index.set_num_threads(threads)

    def search(self, queries, k, threads):
        call = self.index.search_batched if threads == 1 else self.index.search_batched_parallel
        return call(queries, final_num_neighbors=k, **self.options)[0]


class Ngt(Engine):
    """NGT's ONNG: a neighbourhood graph whose degrees are then optimised. Its quantised graph needs a tool the wheel lacks."""

    package = "ngt"
    module = "ngtpy"

    def build(self, train, metric, threads, edges, outgoing, incoming):
        self.folder = tempfile.TemporaryDirectory(prefix="bench-ann-ngt-")
        first = os.path.join(self.folder.name, "anng")
        self.path = os.path.join(self.folder.name, "onng")
        kind = {"l2": "L2", "cosine": "Normalized Cosine", "dot": "Inner product"}[metric]
        self.library.create(first, train.shape[1], edge_size_for_creation=edges, distance_type=kind)
        index = self.library.Index(first)
        index.batch_insert(train, num_threads=threads)
        index.save()
        index.close()
        optimizer = self.library.Optimizer(num_of_outgoings=outgoing, num_of_incomings=incoming, log_disabled=True)
        # The accuracy table serves only searches that name an accuracy instead of an epsilon.
        optimizer.set_processing_modes(accuracy_table_generation=False)
        optimizer.execute(first, self.path)
        shutil.rmtree(first)
        self.index = self.library.Index(self.path, read_only=True)

    def save(self, path):
        shutil.copytree(self.path, path)

    def restore(self, path, dim, metric, **params):
        self.index = self.library.Index(path, read_only=True)

    def prepare(self, k, threads, epsilon):
        if threads > 1:
            raise ValueError("ngt is measured with one search thread")
        self.index.set(epsilon=epsilon)

    def search(self, queries, k, threads):
        return [self.index.search(query, k, with_distance=False) for query in queries]


class Vsag(Engine):
    """VSAG's HGraph: a graph walked on small codes, reordered on the full vectors.

    Not in the sweeps: `sq4_uniform` codes, which find next to nothing (recall@10 .01 on MiniLM) in pyvsag 0.18.5 on a Xeon with AVX-512.
    """

    package = "pyvsag"
    module = "pyvsag"

    def make(self, dim, metric, degree, ef_construction, codes, threads=1):
        parameters = {
            "dtype": "float32",
            "metric_type": "l2" if metric == "l2" else "ip",
            "dim": dim,
            "index_param": {
                "base_quantization_type": codes,
                "max_degree": degree,
                "ef_construction": ef_construction,
                "build_thread_count": threads,
                "use_reorder": codes != "fp32",
                "precise_quantization_type": "fp32",
            },
        }
        return self.library.Index("hgraph", json.dumps(parameters))

    def build(self, train, metric, threads, **params):
        self.index = self.make(train.shape[1], metric, **params, threads=threads)
        self.index.build(train.ravel(), np.arange(len(train), dtype=np.int64), len(train), train.shape[1])

    def save(self, path):
        self.index.save(path)

    def restore(self, path, dim, metric, **params):
        self.index = self.make(dim, metric, **params)
        self.index.load(path)

    def prepare(self, k, threads, ef):
        if threads > 1:
            raise ValueError("pyvsag is measured with one search thread")
        self.parameters = json.dumps({"hgraph": {"ef_search": ef}})

    def search(self, queries, k, threads):
        return [self.index.knn_search(query, k, self.parameters)[0] for query in queries]


class RaBitQ(Engine):
    package = "rabitqlib"
    module = "rabitqlib"

    LEAST_DIM = 64  # its rotation takes no fewer

    def fit(self, rows):
        # Zeros change no distance, and neither measure used.
        missing = max(self.LEAST_DIM - rows.shape[1], 0)
        return np.pad(rows, ((0, 0), (0, missing))) if missing else rows

    @staticmethod
    def metric(metric):
        return "l2" if metric == "l2" else "ip"

    def save(self, path):
        self.index.save(path)

    def prepare(self, k, threads, ef):
        self.ef = max(ef, k)


class SymphonyQg(RaBitQ):
    """SymphonyQG: every node's neighbours lie beside it as 1-bit codes, scored 32 at a time.

    `bits` is how the node's own vector is kept: 0 as f32, else as a code of 4 or 8 bits, from which the answers come too.
    """

    def build(self, train, metric, threads, degree, ef_construction, bits):
        self.index = self.library.SymqgIndex(train.shape[1], degree, metric=self.metric(metric), quantization_bits=bits)
        self.index.build(train, ef_construction, num_threads=threads)

    def restore(self, path, dim, metric, **params):
        self.index = self.library.SymqgIndex.load(path)

    def search(self, queries, k, threads):
        return self.index.search_batch(queries, k, self.ef, num_threads=threads)[0]


class RaBitQHnsw(RaBitQ):
    """HNSW walked on RaBitQ codes; `clusters` centroids are found as part of the build."""

    def build(self, train, metric, threads, m, ef_construction, bits, clusters):
        kmeans = self.library.RaBitQKMeans(train.shape[1], clusters, num_threads=threads)
        kmeans.train(train)
        self.index = self.library.HnswIndex(
            train.shape[1], len(train), M=m, ef_construction=ef_construction, nbits=bits, metric=self.metric(metric)
        )
        self.index.build(train, kmeans.centroids, kmeans.assignments, num_threads=threads)

    def restore(self, path, dim, metric, **params):
        self.index = self.library.HnswIndex.load(path)

    def search(self, queries, k, threads):
        return self.index.search(queries, k, self.ef, num_threads=threads)[0]


class Svs(Engine):
    """Intel's Scalable Vector Search: a Vamana graph over full vectors, or over LVQ or LeanVec codes, which run on Intel's processors only."""

    package = "scalable-vs"
    module = "svs"

    LVQ = {"lvq8": (8, 0), "lvq4x4": (4, 4), "lvq4x8": (4, 8)}  # bits walked on, bits added at the end
    LEANVEC = "leanvec4x8"  # half the dimensions in 4 bits are walked on, all of them in 8 bits come at the end

    def stage(self, train, codes, **params):
        self.rows = train
        if codes == "f32":
            return
        if codes not in (*self.LVQ, self.LEANVEC):
            raise ValueError(f"codes={codes}: expected f32, {', '.join(self.LVQ)}, {self.LEANVEC}")
        # Codes are made by a loader, which reads SVS's own file format only.
        self.folder = tempfile.TemporaryDirectory(prefix="bench-ann-svs-")
        vectors, rows = (os.path.join(self.folder.name, name) for name in ("rows.fvecs", "rows.svs"))
        self.library.write_vecs(train, vectors)
        self.library.convert_vecs_to_svs(vectors, rows, dtype=self.library.float32)
        os.remove(vectors)
        file = self.library.VectorDataLoader(rows, self.library.DataType.float32, dims=train.shape[1])
        if codes == self.LEANVEC:
            kind = self.library.LeanVecKind
            self.rows = self.library.LeanVecLoader(
                file, leanvec_dims=train.shape[1] // 2, primary_kind=kind.lvq4, secondary_kind=kind.lvq8
            )
        else:
            primary, residual = self.LVQ[codes]
            self.rows = self.library.LVQLoader(file, primary=primary, residual=residual)

    def distance(self, metric):
        return self.library.DistanceType.L2 if metric == "l2" else self.library.DistanceType.MIP

    def build(self, train, metric, threads, degree, window, codes):
        parameters = self.library.VamanaBuildParameters(
            graph_max_degree=degree, window_size=window, alpha=1.2 if metric == "l2" else 0.95
        )
        self.index = self.library.Vamana.build(parameters, self.rows, self.distance(metric), num_threads=threads)
        self.rows = None
        if codes != "f32":
            self.folder.cleanup()

    def save(self, path):
        os.makedirs(path)
        self.index.save(*(os.path.join(path, part) for part in ("config", "graph", "data")))

    def restore(self, path, dim, metric, codes, **params):
        config, graph, data = (os.path.join(path, part) for part in ("config", "graph", "data"))
        if codes == "f32":
            rows = self.library.VectorDataLoader(data, self.library.DataType.float32)
        elif codes == self.LEANVEC:
            rows = self.library.LeanVecLoader(data)
        else:
            rows = self.library.LVQLoader(data)
        self.index = self.library.Vamana(config, self.library.GraphLoader(graph), rows, self.distance(metric))

    def prepare(self, k, threads, ef):
        self.index.num_threads = threads
        self.index.search_window_size = max(ef, k)

    def search(self, queries, k, threads):
        return self.index.search(queries, k)[0]


class QdrantEdge(Engine):
    """Qdrant's engine in process: one optimised shard, payload indexes made before the graph, as its documentation asks for.

    `payload` and `filters` are files: whole numbers of all rows by key; each query's conditions. Requests are made outside the clock.
    """

    package = "qdrant-edge-py"
    module = "qdrant_edge"

    BATCH = 1000  # points in one update

    def fit(self, rows):
        # The queries come first.
        self.queries = getattr(self, "queries", rows)
        return rows

    def build(self, train, metric, threads, m, ef_construction, datatype="float32", payload=None):
        edge = self.library
        self.folder = tempfile.TemporaryDirectory(prefix="bench-ann-qdrant-")
        distance = {"l2": edge.Distance.Euclid, "cosine": edge.Distance.Cosine, "dot": edge.Distance.Dot}[metric]
        kinds = {"float32": edge.VectorStorageDatatype.Float32, "uint8": edge.VectorStorageDatatype.Uint8}
        graph = edge.HnswIndexConfig(m=m, ef_construct=ef_construction, full_scan_threshold=10_000, max_indexing_threads=threads)
        # One segment of all rows, as ours is one index.
        optimizers = edge.EdgeOptimizersConfig(default_segment_number=1, max_segment_size=100_000_000, indexing_threshold=1_000)
        config = edge.EdgeConfig(
            vectors=edge.EdgeVectorParams(size=train.shape[1], distance=distance, datatype=kinds[datatype]),
            hnsw_config=graph,
            optimizers=optimizers,
            max_search_threads=1,
        )
        self.index = edge.EdgeShard.create(os.path.join(self.folder.name, "shard"), config)
        columns = {}
        if payload is not None:
            with open(payload) as file:
                columns = json.load(file)
        for key in columns:
            self.index.update(edge.UpdateOperation.create_field_index(key, edge.PayloadSchemaType.Integer))
        for first in range(0, len(train), self.BATCH):
            rows = range(first, min(first + self.BATCH, len(train)))
            points = [edge.Point(row, train[row].tolist(), {key: column[row] for key, column in columns.items()}) for row in rows]
            self.index.update(edge.UpdateOperation.upsert_points(points))
        self.index.optimize()
        self.index.flush()

    def save(self, path):
        shutil.copytree(self.folder.name, path)

    def restore(self, path, dim, metric, **params):
        self.folder = tempfile.TemporaryDirectory(prefix="bench-ann-qdrant-")
        shutil.copytree(path, self.folder.name, dirs_exist_ok=True)
        self.index = self.library.EdgeShard.load(os.path.join(self.folder.name, "shard"))

    def condition(self, condition):
        edge = self.library
        if "range" in condition:
            of = condition["range"]
            return edge.FieldCondition(of["key"], range=edge.RangeFloat(gte=of["gte"], lt=of["lt"]))
        of = condition["any"]
        return edge.FieldCondition(of["key"], match=edge.MatchAny(of["values"]))

    def prepare(self, k, threads, ef=None, acorn=False, exact=False, filters=None):
        if threads > 1:
            raise ValueError("qdrant-edge is measured with one search thread")
        edge = self.library
        asked = [None] * len(self.queries)
        if filters is not None:
            with open(filters) as file:
                asked = [edge.Filter(must=[self.condition(one) for one in conditions]) for conditions in json.load(file)]
        params = edge.SearchParams(
            hnsw_ef=ef and max(ef, k), exact=exact, acorn=edge.AcornSearchParams(enable=True, max_selectivity=1.0) if acorn else None
        )
        self.requests = [
            edge.SearchRequest(query=edge.Query.Nearest(query.tolist()), limit=k, filter=filter, params=params)
            for query, filter in zip(self.queries, asked)
        ]

    def search(self, queries, k, threads):
        # A single query of a latency pass is asked as the first.
        return [[point.id for point in self.index.search(request)] for request in self.requests[: len(queries)]]


ENGINES = {
    "hnswlib": Hnswlib,
    "faiss-hnsw": FaissHnsw,
    "faiss-ivfpq-fs": FaissIvfPqFastScan,
    "usearch": Usearch,
    "voyager": Voyager,
    "scann": Scann,
    "ngt": Ngt,
    "vsag": Vsag,
    "symqg": SymphonyQg,
    "rabitq-hnsw": RaBitQHnsw,
    "svs": Svs,
    "qdrant-edge": QdrantEdge,
}
