"""One row times weights in bf16 for sections/ternary.mjs: cuBLAS, by PyTorch.

Reads a number of products per line, starts them all and waits for the last; answers with operations per second as JSON.
"""
import json
import sys
import time

import torch

work = json.loads(sys.argv[1])
rows, columns = work["rows"], work["columns"]
torch.set_default_device(work["device"])
x = torch.randn(1, columns, dtype=torch.bfloat16)
weights = torch.randn(rows, columns, dtype=torch.bfloat16)

print(json.dumps({"torch": torch.__version__}), flush=True)
for line in sys.stdin:
    count = int(line)
    start = time.perf_counter()
    for _ in range(count):
        y = x @ weights.T
    y.cpu()
    gops = 2e-9 * rows * columns * count / (time.perf_counter() - start)
    print(json.dumps({"gops": gops}), flush=True)
