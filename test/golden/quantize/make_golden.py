#!/usr/bin/env python3
"""Writes golden.json: quantised tensors made by gguf-py, PyTorch and numpy.

Run from anywhere: python make_golden.py. Needs gguf, torch and numpy; the file records their versions.
Arrays are base64 of little-endian bytes, so that nothing is lost on the way.
"""
import base64
import importlib.metadata
import json
import platform
from pathlib import Path

import gguf
import numpy as np
import torch

HERE = Path(__file__).parent
rng = np.random.default_rng(20260)


def b64(array):
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def block_cases():
    """Random rows, ternary rows, zeros, ties of rounding, and halves of every kind, through gguf-py."""
    rows = [
        rng.standard_normal((4, 256)),
        rng.choice([-0.25, 0.0, 0.25], (1, 256)),
        np.zeros((1, 256)),
        rng.integers(-254, 255, (1, 256)) / 254.0,  # many halves of a code
        rng.standard_normal((1, 256)) * 10.0 ** rng.uniform(-9, 4, (1, 256)),  # subnormal to large halves
        rng.standard_normal((1, 256)) * 1e-7,
    ]
    x = np.concatenate(rows).astype(np.float32)
    encoded = {}
    for name in ("F16", "Q8_0", "TQ1_0", "TQ2_0"):
        kind = gguf.GGMLQuantizationType[name]
        data = gguf.quants.quantize(x, kind)
        encoded[name] = {
            "bytes": b64(data),
            "decoded": b64(gguf.quants.dequantize(data, kind).astype(np.float32)),
        }
    return {"shape": list(x.shape), "x": b64(x), "formats": encoded}


def bitnet_cases():
    """The two quantisers as the BitNet b1.58 training tips print them, in f32."""
    w = torch.from_numpy(rng.standard_normal((24, 96)).astype(np.float32)) * 0.02
    x = torch.from_numpy(rng.standard_normal((12, 96)).astype(np.float32))
    x[3] = 0
    scale = 1.0 / w.abs().mean().clamp_(min=1e-5)
    weights = (w * scale).round().clamp_(-1, 1) / scale
    inverse = 127.0 / x.abs().max(dim=-1, keepdim=True).values.clamp_(min=1e-5)
    rounded = (x * inverse).round().clamp_(-128, 127)
    activations = rounded / inverse
    product = activations.double() @ weights.double().T
    return {
        "w": b64(w.numpy()), "w_shape": list(w.shape), "w_quantized": b64(weights.numpy()),
        "x": b64(x.numpy()), "x_shape": list(x.shape), "x_codes": b64(rounded.numpy().astype(np.int8)),
        "x_quantized": b64(activations.numpy()), "product": b64(product.numpy().astype(np.float32)),
    }


TAPS = {4: (0, 1), 8: (0, 2, 3, 4), 10: (0, 3), 12: (0, 1, 2, 8), 16: (0, 1, 3, 12)}


def states(bits, seed, count):
    out = []
    for _ in range(count):
        fed = 0
        for tap in TAPS[bits]:
            fed ^= (seed >> tap) & 1
        seed = (seed >> 1) | (fed << (bits - 1))
        out.append(seed)
    return out


def seedlm_cases():
    """Exhaustive search in f64: pinv of every U, 4-bit coefficients with one exponent, the least squared error."""
    cases = []
    for bits, block, rank, blocks in ((16, 8, 3, 12), (16, 12, 4, 8), (12, 8, 2, 12), (8, 4, 1, 12)):
        half = 2 ** (bits - 1)
        seeds = np.arange(1, 2**bits)
        # The register runs through all states: one long run, read from where each seed stands.
        run = states(bits, 1, 2**bits - 1)
        position = {state: i for i, state in enumerate(run)}
        run = np.array(run + run[: block * rank])
        start = np.array([position[s] + 1 for s in seeds])
        u = (run[start[:, None] + np.arange(block * rank)] - half) / (half - 1)
        u = u.reshape(-1, block, rank)
        inverse = np.linalg.pinv(u)
        w = rng.standard_normal((blocks, block)).astype(np.float32)
        if bits == 16 and block == 8:
            w[0] = [0.5, -0.25, 0.125, 1, -1, 0.75, -0.5, 0.25]
        results = []
        for row in w.astype(np.float64):
            t = inverse @ row
            exponent = np.clip(np.floor(np.log2(np.abs(t).max(axis=1))) - 2, -8, 7)
            q = np.clip(np.round(t / 2.0 ** exponent[:, None]), -8, 7)
            missed = row - np.einsum("scp,sp->sc", u, q) * 2.0 ** exponent[:, None]
            error = (missed**2).sum(axis=1)
            best = int(error.argmin())
            results.append({
                "seed": int(seeds[best]), "exponent": int(exponent[best]), "q": q[best].astype(int).tolist(),
                "error": float(error[best]), "next": float(np.partition(error, 1)[1]),
            })
        cases.append({"bits": bits, "block": block, "rank": rank, "w": b64(w), "results": results})
    return cases


def nearest_case():
    x = rng.standard_normal((300, 5)).astype(np.float32)
    centroids = rng.standard_normal((37, 5)).astype(np.float32)
    squared = ((x[:, None].astype(np.float64) - centroids[None]) ** 2).sum(-1)
    return {
        "x": b64(x), "centroids": b64(centroids), "width": 5,
        "index": squared.argmin(1).tolist(), "distance": [float(f"{d:.9g}") for d in squared.min(1)],
    }


golden = {
    "made_by": {name: importlib.metadata.version(name) for name in ("gguf", "torch", "numpy")}
    | {"python": platform.python_version()},
    "blocks": block_cases(),
    "bitnet": bitnet_cases(),
    "seedlm": seedlm_cases(),
    "nearest": nearest_case(),
}
(HERE / "golden.json").write_text(json.dumps(golden, indent=1) + "\n")
