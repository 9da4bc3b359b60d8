"""Golden files for adapters and ternary layers, from PEFT and PyTorch.

    python make_golden.py     writes into the folder of this script

peft/: an adapter as PEFT saves it, for ../checkpoints/hf-tied. golden.json: logits, losses and gradients of that model
with the adapter, and with its projections as BitLinear (absmean weights, absmax int8 activations, straight-through).
"""

import importlib.metadata
import json
import pathlib
import platform
import shutil

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaForCausalLM

HERE = pathlib.Path(__file__).parent
BASE = HERE.parent / "checkpoints" / "hf-tied"
IDS = [(7 * i * i + 3 * i + 1) % 288 for i in range(17)]


def hash32(index, salt):
    x = (np.asarray(index, dtype=np.uint64) + np.uint64(salt) * np.uint64(0x9E3779B9)).astype(np.uint32)
    x ^= x >> np.uint32(16)
    x = (x.astype(np.uint64) * np.uint64(0x85EBCA6B)).astype(np.uint32)
    x ^= x >> np.uint32(13)
    x = (x.astype(np.uint64) * np.uint64(0xC2B2AE35)).astype(np.uint32)
    x ^= x >> np.uint32(16)
    return x


def centred(shape, salt):
    n = int(np.prod(shape))
    return torch.from_numpy(((hash32(np.arange(n), salt) >> np.uint32(8)).astype(np.float64) / 2**24 - 0.5).astype(np.float32).reshape(shape))


def base():
    return LlamaForCausalLM.from_pretrained(BASE, dtype=torch.float32, attn_implementation="eager")


def rounded(x):
    return [float(f"{v:.8g}") for v in x.detach().reshape(-1).tolist()]


def loss_of(model):
    ids = torch.tensor([IDS])
    logits = model(ids[:, :-1]).logits
    return logits, torch.nn.functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), ids[:, 1:].reshape(-1))


def norms(named):
    return {name: p.grad.double().norm().item() for name, p in named if p.grad is not None}


def golden_lora():
    model = get_peft_model(base(), LoraConfig(r=4, lora_alpha=12, lora_dropout=0.0, task_type="CAUSAL_LM",
                                              target_modules=["q_proj", "v_proj", "down_proj"]))
    trained = [(n.replace(".default", ""), p) for n, p in model.named_parameters() if p.requires_grad]
    with torch.no_grad():
        for salt, (_, p) in enumerate(trained):
            p.copy_(0.4 * centred(tuple(p.shape), 500 + salt))
    folder = HERE / "peft"
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    config = json.loads((folder / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = "hf-tied"
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    logits, loss = loss_of(model)
    loss.backward()
    out = {"logits": rounded(logits[0, -1]), "loss": loss.item(), "grad_norms": norms(trained)}
    optimizer = torch.optim.AdamW([p for _, p in trained], lr=1e-2, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.0)
    losses = []
    for _ in range(5):
        optimizer.zero_grad()
        _, loss = loss_of(model)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    out["training"] = losses
    merged = model.merge_and_unload()
    out["merged_logits"] = rounded(loss_of(merged)[0][0, -1])
    return out


def quantize_weight(w):
    scale = 1.0 / w.abs().mean().clamp_(min=1e-5)
    return (w * scale).round().clamp_(-1, 1) / scale


def quantize_activations(x):
    scale = 127.0 / x.abs().max(dim=-1, keepdim=True).values.clamp_(min=1e-5)
    return (x * scale).round().clamp_(-128, 127) / scale


class BitLinear(torch.nn.Linear):
    amount = 1.0

    def forward(self, x):
        xq = x + self.amount * (quantize_activations(x) - x).detach()
        wq = self.weight + self.amount * (quantize_weight(self.weight) - self.weight).detach()
        return torch.nn.functional.linear(xq, wq)


def golden_layer(amount):
    layer = BitLinear(32, 16, bias=False)
    layer.amount = amount
    with torch.no_grad():
        layer.weight.copy_(centred((16, 32), 600))
    x = (3 * centred((6, 32), 601)).requires_grad_()
    y = layer(x)
    (y * centred((6, 16), 602)).sum().backward()
    return {"y": rounded(y), "dx": rounded(x.grad), "dw": rounded(layer.weight.grad)}


def golden_bitnet(amount):
    model = base()
    for block in model.model.layers:
        for parent in [block.self_attn, block.mlp]:
            for name, linear in list(parent.named_children()):
                if isinstance(linear, torch.nn.Linear):
                    layer = BitLinear(linear.in_features, linear.out_features, bias=False)
                    layer.weight = linear.weight
                    layer.amount = amount
                    setattr(parent, name, layer)
    logits, loss = loss_of(model)
    loss.backward()
    return {"logits": rounded(logits[0, -1]), "loss": loss.item(), "grad_norms": norms(model.named_parameters())}


def main():
    torch.set_num_threads(1)
    out = {
        "versions": {"python": platform.python_version(),
                     **{p: importlib.metadata.version(p) for p in ["torch", "transformers", "peft", "safetensors", "numpy"]}},
        "ids": IDS,
        "lora": golden_lora(),
        "layer": {str(a): golden_layer(a) for a in [1, 0.25]},
        "bitnet": {str(a): golden_bitnet(a) for a in [1, 0.25]},
    }
    (HERE / "golden.json").write_text(json.dumps(out, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
