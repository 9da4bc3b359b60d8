"""Merges of small tensors by mergekit: test/golden/merging/operators.json.

Run with mergekit's sources on PYTHONPATH (a6e4028, 2026-06) and torch, from this folder:
    python make_operators_golden.py > operators.json
Tensors are small integers over a power of two, exact in f32; the test makes the same.
Methods that draw at random are here with density 1 only, where nothing is drawn.
"""
import json

import torch
from mergekit.architecture import WeightInfo
from mergekit.common import ImmutableMap, ModelReference
from mergekit.io.tasks import GatherTensors
from mergekit.merge_methods import REGISTERED_MERGE_METHODS
from mergekit.merge_methods.multislerp import multislerp
from mergekit.merge_methods.nearswap import nearswap_merge
from mergekit.merge_methods.ram import ram_merge, ramplus_tl_merge
from mergekit.merge_methods.sce import sce_merge

MERGEKIT = "a6e4028"
SHAPE = (12, 10)
WEIGHT = WeightInfo(name="model.layers.0.mlp.up_proj.weight")
NAMES = [ModelReference.parse(f"local/{name}") for name in "oabc"]


def tensor(model):
    index = torch.arange(SHAPE[0] * SHAPE[1], dtype=torch.int64)
    noise = (index * (30011 + 7478 * model) + 1237 * model) % 65536 - 32768
    shared = (index * 40503) % 65536 - 32768
    return ((3 * shared + (noise if model else 0)).to(torch.float32) / 65536).view(SHAPE)


def case(method, models=2, base=True, own=None, **parameters):
    return {"method": method, "models": models, "base": base, "own": own or {}, "parameters": parameters}


# Methods that are plain functions: mergekit's wrapper around them does not load with every version of pydantic.
FUNCTIONS = {
    "multislerp": multislerp,
    "nearswap": nearswap_merge,
    "ram": ram_merge,
    "ramplus_tl": ramplus_tl_merge,
    "sce": sce_merge,
}

W3 = {"weight": [0.5, 0.3, -0.2]}
P3 = {"weight": [0.5, 0.3, 0.2]}
CASES = [
    case("linear", 3, False, W3),
    case("linear", 3, False, W3, normalize=False),
    case("linear", 1, False, {"weight": [0.7]}, normalize=False),
    case("slerp", 1, True, t=0.3),
    case("slerp", 1, True, t=1.25),
    case("nuslerp", 2, False, {"weight": [1.0, 3.0]}),
    case("nuslerp", 2, True, {"weight": [1.0, 3.0]}),
    case("nuslerp", 2, True, {"weight": [1.0, 3.0]}, nuslerp_flatten=False),
    case("nuslerp", 2, False, {"weight": [2.0, 1.0]}, nuslerp_flatten=False, nuslerp_row_wise=True),
    case("nuslerp", 2, False, {"weight": [1.0, -1.0]}),
    case("multislerp", 3, False, P3),
    case("multislerp", 3, True, P3),
    case("multislerp", 3, False, {"weight": [1.0, 2.0, 0.5]}, normalize_weights=False),
    case("karcher", 3, False),
    case("karcher", 2, False, max_iter=3, tol=1e-3),
    case("task_arithmetic", 3, True, W3),
    case("task_arithmetic", 3, True, P3, normalize=True, **{"lambda": 0.7}),
    case("ties", 3, True, {**P3, "density": [0.5, 0.25, 1.0]}),
    case("ties", 3, True, {**W3, "density": [0.6, 0.6, 0.6]}, **{"lambda": 1.3}),
    case("ties", 2, True, {"weight": [1.0, 1.0], "density": [0.5, 0.5]}, normalize=False, rescale=True),
    case("ties", 2, True, {"weight": [1.0, 1.0], "density": [0.5, 0.5]}, int8_mask=True),
    case("dare_linear", 3, True, P3),
    case("dare_ties", 3, True, W3),
    case("della", 3, True, P3),
    case("della_linear", 3, True, W3, normalize=True),
    case("breadcrumbs", 3, True, {**P3, "density": [0.5, 0.9, 0.3], "gamma": [0.05, 0.05, 0.1]}),
    case("breadcrumbs_ties", 3, True, {**P3, "density": [0.5, 0.9, 0.3], "gamma": [0.05, 0.2, 0.1]}),
    case("breadcrumbs_ties", 2, True, {"weight": [1.0, 2.0], "density": [0.7, 0.7]}, normalize=True),
    case("sce", 3, True),
    case("sce", 3, True, select_topk=0.4),
    case("ram", 3, True, epsilon=0.25),
    case("ramplus_tl", 3, True, epsilon=0.25, r=0.5, alpha=0.4),
    case("model_stock", 2, True),
    case("model_stock", 3, True, filter_wise=True),
    case("nearswap", 1, True, t=0.05),
    case("arcee_fusion", 1, True),
    case("passthrough", 1, False, {"scale": [0.37]}),
    case("passthrough", 1, False),
]


def defaults(definitions):
    return {d.name: d.default_value for d in definitions}


def run(spec):
    if spec["method"] in FUNCTIONS:
        base = {"base_tensor": tensor(0)} if spec["base"] else {}
        tensors = [tensor(1 + i) for i in range(spec["models"])]
        return FUNCTIONS[spec["method"]](tensors=tensors, **base, **spec["own"], **spec["parameters"])
    merge = REGISTERED_MERGE_METHODS[spec["method"]]
    others = NAMES[1 : 1 + spec["models"]]
    names = ([NAMES[0]] if spec["base"] else []) + others
    own = {name: defaults(merge.tensor_parameters()) for name in names}
    for key, values in spec["own"].items():
        for name, value in zip(others, values):
            own[name][key] = value
    task = merge.make_task(
        output_weight=WEIGHT,
        tensors=GatherTensors(weight_info=ImmutableMap({name: WEIGHT for name in names})),
        parameters=ImmutableMap({**defaults(merge.parameters()), **spec["parameters"]}),
        tensor_parameters=ImmutableMap({name: ImmutableMap(own[name]) for name in names}),
        base_model=NAMES[0] if spec["base"] else None,
    )
    return task.execute(tensors={name: tensor(NAMES.index(name)) for name in names})


results = []
for spec in CASES:
    values = run(spec).flatten().tolist()
    results.append({**spec, "merged": [float(f"{value:.8g}") for value in values]})
header = {"mergekit": MERGEKIT, "torch": torch.__version__, "shape": SHAPE}
lines = ",\n".join(json.dumps(result, separators=(",", ":")) for result in results)
print(json.dumps(header)[:-1] + ', "cases": [\n' + lines + "\n]}")
