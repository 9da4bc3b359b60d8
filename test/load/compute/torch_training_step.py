"""The training step of a preset in PyTorch, for sections/training.mjs: eager on the processor, compiled on a GPU.

Reads a number of steps per line; answers with tokens per second and the memory of the steps, as JSON: the growth of peak
resident memory since torch was imported, or the peak of what is allocated on the GPU. Same shapes, loss, clipping, AdamW and
precision of dense products as training-worker.mjs.
"""
import json
import os
import resource
import statistics
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

work = json.loads(sys.argv[1])
config = work["config"]
torch.set_num_threads(work["threads"])
torch.manual_seed(1)
DEVICE = work["device"]
torch.set_default_device(DEVICE)
B, T = work["batch"], work["length"]
D, L, V = config["hiddenSize"], config["numLayers"], config["vocabSize"]
H, KV, W, FFN = config["numHeads"], config["numKvHeads"], config["headDim"], config["intermediateSize"]
angle = torch.arange(T)[:, None] * (config["ropeTheta"] ** (-torch.arange(0, W, 2) / W))[None, :]
COS, SIN = torch.cat([angle.cos()] * 2, -1), torch.cat([angle.sin()] * 2, -1)


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def rope(x):
    a, b = x.chunk(2, -1)
    return x * COS + torch.cat([-b, a], -1) * SIN


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        linear = lambda rows, columns: nn.Linear(rows, columns, bias=False)
        self.n1, self.n2 = nn.RMSNorm(D, config["rmsNormEps"]), nn.RMSNorm(D, config["rmsNormEps"])
        self.q, self.o = linear(D, H * W), linear(H * W, D)
        self.k, self.v = linear(D, KV * W), linear(D, KV * W)
        self.gate, self.up, self.down = linear(D, FFN), linear(D, FFN), linear(FFN, D)

    def forward(self, x):
        n = self.n1(x)
        q, k, v = (p(n).view(B, T, -1, W).transpose(1, 2) for p in (self.q, self.k, self.v))
        o = F.scaled_dot_product_attention(rope(q).to(v.dtype), rope(k).to(v.dtype), v, is_causal=True, enable_gqa=True)
        x = x + self.o(o.transpose(1, 2).reshape(B, T, H * W))
        n = self.n2(x)
        return x + self.down(F.silu(self.gate(n)) * self.up(n))


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(V, D)
        self.layers = nn.ModuleList(Block() for _ in range(L))
        self.norm = nn.RMSNorm(D, config["rmsNormEps"])

    def forward(self, ids):
        x = self.embed(ids)
        for layer in self.layers:
            x = layer(x)
        return F.linear(self.norm(x), self.embed.weight)


before = resident()
model = Model()
for p in model.parameters():
    if p.dim() > 1:
        nn.init.normal_(p, std=0.02)
groups = [{"params": [p for p in model.parameters() if p.dim() > 1], "weight_decay": 0.1},
          {"params": [p for p in model.parameters() if p.dim() < 2], "weight_decay": 0.0}]
optimizer = torch.optim.AdamW(groups, lr=3e-3, betas=(0.9, 0.95), fused=True)


def loss_of(inputs, targets):
    with torch.autocast(DEVICE, torch.bfloat16, enabled=work["precision"] == "bf16"):
        logits = model(inputs)
    return F.cross_entropy(logits.float().view(-1, V), targets)


if DEVICE == "cuda":
    loss_of = torch.compile(loss_of)


def step():
    rows = torch.randint(V, (B * T + 1,))
    start = time.perf_counter()
    optimizer.zero_grad(set_to_none=True)
    loss = loss_of(rows[:-1].view(B, T), rows[1:])
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    loss.item()
    return B * T / (time.perf_counter() - start)


def step_bytes():
    if DEVICE == "cuda":
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before


print(json.dumps({"torch": torch.__version__, "threads": torch.get_num_threads()}), flush=True)
for line in sys.stdin:
    rates = [step() for _ in range(int(line))]
    print(json.dumps({"tokensPerSecond": statistics.median(rates), "stepBytes": step_bytes()}), flush=True)
