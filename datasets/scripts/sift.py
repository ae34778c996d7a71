#!/usr/bin/env python3
"""Makes `sift-photos-128-euclidean`: 1,000,000 SIFT descriptors of photographs as u8, and 10,000 of other photographs to ask with.

    python3 datasets/scripts/sift.py --out $VICINO_DATA/sift-photos-128-euclidean
    datasets truth sift-photos-128-euclidean

For where no mirror of TEXMEX's ANN_SIFT1M can be reached: the pictures come from two Debian packages, OpenCV from PyPI into an
environment of its own below `--work`. Some minutes on two cores, and 3 GB of memory.

How it is made, so that it can be made again:
- OpenCV's own detector and descriptor (Lowe 2004; https://doi.org/10.1023/B:VISI.0000029664.99615.94), grey pictures at full size, the
  contrast threshold at CONTRAST and else the defaults; of each picture at most PER_PICTURE keypoints, the strongest, so that none rules.
- Values are whole numbers from 0 to 255, as OpenCV rounds them: stored as u8 without loss.
- Queries are a random choice from the HELD_OUT pictures, of which no descriptor is a row, as strong as the weakest row at least.
- Of equal descriptors one is kept, and a query equal to a row is dropped. Near copies stay: a point with two orientations, or found on
  two scales, is what descriptors are like.
- Rows are the strongest ROWS of all, in random order, so that the first n rows are a sample of the whole.
Random choices are seeded. Another processor may round a few values the other way; the data's hash (`datasets info`) tells.
"""

import argparse
import hashlib
import json
import multiprocessing
import os
import subprocess
import sys
import venv

ROWS, QUERIES, DIM = 1_000_000, 10_000, 128
PER_PICTURE = 100_000
CONTRAST = 0.001
SEED = 1
REQUIREMENTS = ["opencv-python-headless==5.0.0.93", "numpy==2.4.6"]

# Debian 12's packages, with the SHA-256 of each archive.
PACKAGES = {
    "mate-backgrounds=1.26.0-1": "7bf4c2209f34b4f61ba6d24c8b58c28b361e82e4b943aae6d42c030169af9e04",
    "plasma-workspace-wallpapers=4:5.27.5-2": "32cd18b71c8c938a18b3b351f217c02ac590e323caa3cf322fbb875ce8892f8b",
}
MATE = "usr/share/backgrounds/mate/{}.jpg"
PLASMA = "usr/share/wallpapers/{}/contents/images/2560x1600.jpg"
# Every photograph of the packages with some detail, and two paintings; each picture once, in its largest size but for the first.
PICTURES = [MATE.format("abstract/Elephants_3840x2160")]
PICTURES += [MATE.format(f"nature/{name}") for name in "Aqua Dune Garden LadyBird RainDrops Storm TwoWings Wood YellowFlower".split()]
PICTURES += [
    PLASMA.format(name)
    for name in "Autumn BytheWater ColdRipple DarkestHour EveningGlow FallenLeaf Grey Kite OneStandsOut Path".split()
]
HELD_OUT = [MATE.format(f"nature/{name}") for name in "Blinds FreshFlower GreenMeadow".split()]
HELD_OUT += [PLASMA.format(name) for name in "ColorfulCups summer_1am".split()]


