#!/usr/bin/env python3
"""Writes training.json: KL divergence, linear recurrence and masked attention with their gradients, and AdamW behind the
Grokfast-EMA filter, by PyTorch in float64 from float32 inputs. Run from anywhere: python make_training_golden.py.
"""
import json
import platform
from pathlib import Path

import torch
import torch.nn.functional as F

torch.manual_seed(20262)
torch.set_default_dtype(torch.float64)


def random(*shape, low=-2.0, high=2.0):
    return (torch.rand(*shape) * (high - low) + low).float().double()


def listed(x):
    return {"shape": list(x.shape), "data": [float(f"{v:.9g}") for v in x.detach().flatten().tolist()]}


cases = []


def case(op, inputs, fn, **args):
    leaves = [x.clone().requires_grad_() for x in inputs]
    y = fn(*leaves)
    dy = random(*y.shape, low=-1, high=1)
    y.backward(dy)
    cases.append({"op": op, "args": args, "inputs": [listed(x) for x in inputs], "output": listed(y), "dy": listed(dy),
                  "gradients": [listed(x.grad) for x in leaves]})


case("klDivergence", [random(5, 13, low=-5, high=5), random(5, 13, low=-5, high=5)],
     lambda t, z: F.kl_div(z.log_softmax(-1), t.log_softmax(-1), reduction="none", log_target=True).sum(-1))


def scan(a, b, h0):
    h, out = h0, []
    for t in range(a.shape[1]):
        h = a[:, t] * h + b[:, t]
        out.append(h)
    return torch.stack(out, 1)


case("linearScan", [random(2, 7, 5, low=-1, high=1), random(2, 7, 5), random(2, 5)], scan)
mask = torch.rand(6, 9) < 0.5
mask[:, 0] = True


def attend(q, k, v):
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=0.5, enable_gqa=True).transpose(1, 2)


case("rangedAttention", [random(2, 6, 4, 6), random(2, 9, 2, 6), random(2, 9, 2, 6)], attend, mask=mask.int().tolist())

# AdamW behind Grokfast-EMA, which starts at the first gradient.
p = torch.nn.Parameter(random(3, 4))
optimizer = torch.optim.AdamW([p], lr=1e-2, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1)
initial, mu, steps = listed(p), None, []
for _ in range(6):
    g = random(3, 4)
    scaled = 0.5 * g
    mu = scaled.clone() if mu is None else 0.98 * mu + 0.02 * scaled
    p.grad = scaled + 2.0 * mu
    optimizer.step()
    steps.append({"gradient": listed(g), "param": listed(p)})

versions = {"python": platform.python_version(), "torch": torch.__version__}
(Path(__file__).parent / "training.json").write_text(json.dumps(
    {"versions": versions, "cases": cases, "grokfast": {"initial": initial, "steps": steps}}, separators=(",", ":")) + "\n")
