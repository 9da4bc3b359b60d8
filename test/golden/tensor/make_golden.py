#!/usr/bin/env python3
"""Writes ops.json and adamw.json: values and gradients of every op, computed by PyTorch in float64.

Run from anywhere: python make_golden.py. Needs torch; the files record its version. Inputs are rounded to
float32 before use, so that the float32 ops under test see exactly the same numbers.
"""
import json
import math
import platform
from pathlib import Path

import torch
import torch.nn.functional as F

HERE = Path(__file__).parent
torch.manual_seed(20260)
torch.set_default_dtype(torch.float64)


def random(*shape, low=-2.0, high=2.0):
    return (torch.rand(*shape) * (high - low) + low).float().double()


def listed(t):
    if t.dtype in (torch.int64, torch.int32):
        return {"dtype": "i32", "shape": list(t.shape) or [1], "data": t.flatten().tolist()}
    data = [float(f"{v:.9g}") for v in t.detach().flatten().tolist()]
    return {"dtype": "f32", "shape": list(t.shape) or [1], "data": data}


cases = []


def case(name, op, inputs, fn, args=None):
    """Runs fn on leaf copies, backpropagates a random dy, records inputs, output and gradients."""
    leaves = [x.clone().requires_grad_(x.is_floating_point()) for x in inputs]
    y = fn(*leaves)
    dy = random(*y.shape, low=-1, high=1) if y.dim() else torch.tensor(1.0)
    y.backward(dy)
    cases.append({
        "name": name, "op": op, "args": args or {}, "inputs": [listed(x) for x in inputs],
        "output": listed(y), "dy": listed(dy),
        "gradients": [listed(x.grad) if x.is_floating_point() else None for x in leaves],
    })


def rope(x, position0, theta, pairing):
    b, t, h, d = x.shape
    freq = theta ** (-torch.arange(0, d, 2) / d)
    angle = (torch.arange(t) + position0)[:, None] * freq[None, :]
    cos, sin = angle.cos()[None, :, None, :], angle.sin()[None, :, None, :]
    if pairing == "neox":
        a, c = x[..., : d // 2], x[..., d // 2:]
        return torch.cat([a * cos - c * sin, c * cos + a * sin], -1)
    a, c = x[..., 0::2], x[..., 1::2]
    return torch.stack([a * cos - c * sin, c * cos + a * sin], -1).flatten(-2)


def attention(q, k, v, causal, window, scale):
    t, s = q.shape[1], k.shape[1]
    position = torch.arange(t)[:, None] + (s - t)
    key = torch.arange(s)[None, :]
    mask = torch.ones(t, s, dtype=torch.bool)
    if causal:
        mask &= key <= position
    if window:
        mask &= key > position - window
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    o = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale, enable_gqa=True)
    return o.transpose(1, 2)


for name, shape in (("same", (3, 5)), ("row", (5,)), ("one", (1,))):
    b = random(*shape, low=0.5, high=2)
    for op, fn in (("add", torch.add), ("sub", torch.sub), ("mul", torch.mul), ("div", torch.div)):
        case(f"{op} {name}", op, [random(3, 5), b], fn)

for op, fn, low in (("exp", torch.exp, -2), ("log", torch.log, 0.1), ("sqrt", torch.sqrt, 0.1), ("tanh", torch.tanh, -2),
                    ("sigmoid", torch.sigmoid, -4), ("silu", F.silu, -4), ("relu", F.relu, -2),
                    ("relu2", lambda x: F.relu(x) ** 2, -2), ("neg", torch.neg, -2), ("abs", torch.abs, -2)):
    case(op, op, [random(7, 9, low=low, high=3)], fn)

for axis in (0, 1, 2):
    case(f"sum {axis}", "sum", [random(3, 5, 4)], lambda x: x.sum(axis), {"axis": axis})
    case(f"mean {axis}", "mean", [random(3, 5, 4)], lambda x: x.mean(axis), {"axis": axis})
    case(f"max {axis}", "max", [random(3, 5, 4)], lambda x: x.amax(axis), {"axis": axis})
case("sum all", "sum", [random(3, 7)], lambda x: x.sum())
case("mean all", "mean", [random(3, 7)], lambda x: x.mean())
case("softmax", "softmax", [random(5, 11, low=-6, high=6)], lambda x: x.softmax(-1))

