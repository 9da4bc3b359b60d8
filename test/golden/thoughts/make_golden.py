"""Golden values of Quiet-STaR's loss and gradients, from PyTorch and transformers.

    python make_golden.py     writes golden.json into the folder of this script

A small Llama of transformers gets all tokens and thoughts as embeddings, with an explicit mask and positions; the mixing head,
the rewards and the loss are written out in PyTorch. Weights and ids are functions of an index (`hash32`).
"""

import json
import pathlib
import platform

import numpy as np
import torch
import transformers
from torch.nn.functional import cross_entropy, linear
from transformers import LlamaConfig, LlamaForCausalLM

HERE = pathlib.Path(__file__).parent
CONFIG = dict(vocab_size=29, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=8,
              intermediate_size=40, max_position_embeddings=64, rope_theta=10000.0, tie_word_embeddings=True)
# Sequences S, tokens T, thoughts J per token, tokens n of a thought, tokens predicted ahead.
S, T, J, N, AHEAD = 2, 6, 2, 3, 2
PLAIN_WEIGHT, POLICY_WEIGHT, TEMPERATURE = 0.5, 0.7, 1.3
HEAD = {"input": (32, 64), "hidden": (32, 32), "output": (1, 32)}


def hash32(index, salt):
    x = (np.asarray(index, dtype=np.uint64) + np.uint64(salt) * np.uint64(0x9E3779B9)).astype(np.uint32)
    x ^= x >> np.uint32(16)
    x = (x.astype(np.uint64) * np.uint64(0x85EBCA6B)).astype(np.uint32)
    x ^= x >> np.uint32(13)
    x = (x.astype(np.uint64) * np.uint64(0xC2B2AE35)).astype(np.uint32)
    x ^= x >> np.uint32(16)
    return x


def centred(shape, salt):
    count = int(np.prod(shape))
    values = (hash32(np.arange(count), salt) >> np.uint32(8)).astype(np.float64) / 2**24 - 0.5
    return torch.from_numpy(values.astype(np.float32).reshape(shape))


def ids(shape, salt):
    count = int(np.prod(shape))
    return torch.from_numpy((hash32(np.arange(count), salt) % np.uint32(29)).astype(np.int64).reshape(shape))


def build():
    config = LlamaConfig(**CONFIG, rms_norm_eps=1e-5, attention_bias=False, mlp_bias=False, hidden_act="silu",
                         bos_token_id=0, eos_token_id=0, attn_implementation="eager")
    model = LlamaForCausalLM(config).float()
    with torch.no_grad():
        for salt, (_, p) in enumerate(model.named_parameters()):
            u = centred(tuple(p.shape), salt)
            p.copy_(1 + 0.5 * u if p.dim() == 1 else u)
    marks = torch.nn.Parameter(2 * centred((3, 32), 500))
    head = {}
    for i, (name, shape) in enumerate(HEAD.items()):
        head[f"{name}.weight"] = torch.nn.Parameter(centred(shape, 600 + 2 * i))
        head[f"{name}.bias"] = torch.nn.Parameter(centred((shape[0],), 601 + 2 * i))
    return model, marks, head


def hidden_states(model, marks, tokens, thoughts):
    """Column i of block b: the text, then element b - 1 of the thought that begins after token i; each at position i + b."""
    rows = tokens.shape[0]
    embed = model.model.embed_tokens
    mark = lambda index: marks[index].expand(rows, T, -1)
    later = lambda k: embed(torch.cat([tokens[:, k:], tokens[:, -1:].expand(-1, k)], 1)) if k else embed(tokens)
    inner = [mark(2)] * N if thoughts is None else [embed(thoughts[:, place]) for place in range(N)]
    blocks = [embed(tokens), mark(0), *inner, mark(1), *[later(k) for k in range(1, AHEAD)]]
    count = len(blocks)
    block, column = torch.arange(count * T) // T, torch.arange(count * T) % T
    sees = torch.zeros(count * T, count * T, dtype=torch.bool)
    for q in range(count * T):
        text = (block == 0) & (column <= column[q])
        own = (block >= 1) & (block <= block[q]) & (column == column[q])
        sees[q] = text | own
    mask = torch.where(sees, 0.0, torch.finfo(torch.float32).min)[None, None].expand(rows, 1, -1, -1)
    out = model.model(inputs_embeds=torch.cat(blocks, 1), attention_mask=mask,
                      position_ids=(column + block)[None].expand(rows, -1), use_cache=False)
    return out.last_hidden_state.reshape(rows, count, T, -1)