def fetch(work):
    """Downloads and unpacks the packages; the folder they lie in."""
    unpacked = os.path.join(work, "unpacked")
    for package, expected in PACKAGES.items():
        name = package.split("=")[0]
        folder = os.path.join(work, name)
        os.makedirs(folder, exist_ok=True)
        if not os.listdir(folder):
            subprocess.run(["apt-get", "download", package], cwd=folder, check=True)
        archive = os.path.join(folder, os.listdir(folder)[0])
        with open(archive, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != expected:
            sys.exit(f"{archive}: SHA-256: expected {expected}, found {found}")
        subprocess.run(["dpkg-deb", "--extract", archive, unpacked], check=True)
    return unpacked


def descriptors(path):
    """The descriptors of a picture as u8 [n x 128], with the strength of each, strongest first."""
    import cv2
    import numpy as np

    cv2.setNumThreads(1)  # The order of keypoints depends on it.
    picture = cv2.imread(path, cv2.IMREAD_GRAYSCALE)
    if picture is None:
        raise SystemExit(f"{path}: expected a picture, found none that OpenCV reads")
    keypoints, values = cv2.SIFT_create(nfeatures=PER_PICTURE, contrastThreshold=CONTRAST).detectAndCompute(picture, None)
    whole = values.astype(np.uint8)
    if not np.array_equal(whole, values):
        raise SystemExit(f"{path}: expected descriptors of whole numbers from 0 to 255")
    # Points of equal strength, as one with two orientations is, are put in order by what they are.
    strength = np.array([point.response for point in keypoints], dtype=np.float32)
    order = np.lexsort((*whole.T[::-1], -strength))[:PER_PICTURE]
    print(f"{len(order):7} of {path}", file=sys.stderr, flush=True)
    return whole[order], strength[order]


def distinct(rows):
    """Where each different row first occurs, in order."""
    import numpy as np

    keys = np.ascontiguousarray(rows).view(f"V{DIM}").ravel()
    return np.sort(np.unique(keys, return_index=True)[1])


def make(out, work, processes):
    import numpy as np

    root = fetch(work)
    paths = [os.path.join(root, name) for name in PICTURES + HELD_OUT]
    with multiprocessing.Pool(processes) as pool:
        parts = list(pool.imap(descriptors, paths, chunksize=1))
    rows, strength = (np.concatenate([part[i] for part in parts[: len(PICTURES)]]) for i in (0, 1))
    strongest = np.argsort(-strength, kind="stable")
    rows, strength = rows[strongest], strength[strongest]
    first = distinct(rows)
    rows, strength = rows[first], strength[first]
    if len(rows) < ROWS:
        sys.exit(f"descriptors: expected at least {ROWS} different ones, found {len(rows)}")
    random = np.random.Generator(np.random.PCG64(SEED))
    train = rows[:ROWS][random.permutation(ROWS)]

    weakest = strength[ROWS - 1]
    asked = np.concatenate([values[strengths >= weakest] for values, strengths in parts[len(PICTURES) :]])
    asked = asked[distinct(asked)]
    known = {row.tobytes() for row in train}
    asked = asked[[row.tobytes() not in known for row in asked]]
    if len(asked) < QUERIES:
        sys.exit(f"queries: expected at least {QUERIES}, found {len(asked)}")
    test = asked[random.permutation(len(asked))[:QUERIES]]

    os.makedirs(out, exist_ok=True)
    np.save(os.path.join(out, "train.npy"), train)
    np.save(os.path.join(out, "test.npy"), test)
    meta = {
        "name": os.path.basename(os.path.abspath(out)),
        "metric": "l2",
        "source": f"datasets/scripts/sift.py: {', '.join(PACKAGES)}; {', '.join(REQUIREMENTS)}",
        "licence": "those of the pictures in the two Debian packages",
    }
    with open(os.path.join(out, "meta.json"), "w") as file:
        json.dump(meta, file, indent=2)
    print(f"strengths from {weakest:.5f}; {len(rows)} rows and {len(asked)} queries to choose from", file=sys.stderr)
    print(out)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", required=True, help="the folder to write")
    parser.add_argument("--work", help="downloads and Python packages (default: OUT.work)")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    args = parser.parse_args()
    work = os.path.abspath(args.work or args.out.rstrip("/") + ".work")
    environment = os.path.join(work, "venv")
    if os.path.realpath(sys.prefix) != os.path.realpath(environment):
        # Not in the environment yet: make it, and go on inside.
        if not os.path.exists(environment):
            venv.create(environment, with_pip=True)
        python = os.path.join(environment, "bin", "python")
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *REQUIREMENTS], check=True)
        os.execv(python, [python, *sys.argv])
    make(args.out, work, args.processes)


if __name__ == "__main__":
    main()
