"""Writes the files here, with NumPy and h5py, so that the readers are held to what others write and not to their own writers.

    pip install numpy h5py && python make.py
"""

import h5py
import numpy as np

ROWS, QUERIES, DIM, K = 12, 3, 4, 5

train = (np.arange(ROWS * DIM).reshape(ROWS, DIM) * 0.5).astype(np.float32)
test = train[[2, 7, 11]] + np.float32(0.125)
squared = ((test[:, None] - train[None]) ** 2).sum(-1)
neighbors = np.argsort(squared, axis=1, kind="stable")[:, :K].astype(np.int32)
distances = np.sqrt(np.take_along_axis(squared, neighbors, 1)).astype(np.float32)


def ann_benchmarks(name, distance, parts, **how):
    with h5py.File(name, "w") as file:
        file.attrs["distance"] = distance
        for part, numbers in parts.items():
            file.create_dataset(part, data=numbers, **how)


plain = dict(train=train, test=test, neighbors=neighbors, distances=distances)
wide = dict(plain, train=train.astype(np.float64), neighbors=neighbors.astype(np.int64))
bits = dict(train=np.arange(ROWS * 10).reshape(ROWS, 10) % 3 == 0, test=np.ones((QUERIES, 10), bool))
ann_benchmarks("contiguous.hdf5", "euclidean", plain)
ann_benchmarks("deflated.hdf5", "euclidean", wide, chunks=(2, 2), compression="gzip", shuffle=True)
ann_benchmarks("bits.hdf5", "hamming", bits)

np.save("fortran.npy", np.asfortranarray(train))
np.save("half.npy", train.astype(np.float16))
np.save("flat.npy", np.arange(5, dtype=np.int64))
