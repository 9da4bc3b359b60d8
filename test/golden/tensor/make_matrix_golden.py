#!/usr/bin/env python3
"""Writes matrix.json: singular value decompositions by numpy (LAPACK, float64) and Muon steps and Newton-Schulz
iterations by PyTorch in float64, of float32 inputs. Run from anywhere: python make_matrix_golden.py.
"""
import json
import platform
from pathlib import Path

import numpy as np
import torch

rng = np.random.default_rng(20261)


def random(*shape):
    return rng.uniform(-2, 2, shape).astype(np.float32)


def listed(x):
    x = np.asarray(x)
    return {"shape": list(x.shape), "data": [float(f"{v:.9g}") for v in x.flatten().tolist()]}


def signed(u, vt):
    """The largest component of every column of u positive."""
    signs = np.sign(u[np.abs(u).argmax(0), np.arange(u.shape[1])])
    return u * signs, vt * signs[:, None]


svds = []
for rows, columns in ((4, 4), (9, 5), (5, 9), (33, 17), (1, 6)):
    x = random(rows, columns)
    u, s, vt = np.linalg.svd(x.astype(np.float64), full_matrices=False)
    u, vt = signed(u, vt)
    svds.append({"x": listed(x), "u": listed(u), "s": listed(s), "vT": listed(vt)})


def newton_schulz(x, steps):
    a, b, c = 3.4445, -4.7750, 2.0315
    x = x / (x.norm() + 1e-7)
    turned = x.shape[0] > x.shape[1]
    x = x.mT if turned else x
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if turned else x


schulz = []
for rows, columns, steps in ((6, 6, 5), (11, 4, 5), (4, 11, 5), (7, 5, 2)):
    x = random(rows, columns)
    schulz.append({"x": listed(x), "steps": steps, "y": listed(newton_schulz(torch.tensor(x, dtype=torch.float64), steps).numpy())})

muons = []
for rows, columns in ((8, 3), (3, 8)):
    p = torch.tensor(random(rows, columns), dtype=torch.float64)
    initial, m, steps = listed(p.numpy()), torch.zeros_like(p), []
    for step in range(4):
        g = torch.tensor(random(rows, columns), dtype=torch.float64)
        m.lerp_(g, 1 - 0.95)
        update = newton_schulz(g.lerp(m, 0.95), 5) * max(1, rows / columns) ** 0.5
        p = p * (1 - 0.02 * 0.01) - 0.02 * update
        steps.append({"gradient": listed(g.numpy()), "param": listed(p.numpy())})
    muons.append({"initial": initial, "steps": steps})

versions = {"python": platform.python_version(), "numpy": np.__version__, "torch": torch.__version__}
(Path(__file__).parent / "matrix.json").write_text(
    json.dumps({"versions": versions, "svd": svds, "newtonSchulz": schulz, "muon": muons}, separators=(",", ":")) + "\n")
