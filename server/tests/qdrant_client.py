"""The published Python client against a running server, compared with the client's own in-memory mode.

    python3 -P qdrant_client.py http://127.0.0.1:6333 [seed]

Every call is made twice, over HTTP and in memory, and both answers must be the same. Collections named `py-*` are made and removed.
"""

import hashlib
import random
import sys
import urllib.request
import uuid
import warnings

from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse

DIM = 6
PAYLOADS = [None, {}, {"n": 1}, {"a": {"b": [1, 2.5, None]}, "text": "über"}, {"n": 2, "big": 2**63, "pi": 3.141592653589793}]


def point_id(number):
    """Every third is a UUID."""
    return str(uuid.UUID(int=number << 96 | number)) if number % 3 == 2 else number


def near(a, b, tolerance=1e-4):
    return abs(a - b) <= tolerance * (1 + abs(a))


def same_points(ours, theirs, what, scored=False):
    """Equal points in equal order; if `scored`, equal scores alone."""
    assert len(ours) == len(theirs), f"{what}: {len(ours)} points, not {len(theirs)}"
    if scored:
        assert all(near(a.score, b.score) for a, b in zip(ours, theirs)), f"{what}: {ours} is not {theirs}"
        return
    for a, b in zip(ours, theirs):
        assert a.id == b.id, f"{what}: {a} is not {b}"
        assert (a.payload or {}) == (b.payload or {}), f"{what}: {a} is not {b}"
        same_vectors(a.vector, b.vector, f"{what}: {a} is not {b}")


def same_vectors(ours, theirs, what):
    """None, a vector, or vectors by name."""
    if isinstance(theirs, dict):
        assert isinstance(ours, dict) and ours.keys() == theirs.keys(), what
        assert all(len(ours[name]) == len(theirs[name]) for name in ours), what
        assert all(near(x, y, 1e-3) for name in ours for x, y in zip(ours[name], theirs[name])), what
        return
    assert (ours is None) == (theirs is None) and len(ours or []) == len(theirs or []), what
    assert all(near(x, y, 1e-3) for x, y in zip(ours or [], theirs or [])), what


def clear_places(points):
    """Places in an answer where no neighbour in the order, which may lie beyond either end, is as near."""
    scores = [point.score for point in points]
    return [i for i in range(1, len(scores) - 1) if min(abs(scores[i] - scores[j]) for j in (i - 1, i + 1)) > 1e-3]


def run(server, distance, chance):
    name = f"py-{distance.value}"
    memory = QdrantClient(":memory:")
    both = (server, memory)
    params = models.VectorParams(size=DIM, distance=distance)
    server.delete_collection(name)
    for client in both:
        assert not client.collection_exists(name)
        assert client.create_collection(name, vectors_config=params)
        assert client.collection_exists(name)
        assert name in [collection.name for collection in client.get_collections().collections]
    info = server.get_collection(name)
    assert info.config.params.vectors == params, info
    assert info.points_count == 0 and info.status == models.CollectionStatus.GREEN, info

    def vector():
        return [chance.uniform(-1, 1) for _ in range(DIM)]

    for _ in range(12):
        points = [
            models.PointStruct(id=point_id(chance.randrange(300)), vector=vector(), payload=chance.choice(PAYLOADS)) for _ in range(40)
        ]
        gone = [point_id(chance.randrange(300)) for _ in range(10)]
        batch_ids = [point_id(number) for number in chance.sample(range(300), 5)]
        batch = models.Batch(ids=batch_ids, vectors=[vector() for _ in batch_ids], payloads=[{"from": "batch"} for _ in batch_ids])
        for client in both:
            assert client.upsert(name, points).status == models.UpdateStatus.COMPLETED
            assert client.delete(name, points_selector=gone).status == models.UpdateStatus.COMPLETED
            assert client.upsert(name, batch).status == models.UpdateStatus.COMPLETED
        ours, theirs = (client.count(name).count for client in both)
        assert ours == theirs, f"count: {ours} is not {theirs}"

        ids = [point_id(chance.randrange(300)) for _ in range(20)]
        unique = list(dict.fromkeys(ids))
        same_points(*(client.retrieve(name, unique, with_vectors=True) for client in both), "retrieve")

        offset = None
        while True:
            pages = [client.scroll(name, limit=37, offset=offset, with_vectors=True) for client in both]
            same_points(pages[0][0], pages[1][0], "scroll")
            assert pages[0][1] == pages[1][1], pages
            offset = pages[0][1]
            if offset is None:
                break

        stored = pages[0][0][0].id
        for query in (vector(), models.NearestQuery(nearest=vector()), stored):
            for settings in (
                {},
                {"limit": 1000},
                {"limit": 7, "offset": 5},
                {"with_payload": False, "search_params": models.SearchParams(exact=True)},
                {"with_payload": ["n"], "search_params": models.SearchParams(hnsw_ef=32)},
                {"with_payload": models.PayloadSelectorExclude(exclude=["n", "a.b"]), "with_vectors": True},
                {"score_threshold": 0.3},
            ):
                answers = [client.query_points(name, query, **settings).points for client in both]
                what = f"{distance} query {query} {settings}"
                same_points(*answers, what, scored=True)
                clear = clear_places(answers[1])
                same_points(*([answer[i] for i in clear] for answer in answers), what)
        requests = [models.QueryRequest(query=vector(), limit=3, with_payload=True) for _ in range(3)]
        for ours, theirs in zip(*(client.query_batch_points(name, requests) for client in both)):
            same_points(ours.points, theirs.points, "batch", scored=True)
    same_points(server.query_points(name, limit=5).points, memory.query_points(name, limit=5).points, "no query")
    assert server.get_collection(name).points_count == memory.count(name).count


