"""Golden files for packages/model, from PyTorch, transformers, tokenizers and safetensors.

    python make_golden.py [--text FILE]     writes into the folder of this script

--text: any UTF-8 text; its first 80 kB and some lines in other scripts become corpus.txt (kept when not given).
Weights and tokens are functions of an index (`hash32`), so the files hold results only.
"""

import argparse
import json
import pathlib
import platform
import random

import numpy as np
import safetensors
import safetensors.torch
import tokenizers
import torch
import transformers
from tokenizers import decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM

HERE = pathlib.Path(__file__).parent

CONFIGS = {
    # The preset `pico`.
    "pico": dict(vocab_size=1024, hidden_size=256, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
                 head_dim=64, intermediate_size=512, max_position_embeddings=256, rope_theta=10000.0,
                 tie_word_embeddings=True),
    # What the presets do not have: untied output, as many value heads as queries, a head width of its own, another base.
    "untied": dict(vocab_size=96, hidden_size=48, num_hidden_layers=2, num_attention_heads=3, num_key_value_heads=3,
                   head_dim=32, intermediate_size=80, max_position_embeddings=64, rope_theta=50000.0,
                   tie_word_embeddings=False),
}


def hash32(index, salt):
    """Murmur3's finaliser of index + salt * golden ratio: uint32, the same in TypeScript."""
    x = (np.asarray(index, dtype=np.uint64) + np.uint64(salt) * np.uint64(0x9E3779B9)).astype(np.uint32)
    x ^= x >> np.uint32(16)
    x = (x.astype(np.uint64) * np.uint64(0x85EBCA6B)).astype(np.uint32)
    x ^= x >> np.uint32(13)
    x = (x.astype(np.uint64) * np.uint64(0xC2B2AE35)).astype(np.uint32)
    x ^= x >> np.uint32(16)
    return x


def centred(count, salt):
    """Uniform in [-1/2, 1/2), 24 bits, exact in f32."""
    return (hash32(np.arange(count), salt) >> np.uint32(8)).astype(np.float64) / 2**24 - 0.5


def build(name):
    config = LlamaConfig(**CONFIGS[name], rms_norm_eps=1e-5, attention_bias=False, mlp_bias=False, hidden_act="silu",
                         bos_token_id=0, eos_token_id=0, attn_implementation="eager")
    model = LlamaForCausalLM(config).float()
    with torch.no_grad():
        for salt, (_, p) in enumerate(model.named_parameters()):
            u = centred(p.numel(), salt)
            values = 1 + 0.5 * u if p.dim() == 1 else 0.2 * u
            p.copy_(torch.from_numpy(values.astype(np.float32).reshape(p.shape)))
    return model


def tokens(shape, vocab, salt):
    return torch.from_numpy((hash32(np.arange(int(np.prod(shape))), salt) % np.uint32(vocab)).astype(np.int64)).reshape(shape)


def sample_indices(count, salt):
    return [int(i) for i in hash32(np.arange(8), salt) % np.uint32(count)]


def golden_model(name, out, tensors):
    model = build(name)
    vocab = CONFIGS[name]["vocab_size"]
    ids = tokens((2, 17), vocab, 1000)
    logits = model(ids[:, :-1]).logits.detach()
    tensors[f"{name}.logits"] = logits.contiguous()
    loss = torch.nn.functional.cross_entropy(logits.reshape(-1, vocab), ids[:, 1:].reshape(-1))
    prompt = tokens((1, 8), vocab, 1001)
    greedy = model.generate(prompt, attention_mask=torch.ones_like(prompt), do_sample=False, max_new_tokens=24,
                            eos_token_id=None, pad_token_id=0)[0, 8:]
    out[name] = {"hf_config": {**CONFIGS[name], "rms_norm_eps": 1e-5}, "loss": loss.item(), "greedy": greedy.tolist(),
                 "parameters": [[n, list(p.shape)] for n, p in model.named_parameters()],
                 "training": golden_training(model, vocab)}


