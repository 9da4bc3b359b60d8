"""One merge by mergekit for compare.mjs: recipe, folder of the models, folder to write, threads; a line of JSON out."""
import json
import os
import resource
import sys
import time

import torch
import yaml
from mergekit.config import MergeConfiguration
from mergekit.merge import MergeOptions, run_merge

recipe, models, out, threads = sys.argv[1:5]
torch.set_num_threads(int(threads))


def rooted(value):
    """Names of models as paths."""
    if isinstance(value, list):
        return [rooted(item) for item in value]
    if isinstance(value, dict):
        return {k: os.path.join(models, v) if k in ("model", "base_model") else rooted(v) for k, v in value.items()}
    return value


with open(recipe, encoding="utf-8") as file:
    config = MergeConfiguration.model_validate(rooted(yaml.safe_load(file)))
start = time.perf_counter()
run_merge(config, out, MergeOptions(quiet=True, random_seed=1, lazy_unpickle=True))
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print("RESULT " + json.dumps({"seconds": seconds, "peakBytes": peak, "torch": torch.__version__}))