def snapshots(server, url):
    """Snapshots by the client's own calls, an upload as its documentation has it, and all points back as they were."""
    name, copy = "py-snapshots", "py-snapshots-copy"
    params = models.VectorParams(size=DIM, distance=models.Distance.EUCLID)
    for collection in (name, copy):
        server.delete_collection(collection)
    assert server.create_collection(name, vectors_config=params)
    points = [models.PointStruct(id=point_id(n), vector=[n + 0.5] * DIM, payload=PAYLOADS[n % len(PAYLOADS)]) for n in range(200)]
    assert server.upsert(name, points).status == models.UpdateStatus.COMPLETED

    def all_points(collection):
        return server.scroll(collection, limit=1000, with_vectors=True)[0]

    before = all_points(name)
    assert server.list_snapshots(name) == []
    made = server.create_snapshot(name)
    assert made.size > 0 and len(made.checksum) == 64 and len(made.creation_time) == 19, made
    assert server.list_snapshots(name) == [made]
    archive = urllib.request.urlopen(f"{url}/collections/{name}/snapshots/{made.name}").read()
    assert hashlib.sha256(archive).hexdigest() == made.checksum and len(archive) == made.size
    for location in (f"{name}/{made.name}", f"file:///{name}/{made.name}"):
        server.delete(name, points_selector=[0, 1])
        if location.startswith("file:"):
            try:
                server.recover_snapshot(name, location)
            except UnexpectedResponse as error:
                assert error.status_code == 400, error
            else:
                raise AssertionError("recovered from outside the folder of snapshots")
            location = f"{name}/{made.name}"
        assert server.recover_snapshot(name, location, priority=models.SnapshotPriority.SNAPSHOT, checksum=made.checksum)
        same_points(all_points(name), before, "recovered")
    answer = server.http.snapshots_api.recover_from_uploaded_snapshot(copy, snapshot=archive)
    assert answer.result is True, answer
    same_points(all_points(copy), before, "uploaded")
    assert server.delete_snapshot(name, made.name)
    assert server.list_snapshots(name) == []
    for collection in (name, copy):
        assert server.delete_collection(collection)