def golden(kind):
    model, marks, head = build()
    count = J if kind == "thoughts" else 1
    tokens, targets = ids((S, T), 1000).repeat(count, 1), ids((S, T), 1001).repeat(count, 1)
    thoughts = ids((count * S, N, T), 1002) if kind == "thoughts" else None
    h = hidden_states(model, marks, tokens, thoughts)
    logits = h @ model.model.embed_tokens.weight.T
    talk, plain_nats = [], cross_entropy(logits[:, 0].reshape(-1, 29), targets.reshape(-1))
    shares = []
    for k in range(AHEAD):
        last = T - k
        plain, thought = h[:, 0, k:], h[:, N + 2 + k, :last]
        x = torch.relu(linear(torch.cat([plain, thought], -1), head["input.weight"], head["input.bias"]))
        x = torch.relu(linear(x, head["hidden.weight"], head["hidden.bias"]))
        w = torch.sigmoid(linear(x, head["output.weight"], head["output.bias"]))
        shares.append(w)
        mixed = w * logits[:, 0, k:] + (1 - w) * logits[:, N + 2 + k, :last]
        nats = cross_entropy(mixed.reshape(-1, 29), targets[:, k:].reshape(-1), reduction="none").reshape(-1, last)
        talk.append(torch.nn.functional.pad(nats, (0, k)))
    talk = torch.stack(talk)
    predicted = count * S * sum(T - k for k in range(AHEAD))
    loss = talk.sum() / predicted + PLAIN_WEIGHT * plain_nats
    rewards = None
    if kind == "thoughts":
        log_p = -talk.sum(0).reshape(J, S * T).detach()
        rewards = log_p - log_p.mean(0)
        nats = cross_entropy(logits[:, 1:N + 1].reshape(-1, 29) / TEMPERATURE, thoughts.reshape(-1), reduction="none")
        nats = nats.reshape(J * S, N, T).sum(1).reshape(J, S * T)
        loss = loss + POLICY_WEIGHT * (rewards.clamp(min=0) * nats).mean()
    loss.backward()
    named = [("thought_tokens", marks), *[(f"mixing_head.{n}", p) for n, p in head.items()],
             *[(f"llama.{n}", p) for n, p in model.named_parameters()]]
    gradients = {}
    for salt, (name, p) in enumerate(named):
        flat = (torch.zeros_like(p) if p.grad is None else p.grad).reshape(-1).double()
        at = [int(i) for i in hash32(np.arange(6), 2000 + salt) % np.uint32(flat.numel())]
        gradients[name] = {"norm": flat.norm().item(), "samples": [[i, flat[i].item()] for i in at]}
    return {"loss": loss.item(), "talk_nats": (talk.sum() / predicted).item(), "plain_nats": plain_nats.item(),
            "reward_nats": 0.0 if rewards is None else rewards.abs().mean().item(), "gradients": gradients}


if __name__ == "__main__":
    out = {"versions": {"python": platform.python_version(), "torch": torch.__version__, "transformers": transformers.__version__},
           "hf_config": {**CONFIG, "rms_norm_eps": 1e-5},
           "sizes": {"sequences": S, "length": T, "thoughts": J, "thought_length": N, "ahead": AHEAD},
           "weights": {"plain": PLAIN_WEIGHT, "policy": POLICY_WEIGHT, "temperature": TEMPERATURE},
           "thoughts": golden("thoughts"), "pause": golden("pause")}
    (HERE / "golden.json").write_text(json.dumps(out, indent=1) + "\n")
