"""Merges by mergekit for compare.mjs: folder of the models and threads; a recipe and a folder to write per line in, a line of JSON out."""
import json
import os
import sys
import time

import torch
import yaml
from mergekit.config import MergeConfiguration
from mergekit.merge import MergeOptions, run_merge

models, threads = sys.argv[1:3]
torch.set_num_threads(int(threads))


def rooted(value):
    """Names of models as paths."""
    if isinstance(value, list):
        return [rooted(item) for item in value]
    if isinstance(value, dict):
        return {k: os.path.join(models, v) if k in ("model", "base_model") else rooted(v) for k, v in value.items()}
    return value


def peak():
    """Most resident memory since the last reset, in bytes (Linux)."""
    with open("/proc/self/status", encoding="ascii") as file:
        return 1024 * next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))


print("RESULT " + json.dumps({"torch": torch.__version__}), flush=True)
for line in sys.stdin:
    recipe, out = line.split()
    with open(recipe, encoding="utf-8") as file:
        config = MergeConfiguration.model_validate(rooted(yaml.safe_load(file)))
    with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")
    start = time.perf_counter()
    run_merge(config, out, MergeOptions(quiet=True, random_seed=1, lazy_unpickle=True))
    seconds = time.perf_counter() - start
    print("RESULT " + json.dumps({"seconds": seconds, "peakBytes": peak()}), flush=True)