def run_named(server, chance):
    """Vectors by name: any of them stored, updated, deleted, searched; names that come and go."""
    name = "py-named"
    memory = QdrantClient(":memory:")
    both = (server, memory)
    sizes = {"text": 6, "image": 3, "tag": 4}
    distances = {"text": models.Distance.COSINE, "image": models.Distance.EUCLID, "tag": models.Distance.DOT}
    config = {key: models.VectorParams(size=sizes[key], distance=distances[key]) for key in ("text", "image")}
    server.delete_collection(name)
    for client in both:
        assert client.create_collection(name, vectors_config=config)
    assert server.get_collection(name).config.params.vectors == config
    names = ["text", "image"]

    def vector(key):
        return [chance.uniform(-1, 1) for _ in range(sizes[key])]

    def some_vectors():
        return {key: vector(key) for key in names if chance.random() < 0.6}

    def some_ids(most):
        """Those of some ids that are there."""
        ids = [point_id(chance.randrange(200)) for _ in range(most)]
        return list(dict.fromkeys(point.id for point in memory.retrieve(name, ids)))

    for turn in range(24):
        points = [
            models.PointStruct(id=point_id(chance.randrange(200)), vector=some_vectors(), payload=chance.choice(PAYLOADS)) for _ in range(15)
        ]
        for client in both:
            client.upsert(name, points)
        updates = [models.PointVectors(id=id, vector=some_vectors()) for id in some_ids(8)]
        bare, key = some_ids(6), chance.choice(names)
        of_two = models.Filter(must=[models.FieldCondition(key="n", match=models.MatchValue(value=2))])
        for client in both:
            if updates:
                client.update_vectors(name, updates)
            if bare:
                client.delete_vectors(name, vectors=[key], points=bare)
            client.delete_vectors(name, vectors=names, points=models.FilterSelector(filter=of_two))
        if turn % 6 == 5:
            # One that comes, and goes, and comes back empty.
            for client in both:
                if "tag" in names:
                    client.delete_vector_name(name, "tag")
                else:
                    dense = models.DenseVectorConfig(size=sizes["tag"], distance=distances["tag"])
                    client.create_vector_name(name, "tag", models.DenseVectorNameConfig(dense=dense))
            names = [key for key in names if key != "tag"] if "tag" in names else [*names, "tag"]
            assert list(server.get_collection(name).config.params.vectors) == sorted(names)
        for wanted in (True, ["text"], ["image", "text"]):
            pages = [client.scroll(name, limit=1000, with_vectors=wanted)[0] for client in both]
            same_points(*pages, f"scroll {wanted}")
        ids = some_ids(20)
        if ids:
            same_points(*(client.retrieve(name, ids, with_vectors=True) for client in both), "retrieve")
        for using in names:
            having = models.Filter(must=[models.HasVectorCondition(has_vector=using)])
            counts = [client.count(name, having).count for client in both]
            assert counts[0] == counts[1], (using, counts)
            other = models.Filter(must_not=[models.HasVectorCondition(has_vector=chance.choice(names))])
            for query_filter in (None, other, models.Filter(should=[having, of_two])):
                settings = {"limit": chance.choice([3, 1000]), "with_vectors": True, "query_filter": query_filter}
                asked = vector(using)
                answers = [client.query_points(name, asked, using=using, **settings).points for client in both]
                what = f"query {using} {settings}"
                same_points(*answers, what, scored=True)
                clear = clear_places(answers[1])
                same_points(*([answer[i] for i in clear] for answer in answers), what)
            stored = memory.scroll(name, limit=1, scroll_filter=having)[0]
            if stored:
                answers = [client.query_points(name, stored[0].id, using=using, limit=5).points for client in both]
                same_points(*answers, f"query by id, {using}", scored=True)
    assert server.count(name).count == memory.count(name).count
    for call in (
        lambda: server.query_points(name, [0.0] * 6, using="nowhere"),
        lambda: server.update_vectors(name, [models.PointVectors(id=stored[0].id, vector={"text": [1.0]})]),
        lambda: server.delete_vectors(name, vectors=["nowhere"], points=[stored[0].id]),
    ):
        try:
            call()
        except UnexpectedResponse as error:
            assert error.status_code == 400, error
        else:
            raise AssertionError("expected status 400")
    assert server.delete_collection(name)


def refusals(server):
    name = "py-refusals"
    server.delete_collection(name)
    params = models.VectorParams(size=DIM, distance=models.Distance.DOT)
    assert server.create_collection(name, vectors_config=params)
    point = models.PointStruct(id=1, vector=[1.0])
    for status, call in [
        (409, lambda: server.create_collection(name, vectors_config=params)),
        (400, lambda: server.upsert(name, [point])),
        (404, lambda: server.query_points("py-nowhere", [1.0] * DIM)),
        (422, lambda: server.query_points(name, [1.0] * DIM, limit=0)),
        (400, lambda: server.count(name, models.Filter(must=[models.FieldCondition(key="a[", match=models.MatchValue(value=1))]))),
    ]:
        try:
            call()
        except UnexpectedResponse as error:
            assert error.status_code == status, error
        else:
            raise AssertionError(f"expected status {status}")
    assert server.count(name).count == 0
    assert server.delete_collection(name)


def main():
    url, seed = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1
    print(f"seed {seed}")
    # The memory mode says that it is exact whatever is asked for; that is why it is the oracle.
    warnings.filterwarnings("ignore", message="Local mode performs exact")
    server = QdrantClient(url)
    assert server.info().version.startswith("1.19.")
    for distance in models.Distance:
        run(server, distance, random.Random(seed))
        assert server.delete_collection(f"py-{distance.value}")
    snapshots(server, url)
    run_named(server, random.Random(seed))
    refusals(server)
    print("same answers")


main()
