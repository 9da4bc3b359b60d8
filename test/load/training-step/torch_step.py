"""The same pico training step in eager PyTorch: reads a number of steps per line, answers with tokens/s of each as JSON."""
import json
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

shape = json.loads(sys.argv[1])
torch.set_num_threads(shape["threads"])
torch.manual_seed(1)
D, H, KV, L, V, B, T = (shape[k] for k in ("dim", "heads", "kvHeads", "layers", "vocab", "batch", "length"))
W = D // H
angle = torch.arange(T)[:, None] * (10000.0 ** (-torch.arange(0, W, 2) / W))[None, :]
COS, SIN = torch.cat([angle.cos()] * 2, -1), torch.cat([angle.sin()] * 2, -1)


def rope(x):
    a, b = x.chunk(2, -1)
    return x * COS + torch.cat([-b, a], -1) * SIN


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.n1, self.n2 = nn.RMSNorm(D, 1e-5), nn.RMSNorm(D, 1e-5)
        self.q, self.o = nn.Linear(D, D, bias=False), nn.Linear(D, D, bias=False)
        self.k, self.v = nn.Linear(D, KV * W, bias=False), nn.Linear(D, KV * W, bias=False)
        self.gate, self.up = nn.Linear(D, shape["ffn"], bias=False), nn.Linear(D, shape["ffn"], bias=False)
        self.down = nn.Linear(shape["ffn"], D, bias=False)

    def forward(self, x):
        n = self.n1(x)
        q, k, v = (p(n).view(B, T, -1, W).transpose(1, 2) for p in (self.q, self.k, self.v))
        o = F.scaled_dot_product_attention(rope(q), rope(k), v, is_causal=True, enable_gqa=True)
        x = x + self.o(o.transpose(1, 2).reshape(B, T, D))
        n = self.n2(x)
        return x + self.down(F.silu(self.gate(n)) * self.up(n))


class Pico(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(V, D)
        self.layers = nn.ModuleList(Block() for _ in range(L))
        self.norm = nn.RMSNorm(D, 1e-5)

    def forward(self, ids):
        x = self.embed(ids)
        for layer in self.layers:
            x = layer(x)
        return F.linear(self.norm(x), self.embed.weight)


model = Pico()
for p in model.parameters():
    if p.dim() > 1:
        nn.init.normal_(p, std=0.02)
groups = [{"params": [p for p in model.parameters() if p.dim() > 1], "weight_decay": 0.1},
          {"params": [p for p in model.parameters() if p.dim() < 2], "weight_decay": 0.0}]
optimizer = torch.optim.AdamW(groups, lr=3e-3, betas=(0.9, 0.95), fused=True)
print(json.dumps({"torch": torch.__version__, "threads": torch.get_num_threads()}), flush=True)
for line in sys.stdin:
    rates = []
    for _ in range(int(line)):
        rows = torch.randint(V, (B * T + 1,))
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(model(rows[:-1].view(B, T)).view(-1, V), rows[1:])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        loss.item()
        rates.append(B * T / (time.perf_counter() - start))
    print(json.dumps({"rates": rates, "loss": loss.item()}), flush=True)
