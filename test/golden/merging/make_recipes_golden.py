"""Whole merges by mergekit: test/golden/merging/recipes.json and recipes.safetensors.

Run with mergekit's sources on PYTHONPATH (a6e4028, 2026-06), torch and transformers, from this folder:
    python make_recipes_golden.py
The models are made by the same rule in recipes.spec.ts: small integers over a power of two, exact in f32.
"""
import json
import shutil
import tempfile
from pathlib import Path

import torch
import transformers
import yaml
from mergekit.config import MergeConfiguration
from mergekit.merge import MergeOptions, run_merge
from safetensors.torch import load_file, save_file

MERGEKIT = "a6e4028"
HIDDEN, FFN, LAYERS, HEADS = 16, 24, 3, 2
PIECES = {"a": list("abcdefgh") + ["ab", "cd"], "b": list("abcdefgh") + ["ef", "ab", "gh"]}
SPECIAL = {"a": ["<s>"], "b": ["<s>", "<tool>"]}
MERGES = {"a": [["a", "b"], ["c", "d"]], "b": [["e", "f"], ["a", "b"], ["g", "h"]]}
MODELS = {"base": "a", "one": "a", "two": "a", "other": "b"}


def vocabulary(kind):
    return PIECES[kind] + SPECIAL[kind]


def shapes(vocab):
    found = [("model.embed_tokens.weight", (vocab, HIDDEN))]
    for layer in range(LAYERS):
        p = f"model.layers.{layer}."
        found += [(p + "input_layernorm.weight", (HIDDEN,)), (p + "mlp.down_proj.weight", (HIDDEN, FFN))]
        found += [(p + "mlp.gate_proj.weight", (FFN, HIDDEN)), (p + "mlp.up_proj.weight", (FFN, HIDDEN))]
        found += [(p + "post_attention_layernorm.weight", (HIDDEN,))]
        found += [(p + f"self_attn.{x}_proj.weight", (HIDDEN, HIDDEN)) for x in "kqvo"]
    return found + [("model.norm.weight", (HIDDEN,)), ("lm_head.weight", (vocab, HIDDEN))]


def tensor(model, number, shape):
    """Number `number` of a model, counted as in `shapes`; the first term is common to all models."""
    index = torch.arange(torch.Size(shape).numel(), dtype=torch.int64)
    shared = ((index + 131 * number) * 40503) % 65536 - 32768
    noise = ((index + 17 * number) * (30011 + 7478 * model) + 1237 * model) % 65536 - 32768
    return ((3 * shared + (noise if model else 0)).to(torch.float32) / 65536).view(shape)


def write_model(folder, number, kind):
    vocab = vocabulary(kind)
    folder.mkdir()
    tensors = {name: tensor(number, i, shape) for i, (name, shape) in enumerate(shapes(len(vocab)))}
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    config = dict(architectures=["LlamaForCausalLM"], model_type="llama", vocab_size=len(vocab), hidden_size=HIDDEN,
                  intermediate_size=FFN, num_hidden_layers=LAYERS, num_attention_heads=HEADS, num_key_value_heads=HEADS,
                  max_position_embeddings=64, rms_norm_eps=1e-6, tie_word_embeddings=False, torch_dtype="float32")
    (folder / "config.json").write_text(json.dumps(config))
    added = [dict(id=vocab.index(t), content=t, single_word=False, lstrip=False, rstrip=False, normalized=False,
                  special=True) for t in SPECIAL[kind]]
    model = dict(type="BPE", dropout=None, unk_token=None, continuing_subword_prefix=None, end_of_word_suffix=None,
                 fuse_unk=False, byte_fallback=False, ignore_merges=False,
                 vocab={t: i for i, t in enumerate(PIECES[kind])}, merges=MERGES[kind])
    tokenizer = dict(version="1.0", truncation=None, padding=None, added_tokens=added, normalizer=None,
                     pre_tokenizer=None, post_processor=None, decoder=None, model=model)
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    (folder / "tokenizer_config.json").write_text(json.dumps(dict(tokenizer_class="PreTrainedTokenizerFast",
                                                                  bos_token="<s>")))


RECIPES = {
    "gradient": """
merge_method: slerp
base_model: base
slices:
  - sources:
      - {model: base, layer_range: [0, 3]}
      - {model: one, layer_range: [0, 3]}
parameters:
  t:
    - {filter: self_attn, value: [0, 0.5, 1]}
    - {filter: mlp, value: [1, 0.25]}
    - value: 0.4
dtype: float32
""",
    "weights": """
merge_method: ties
base_model: base
models:
  - model: one
    parameters: {weight: [0.2, 0.8], density: 0.5}
  - model: two
    parameters:
      weight:
        - {filter: mlp, value: 0.7}
        - value: 0.3
parameters: {density: 0.75, normalize: true, int8_mask: true}
dtype: float32
""",
    "stack": """
merge_method: passthrough
slices:
  - sources: [{model: one, layer_range: [0, 2]}]
  - sources:
      - model: two
        layer_range: [1, 3]
        parameters:
          scale:
            - {filter: o_proj, value: 0.5}
            - {filter: down_proj, value: [0.25, 0.75]}
            - value: 1.0
dtype: float32
""",
    "half": """
merge_method: linear
models:
  - {model: one, parameters: {weight: 1}}
  - {model: two, parameters: {weight: 3}}
dtype: float32
out_dtype: bfloat16
""",
    "union": """
merge_method: linear
base_model: base
models:
  - {model: base, parameters: {weight: 0.5}}
  - {model: one, parameters: {weight: 0.3}}
  - {model: other, parameters: {weight: 0.2}}
tokenizer: {source: union}
dtype: float32
""",
    "theirs": """
merge_method: linear
base_model: base
models:
  - {model: base, parameters: {weight: 0.5}}
  - {model: other, parameters: {weight: 0.5}}
tokenizer:
  source: other
  pad_to_multiple_of: 8
  tokens:
    gh: {source: {kind: model_token, model: base, token: cd}, force: true}
    <tool>: {source: other}
dtype: float32
""",
}

work = Path(tempfile.mkdtemp())
for number, (name, kind) in enumerate(MODELS.items()):
    write_model(work / name, number, kind)
found, tensors = {}, {}
for name, text in RECIPES.items():
    values = yaml.safe_load(text)

    def rooted(value):
        if isinstance(value, list):
            return [rooted(v) for v in value]
        if isinstance(value, dict):
            return {k: str(work / v) if (k in ("model", "base_model", "source") and isinstance(v, str) and v in MODELS) else rooted(v)
                    for k, v in value.items()}
        return value

    out = work / "out" / name
    run_merge(MergeConfiguration.model_validate(rooted(values)), str(out), MergeOptions(quiet=True))
    for key, value in load_file(out / "model.safetensors").items() if (out / "model.safetensors").exists() else [
        item for file in sorted(out.glob("*.safetensors")) for item in load_file(file).items()
    ]:
        tensors[f"{name}/{key}"] = value.contiguous()
    config = json.loads((out / "config.json").read_text())
    vocab = transformers.AutoTokenizer.from_pretrained(out).get_vocab()
    found[name] = {
        "yaml": text.lstrip(),
        "config": {k: config[k] for k in ("num_hidden_layers", "vocab_size")},
        "vocabulary": vocab,
    }
shutil.rmtree(work)
save_file(tensors, "recipes.safetensors")
versions = {"mergekit": MERGEKIT, "torch": torch.__version__, "transformers": transformers.__version__}
Path("recipes.json").write_text(json.dumps({**versions, "recipes": found}, indent=1, ensure_ascii=False) + "\n")