case("slice", "slice", [random(3, 7, 2)], lambda x: x[:, 2:5], {"axis": 1, "start": 2, "end": 5})
case("concat", "concat", [random(3, 2, 2), random(3, 4, 2)], lambda a, b: torch.cat([a, b], 1), {"axis": 1})
case("permute", "permute", [random(2, 3, 4, 5)], lambda x: x.permute(2, 0, 3, 1), {"axes": [2, 0, 3, 1]})
rows = torch.tensor([4, 0, 4, 2, 4])
case("gatherRows", "gatherRows", [random(5, 3), rows], lambda x, i: x[i])
ids = torch.tensor([[1, 5, 1], [0, 5, 6]])
case("embedding", "embedding", [random(7, 5), ids], lambda t, i: F.embedding(i, t))

for ta in (False, True):
    for tb in (False, True):
        a = random(*((11, 7) if ta else (7, 11)))
        b = random(*((5, 11) if tb else (11, 5)))
        case(f"matmul {ta} {tb}", "matmul", [a, b], lambda a, b: (a.T if ta else a) @ (b.T if tb else b), {"transA": ta, "transB": tb})
        a3 = random(2, *((4, 3) if ta else (3, 4)))
        b3 = random(2, *((5, 4) if tb else (4, 5)))
        case(f"matmul batched {ta} {tb}", "matmul", [a3, b3],
             lambda a, b: (a.mT if ta else a) @ (b.mT if tb else b), {"transA": ta, "transB": tb})
case("linear", "linear", [random(2, 3, 7), random(5, 7), random(5)], lambda x, w, b: F.linear(x, w, b))

case("rmsNorm", "rmsNorm", [random(2, 3, 13), random(13)], lambda x, g: F.rms_norm(x, (13,), g, 1e-5), {"eps": 1e-5})
for pairing in ("neox", "norm"):
    case(f"rope {pairing}", "rope", [random(2, 3, 2, 6)], lambda x: rope(x, 5, 10000.0, pairing),
         {"position0": 5, "theta": 10000, "pairing": pairing})
for name, t, s, hq, hkv, causal, window, scale in (
        ("causal", 7, 7, 2, 2, True, 0, None), ("grouped", 5, 5, 6, 2, True, 0, None), ("window", 9, 9, 2, 1, True, 3, None),
        ("full", 4, 7, 2, 1, False, 0, 0.3), ("longer keys", 3, 8, 4, 2, True, 0, None)):
    scale = scale or 1 / math.sqrt(6)
    case(f"attention {name}", "attention", [random(2, t, hq, 6), random(2, s, hkv, 6), random(2, s, hkv, 6)],
         lambda q, k, v: attention(q, k, v, causal, window, scale), {"causal": causal, "window": window, "scale": scale})
case("swiglu", "swiglu", [random(3, 7, low=-4, high=4), random(3, 7)], lambda g, u: F.silu(g) * u)
targets = torch.tensor([3, -100, 0, 12, 3])
for reduction in ("mean", "sum", "none"):
    case(f"crossEntropy {reduction}", "crossEntropy", [random(5, 13, low=-5, high=5), targets],
         lambda x, t: F.cross_entropy(x, t, ignore_index=-100, reduction=reduction), {"reduction": reduction})

versions = {"python": platform.python_version(), "torch": torch.__version__}
(HERE / "ops.json").write_text(json.dumps({"versions": versions, "cases": cases}, separators=(",", ":")) + "\n")

# AdamW with a schedule, clipping and two decay groups, against torch.optim.AdamW and clip_grad_norm_.
w, g = random(3, 5), random(5)
params = [torch.nn.Parameter(w.clone()), torch.nn.Parameter(g.clone())]
optimizer = torch.optim.AdamW([{"params": [params[0]], "weight_decay": 0.1}, {"params": [params[1]], "weight_decay": 0.0}],
                              lr=3e-2, betas=(0.9, 0.95), eps=1e-8)
steps = []
for step in range(6):
    gradients = [random(3, 5), random(5)]
    for p, grad in zip(params, gradients):
        p.grad = grad.clone()
    norm = torch.nn.utils.clip_grad_norm_(params, 1.5)
    lr = 3e-2 / (step + 1)
    for group in optimizer.param_groups:
        group["lr"] = lr
    optimizer.step()
    steps.append({"lr": lr, "gradients": [listed(x) for x in gradients], "norm": norm.item(), "params": [listed(p) for p in params]})
(HERE / "adamw.json").write_text(json.dumps({
    "versions": versions, "betas": [0.9, 0.95], "eps": 1e-8, "weightDecay": [0.1, 0], "maxNorm": 1.5,
    "initial": [listed(w), listed(g)], "steps": steps}, separators=(",", ":")) + "\n")
