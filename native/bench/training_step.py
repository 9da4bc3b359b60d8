"""The step of bench_training_step.cc in PyTorch, for comparison on the same machine.

Usage: python training_step.py [threads]   (unset OPENBLAS_CORETYPE first)
"""
import os
import statistics
import sys
import time

import torch
import torch.nn.functional as F

WIDTH, HIDDEN, VOCABULARY, LAYERS, HEADS, KV_HEADS, DIM, BATCH, TIME = 256, 512, 1024, 3, 4, 2, 64, 16, 128
torch.set_num_threads(int(sys.argv[1]) if len(sys.argv) > 1 else os.cpu_count())

angles = torch.outer(torch.arange(TIME).float(), 10000.0 ** (-torch.arange(0, DIM, 2).float() / DIM))
COSINE, SINE = torch.cat([angles.cos()] * 2, -1), torch.cat([angles.sin()] * 2, -1)


def rope(x):
    a, b = x.chunk(2, -1)
    return x * COSINE + torch.cat([-b, a], -1) * SINE


class Layer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        linear = lambda i, o: torch.nn.Linear(i, o, bias=False)
        self.norm1, self.norm2 = torch.nn.RMSNorm(WIDTH, 1e-5), torch.nn.RMSNorm(WIDTH, 1e-5)
        self.q, self.k, self.v = linear(WIDTH, WIDTH), linear(WIDTH, KV_HEADS * DIM), linear(WIDTH, KV_HEADS * DIM)
        self.o, self.gate, self.up, self.down = linear(WIDTH, WIDTH), linear(WIDTH, HIDDEN), linear(WIDTH, HIDDEN), linear(HIDDEN, WIDTH)

    def forward(self, x):
        h = self.norm1(x)
        split = lambda y, n: y.view(BATCH, TIME, n, DIM).transpose(1, 2)
        q, k, v = rope(split(self.q(h), HEADS)), rope(split(self.k(h), KV_HEADS)), split(self.v(h), KV_HEADS)
        a = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        x = x + self.o(a.transpose(1, 2).reshape(BATCH, TIME, WIDTH))
        h = self.norm2(x)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))


model = torch.nn.Sequential(torch.nn.Embedding(VOCABULARY, WIDTH), *[Layer() for _ in range(LAYERS)],
                            torch.nn.RMSNorm(WIDTH, 1e-5), torch.nn.Linear(WIDTH, VOCABULARY, bias=False))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1)
ids, targets = torch.randint(VOCABULARY, (BATCH, TIME)), torch.randint(VOCABULARY, (BATCH * TIME,))

# As in the C++ program: with one thread, processor time, which a busy machine leaves comparable.
clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter

times = []
for _ in range(40):
    start = clock()
    optimizer.zero_grad()
    F.cross_entropy(model(ids).view(-1, VOCABULARY), targets).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1e9)
    optimizer.step()
    times.append(clock() - start)
seconds = statistics.median(times[5:])
print(f"torch {torch.__version__}, {torch.get_num_threads()} threads: {seconds * 1e3:.1f} ms, {BATCH * TIME / seconds:.0f} tokens/s")