def golden_training(model, vocab):
    """Ten steps of AdamW as GPT-style training does them: decay on matrices only, clip 1."""
    decay = [p for p in model.parameters() if p.dim() >= 2]
    plain = [p for p in model.parameters() if p.dim() < 2]
    options = {"lr": 3e-3, "betas": [0.9, 0.95], "eps": 1e-8, "weight_decay": 0.1, "clip": 1.0}
    optimizer = torch.optim.AdamW([{"params": decay, "weight_decay": 0.1}, {"params": plain, "weight_decay": 0.0}],
                                  lr=options["lr"], betas=tuple(options["betas"]), eps=options["eps"])
    steps, gradients = [], {}
    for step in range(10):
        ids = tokens((4, 33), vocab, 2000 + step % 3)
        logits = model(ids[:, :-1]).logits
        loss = torch.nn.functional.cross_entropy(logits.reshape(-1, vocab), ids[:, 1:].reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            for salt, (name, p) in enumerate(model.named_parameters()):
                flat = p.grad.reshape(-1)
                gradients[name] = {"norm": flat.double().norm().item(),
                                   "samples": [[i, flat[i].item()] for i in sample_indices(p.numel(), 3000 + salt)]}
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), options["clip"])
        optimizer.step()
        steps.append({"loss": loss.item(), "grad_norm": norm.item()})
    final = {n: p.detach().double().norm().item() for n, p in model.named_parameters()}
    return {"options": options, "steps": steps, "gradients": gradients, "final_norms": final}


def golden_tokenizer(text_path):
    corpus_path = HERE / "corpus.txt"
    if text_path is not None:
        text = pathlib.Path(text_path).read_bytes()[:80_000].decode("utf-8", errors="ignore")
        lines = ["Ünïcödé wörds, naïve café.", "привет мир, как дела?", "你好，世界。今天天气很好。", "مرحبا بالعالم",
                 "שלום עולם", "👩‍👩‍👧 emoji 🎉🎉 party", "x = 3.14159 + 2**10 - 0xFF;", "    four spaces\tand\ttabs",
                 "----------------", "aaaaaaaaaaaaaaaaaaaa", "I'm we've they'll don't it's you're he'd"]
        corpus_path.write_text(text + "\n" + "\n".join(lines * 20) + "\n", encoding="utf-8", newline="")
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=1024, min_frequency=2, special_tokens=["<|endoftext|>", "<|end|>"],
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator([corpus_path.read_bytes().decode("utf-8")], trainer)
    rng = random.Random(20)
    texts = ["", " ", "\n", "\r\n\t ", "<|endoftext|>", "a<|end|><|endoftext|> b", "\ufeffbom\ufeff", "a\u0085b \u0085", "\u00a0nbsp\u3000x",
             "e\u0301 \u0930\u094d\u0926\u0940", "'S 'Ll 's'll", "x" * 300, " " * 40, "\x00\x01\x7f"]
    ranges = [(0x20, 0x7F), (0x20, 0x7F), (0x09, 0x0E), (0xA0, 0x250), (0x370, 0x5FF), (0x900, 0x97F), (0x2000, 0x2070),
              (0x3040, 0x30FF), (0x4E00, 0x4F00), (0x1F300, 0x1F650), (0xE000, 0xE010), (0xFE00, 0xFE10)]
    for _ in range(200):
        parts = rng.choices(ranges, k=rng.randint(1, 3))
        texts.append("".join(chr(rng.randrange(*rng.choice(parts))) for _ in range(rng.randint(1, 40))))
    cases = [{"text": t, "ids": tokenizer.encode(t).ids} for t in texts]
    saved = json.loads(tokenizer.to_str())
    golden = {"vocab_size": tokenizer.get_vocab_size(), "vocab": saved["model"]["vocab"], "merges": saved["model"]["merges"], "cases": cases}
    (HERE / "tokenizer.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--text")
    torch.manual_seed(0)
    torch.set_num_threads(1)
    out = {"versions": {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__,
                        "transformers": transformers.__version__, "tokenizers": tokenizers.__version__,
                        "safetensors": safetensors.__version__}}
    tensors = {}
    for name in CONFIGS:
        golden_model(name, out, tensors)
    (HERE / "llama.json").write_text(json.dumps(out, separators=(",", ":")) + "\n")
    safetensors.torch.save_file(tensors, HERE / "logits.safetensors")
    golden_tokenizer(arguments.parse_args().text)


main()
