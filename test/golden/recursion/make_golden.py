"""Golden values of recursive reasoning with deep supervision (TRM), from PyTorch and transformers.

    python make_golden.py     writes golden.json into the folder of this script

The net is the blocks and the final norm of a small Llama of transformers, which gets embeddings. A supervision step is T cycles of
z = net(x + y + z), n times, then y = net(y + z), of which only the last has a gradient; y and z are detached between steps. The loss
of a step is the cross entropy and half the binary cross entropy of the halting head against (argmax y == target). Weights and ids are
functions of an index (`hash32`).
"""

import json
import pathlib
import platform

import numpy as np
import torch
import transformers
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM

HERE = pathlib.Path(__file__).parent
CONFIG = dict(vocab_size=11, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=8,
              intermediate_size=40, max_position_embeddings=64, rope_theta=10000.0, tie_word_embeddings=True)
# Rows B, tokens L, refinements n of the latent state, cycles T, supervision steps.
B, L, N, T, STEPS = 2, 6, 2, 2, 3


def hash32(index, salt):
    x = (np.asarray(index, dtype=np.uint64) + np.uint64(salt) * np.uint64(0x9E3779B9)).astype(np.uint32)
    x ^= x >> np.uint32(16)
    x = (x.astype(np.uint64) * np.uint64(0x85EBCA6B)).astype(np.uint32)
    x ^= x >> np.uint32(13)
    x = (x.astype(np.uint64) * np.uint64(0xC2B2AE35)).astype(np.uint32)
    x ^= x >> np.uint32(16)
    return x


def values(shape, salt):
    count = int(np.prod(shape))
    u = (hash32(np.arange(count), salt) >> np.uint32(8)).astype(np.float64) / 2**24 - 0.5
    u = torch.from_numpy(u.astype(np.float32).reshape(shape))
    return 1 + 0.5 * u if len(shape) == 1 else 0.2 * u


def ids(salt):
    return torch.from_numpy((hash32(np.arange(B * L), salt) % np.uint32(CONFIG["vocab_size"])).astype(np.int64).reshape(B, L))


def main():
    llama = LlamaForCausalLM(LlamaConfig(**CONFIG, rms_norm_eps=1e-5, attention_bias=False, mlp_bias=False, hidden_act="silu",
                                         bos_token_id=0, eos_token_id=0, attn_implementation="eager")).float()
    head = torch.nn.Linear(CONFIG["hidden_size"], 1)
    named = list(llama.named_parameters()) + [("recursion.halt.weight", head.weight), ("recursion.halt.bias", head.bias)]
    with torch.no_grad():
        for salt, (_, p) in enumerate(named):
            p.copy_(values(tuple(p.shape), salt))
    net = lambda h: llama.model(inputs_embeds=h, use_cache=False).last_hidden_state
    tokens, targets = ids(1000), ids(1001)

    def cycle(x, y, z):
        for _ in range(N):
            z = net(x + y + z)
        return net(y + z), z

    y = z = torch.zeros(B, L, CONFIG["hidden_size"])
    steps = []
    for _ in range(STEPS):
        x = llama.model.embed_tokens(tokens) * CONFIG["hidden_size"] ** 0.5
        with torch.no_grad():
            for _ in range(T - 1):
                y, z = cycle(x, y, z)
        y, z = cycle(x, y, z)
        logits, q = llama.lm_head(y), head(y).squeeze(-1)
        loss = cross_entropy(logits.reshape(B * L, -1), targets.reshape(-1))
        right = (logits.argmax(-1) == targets).float()
        halting = binary_cross_entropy_with_logits(q, right)
        ((loss + 0.5 * halting) / STEPS).backward()
        steps.append({"loss": loss.item(), "halting": halting.item(), "right": int(right.sum()), "log_odds": q.flatten().tolist(),
                      "logits": logits[:, -1].flatten().tolist()})
        y, z = y.detach(), z.detach()
    gradients = {}
    for salt, (name, p) in enumerate(named):
        flat = p.grad.reshape(-1).double()
        at = [int(i) for i in hash32(np.arange(6), 2000 + salt) % np.uint32(flat.numel())]
        gradients[name] = {"norm": flat.norm().item(), "samples": [[i, flat[i].item()] for i in at]}
    out = {"versions": {"python": platform.python_version(), "torch": torch.__version__, "transformers": transformers.__version__},
           "hf_config": {**CONFIG, "rms_norm_eps": 1e-5},
           "recursion": {"latent_steps": N, "cycles": T, "supervision_steps": STEPS},
           "rows": B, "length": L, "steps": steps, "gradients": gradients}
    (HERE / "golden.json").write_text(json.dumps(out, indent=1) + "\n")


if __name__ == "__main__":
    main()
