"""Adapters folded by PEFT: test/golden/merging/lora/. Run with torch, transformers and peft, from this folder:
    python make_lora_golden.py
A Llama with random weights, two adapters (scaled by alpha/r, and by alpha/sqrt(r) with ranks by module), and both folded.
"""
import json
import shutil
from pathlib import Path

import peft
import torch
import transformers
from safetensors.torch import load_file, save_file

OUT = Path(__file__).parent / "lora"
CONFIG = transformers.LlamaConfig(
    hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, vocab_size=20
)
ADAPTERS = {
    "plain": dict(r=4, lora_alpha=6, target_modules=["q_proj", "v_proj", "down_proj"]),
    "stabilised": dict(
        r=4, lora_alpha=6, target_modules=["k_proj", "gate_proj"], use_rslora=True, rank_pattern={"gate_proj": 2}
    ),
}

torch.manual_seed(7)
shutil.rmtree(OUT, ignore_errors=True)
transformers.LlamaForCausalLM(CONFIG).save_pretrained(OUT / "model")
folded = {}
for name, settings in ADAPTERS.items():
    base = transformers.LlamaForCausalLM.from_pretrained(OUT / "model", dtype=torch.float32)
    model = peft.get_peft_model(base, peft.LoraConfig(task_type="CAUSAL_LM", init_lora_weights=False, **settings))
    model.save_pretrained(OUT / name)
    path = OUT / name / "adapter_config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "base_model_name_or_path": None}, indent=1, sort_keys=True) + "\n")
    (OUT / name / "README.md").unlink(missing_ok=True)
    original = load_file(OUT / "model" / "model.safetensors")
    merged = model.merge_and_unload().state_dict()
    folded |= {f"{name}/{key}": merged[key].contiguous() for key in original if not torch.equal(merged[key], original[key])}
for leftover in (OUT / "model").glob("generation_config.json"):
    leftover.unlink()
save_file(folded, OUT / "folded.safetensors", {"torch": torch.__version__, "peft": peft.__version__})
