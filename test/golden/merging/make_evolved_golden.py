"""What mergekit-multi makes of recipes that phase-evomerge wrote: fills test/golden/merging/evolved.json.

Run with mergekit's sources on PYTHONPATH (a6e4028, 2026-06), torch and transformers, from this folder:
    python make_evolved_golden.py
Chains and YAML are in the file; services/phase-evomerge/src/domain/recipe-mergekit.spec.ts fails when the service writes another
YAML for a chain. The models are made by the same rule there: small integers over a power of two, exact in f32.
"""
import json
import shutil
import tempfile
from pathlib import Path

import torch
import transformers
from mergekit.graph import Executor
from mergekit.merge import MergeOptions
from mergekit.scripts.multimerge import load_config, make_tasks
from safetensors.torch import load_file, save_file

MERGEKIT = "a6e4028"
VOCAB, HIDDEN, FFN, LAYERS, HEADS, KV_WIDTH = 16, 8, 12, 3, 2, 4
MODELS = ["founder-0", "founder-1", "founder-2"]
# Masks of its own; breadcrumbs drop everything in tensors as small as these.
NOT_COMPARED = ("dare_linear", "dare_ties", "della", "della_linear", "breadcrumbs", "breadcrumbs_ties")


def shapes():
    found = {"model.embed_tokens.weight": (VOCAB, HIDDEN), "lm_head.weight": (VOCAB, HIDDEN), "model.norm.weight": (HIDDEN,)}
    for layer in range(LAYERS):
        p = f"model.layers.{layer}."
        found |= {p + "input_layernorm.weight": (HIDDEN,), p + "post_attention_layernorm.weight": (HIDDEN,)}
        found |= {p + "mlp.gate_proj.weight": (FFN, HIDDEN), p + "mlp.up_proj.weight": (FFN, HIDDEN)}
        found |= {p + "mlp.down_proj.weight": (HIDDEN, FFN)}
        found |= {p + f"self_attn.{x}_proj.weight": (HIDDEN, HIDDEN) for x in "qo"}
        found |= {p + f"self_attn.{x}_proj.weight": (KV_WIDTH, HIDDEN) for x in "kv"}
    return sorted(found.items())


def tensor(model, number, shape):
    index = torch.arange(torch.Size(shape).numel(), dtype=torch.int64)
    shared = ((index + 131 * number) * 40503) % 65536 - 32768
    noise = ((index + 17 * number) * (30011 + 7478 * model) + 1237 * model) % 65536 - 32768
    return ((3 * shared + noise).to(torch.float32) / 65536).view(shape)


def write_model(folder, number):
    folder.mkdir()
    tensors = {name: tensor(number, i, shape) for i, (name, shape) in enumerate(shapes())}
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    config = dict(architectures=["LlamaForCausalLM"], model_type="llama", vocab_size=VOCAB, hidden_size=HIDDEN,
                  intermediate_size=FFN, num_hidden_layers=LAYERS, num_attention_heads=HEADS, num_key_value_heads=1,
                  max_position_embeddings=32, tie_word_embeddings=False, torch_dtype="float32")
    (folder / "config.json").write_text(json.dumps(config))


def placed(yaml, work):
    """The YAML with models named by their folders, otherwise as it came."""
    for model in MODELS:
        yaml = yaml.replace(f"model: {model}\n", f"model: {work / model}\n")
    return yaml


def merged(yaml, work, name):
    """The tensors that mergekit-multi writes."""
    stages, out = work / name / "stages", work / name / "out"
    configs, needed = load_config(yaml, str(stages))
    options = MergeOptions(copy_tokenizer=False, write_model_card=False, quiet=True)
    tasks = make_tasks(configs, needed, options, str(stages), str(out), False)
    Executor(tasks, math_device="cpu", storage_device="cpu").execute()
    return {key: value for file in sorted(out.glob("*.safetensors")) for key, value in load_file(file).items()}


def summary(tensors):
    """JSON numbers that say each f32 exactly."""
    return {
        key: {"first": value.flatten()[:4].tolist(), "sum": value.double().sum().item()}
        for key, value in sorted(tensors.items())
    }


file = Path("evolved.json")
recipes = json.loads(file.read_text())["recipes"]
work = Path(tempfile.mkdtemp())
for number, name in enumerate(MODELS):
    write_model(work / name, number)
for number, (name, recipe) in enumerate(recipes.items()):
    yaml = placed(recipe["yaml"], work)
    recipe["refused"], recipe["tensors"] = None, None
    try:
        load_config(yaml, str(work))
    except ValueError as error:
        recipe["refused"] = type(error).__name__
        continue
    try:
        # A folder without a space in its name: mergekit cannot write down models in others.
        tensors = merged(yaml, work, f"merge-{number}")
    except TypeError as error:
        # Its wrapper of some methods does not go with the installed pydantic.
        print(f"{name}: read, not run: {error}")
        continue
    if not any(one["operator"] in NOT_COMPARED for one in recipe["chain"]):
        recipe["tensors"] = summary(tensors)
shutil.rmtree(work)
versions = {"mergekit": MERGEKIT, "torch": torch.__version__, "transformers": transformers.__version__}
file.write_text(json.dumps({**versions, "recipes": recipes}, indent=1, ensure_ascii=False) + "\n")
