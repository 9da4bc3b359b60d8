"""Merges by mergekit for sections/merging.mjs: a method's number per line in, seconds and a sum of the result out, or an error."""
import json
import sys
import time

import torch
from mergekit.architecture import WeightInfo
from mergekit.common import ImmutableMap, ModelReference
from mergekit.io.tasks import GatherTensors
from mergekit.merge_methods import REGISTERED_MERGE_METHODS

work = json.loads(sys.argv[1])
torch.set_num_threads(work["threads"])
WEIGHT = WeightInfo(name="weight")
NAMES = [ModelReference.parse(name) for name in ("local/base", "local/a", "local/b", "local/c")]


MULTIPLIERS = [2654435761, 2246822519, 3266489917, 668265263]


def tensor(model, rows, columns):
    """The same numbers as merging-worker.mjs: small integers over a power of two, exact in f32."""
    index = torch.arange(rows * columns, dtype=torch.int64)
    return (((index * MULTIPLIERS[model]) >> 8) % 65536 - 32768).to(torch.float32).div_(32768).view(rows, columns)


def defaults(definitions):
    return {d.name: d.default_value for d in definitions}


def run(method, base, models, parameters):
    """Seconds that the method takes on tensors it may consume, and its result."""
    merge = REGISTERED_MERGE_METHODS[method]
    names = ([NAMES[0]] if base else []) + NAMES[1 : 1 + models]
    values = {**defaults(merge.parameters()), **parameters}
    per_tensor = {**defaults(merge.tensor_parameters()), **{k: v for k, v in parameters.items() if k in ("weight", "density")}}
    tensors = {name: tensor(NAMES.index(name), *work["shape"]) for name in names}
    task = merge.make_task(
        output_weight=WEIGHT,
        tensors=GatherTensors(weight_info=ImmutableMap({name: WEIGHT for name in names})),
        parameters=ImmutableMap(values),
        tensor_parameters=ImmutableMap({name: ImmutableMap(per_tensor) for name in names}),
        base_model=NAMES[0] if base else NAMES[1] if method == "slerp" else None,
    )
    start = time.perf_counter()
    result = task.execute(tensors=tensors)
    return time.perf_counter() - start, result


print(json.dumps({"torch": torch.__version__}), flush=True)
for line in sys.stdin:
    case = work["cases"][int(line)]
    try:
        seconds, result = run(case["method"], case["base"], case["models"], case["parameters"])
    except TypeError as error:  # a method that this version of mergekit cannot run
        print(json.dumps({"error": str(error)}), flush=True)
        continue
    print(json.dumps({"seconds": seconds, "sum": result.abs().sum(dtype=torch.float64).item()}), flush=True)
