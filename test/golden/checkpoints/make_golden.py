"""Golden checkpoints for packages/model, written by transformers, tokenizers and gguf-py.

    python make_golden.py     writes into the folder of this script

hf-*: folders as `save_pretrained` leaves them. ternary.gguf: a llama that gguf-py wrote with TQ1_0 projections and a
Q8_0 embedding. golden.json: token ids, their logits in transformers, and checksums of tensors that gguf-py quantised
from weights which are functions of an index (`centred`, as in ../model/make_golden.py).
"""

import importlib.metadata
import json
import pathlib
import platform
import shutil
import zlib

import gguf
import numpy as np
import tokenizers
import torch
import transformers
from gguf import GGMLQuantizationType as T
from tokenizers import decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

HERE = pathlib.Path(__file__).parent
TEXT = "It is a truth universally acknowledged, that a single model in possession of good data must be in want of a test. "
VOCAB = 288

CHECKPOINTS = {
    # Tied, grouped queries, one file, f32.
    "hf-tied": (dict(num_attention_heads=4, num_key_value_heads=2, head_dim=8, tie_word_embeddings=True, rope_theta=10000.0),
                torch.float32, "1GB"),
    # Untied, a head width of its own, bf16, several files.
    "hf-sharded": (dict(num_attention_heads=2, num_key_value_heads=1, head_dim=24, tie_word_embeddings=False, rope_theta=50000.0),
                   torch.bfloat16, "20KB"),
    # As many key heads as query heads, f16.
    "hf-half": (dict(num_attention_heads=2, num_key_value_heads=2, head_dim=16, tie_word_embeddings=False, rope_theta=10000.0),
                torch.float16, "1GB"),
}


def hash32(index, salt):
    x = (np.asarray(index, dtype=np.uint64) + np.uint64(salt) * np.uint64(0x9E3779B9)).astype(np.uint32)
    x ^= x >> np.uint32(16)
    x = (x.astype(np.uint64) * np.uint64(0x85EBCA6B)).astype(np.uint32)
    x ^= x >> np.uint32(13)
    x = (x.astype(np.uint64) * np.uint64(0xC2B2AE35)).astype(np.uint32)
    x ^= x >> np.uint32(16)
    return x


def centred(count, salt):
    return ((hash32(np.arange(count), salt) >> np.uint32(8)).astype(np.float64) / 2**24 - 0.5).astype(np.float32)


def train_tokenizer():
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator([TEXT * 3], trainers.BpeTrainer(
        vocab_size=VOCAB, special_tokens=["<|endoftext|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False))
    return tokenizer


def logits_of(model, ids):
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0]


def rounded(logits):
    return [float(f"{x:.7g}") for x in logits.reshape(-1).tolist()]


def save_checkpoint(name, tokenizer, ids):
    fields, dtype, shard = CHECKPOINTS[name]
    config = LlamaConfig(vocab_size=VOCAB, hidden_size=32, num_hidden_layers=2, intermediate_size=48,
                         max_position_embeddings=64, rms_norm_eps=1e-5, bos_token_id=0, eos_token_id=0,
                         attn_implementation="eager", **fields)
    model = LlamaForCausalLM(config).float()
    with torch.no_grad():
        for salt, (_, p) in enumerate(model.named_parameters()):
            u = torch.from_numpy(centred(p.numel(), salt).reshape(p.shape))
            p.copy_(1 + 0.5 * u if p.dim() == 1 else u)
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    model.to(dtype).save_pretrained(folder, max_shard_size=shard)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<|endoftext|>", eos_token="<|endoftext|>").save_pretrained(folder)
    # The stored weights, computed with in f32, as the reader does.
    return rounded(logits_of(LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager"), ids))


# ---- GGUF

SHAPE = dict(hidden_size=256, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1, head_dim=128, intermediate_size=256)


def permute(weights, n_head):
    """Rows of q and k as llama.cpp's converter orders them for the architecture llama."""
    return weights.reshape(n_head, 2, weights.shape[0] // n_head // 2, *weights.shape[1:]).swapaxes(1, 2).reshape(weights.shape)


def ternary_model():
    config = LlamaConfig(vocab_size=VOCAB, max_position_embeddings=64, rms_norm_eps=1e-5, bos_token_id=0, eos_token_id=0,
                         tie_word_embeddings=True, rope_theta=10000.0, attn_implementation="eager", **SHAPE)
    model = LlamaForCausalLM(config).float()
    with torch.no_grad():
        for salt, (_, p) in enumerate(model.named_parameters()):
            n = p.numel()
            if p.dim() == 1:
                values = 1 + 0.5 * centred(n, salt)
            elif salt == 0:
                values = centred(n, salt)
            else:
                values = np.float32(0.0625) * ((hash32(np.arange(n), salt) % np.uint32(3)).astype(np.float32) - 1)
            p.copy_(torch.from_numpy(np.asarray(values, dtype=np.float32).reshape(p.shape)))
    return model


NAMES = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
         "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
         "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}


def gguf_name(name):
    if name == "model.embed_tokens.weight":
        return "token_embd.weight"
    if name == "model.norm.weight":
        return "output_norm.weight"
    _, _, layer, part = name.removesuffix(".weight").split(".", 3)
    return f"blk.{layer}.{NAMES[part]}.weight"


def gguf_values(model):
    for name, p in model.named_parameters():
        values = p.detach().numpy()
        if name.endswith("q_proj.weight"):
            values = permute(values, SHAPE["num_attention_heads"])
        if name.endswith("k_proj.weight"):
            values = permute(values, SHAPE["num_key_value_heads"])
        yield name, np.ascontiguousarray(values)


def write_gguf(model, tokenizer, ids):
    writer = gguf.GGUFWriter(HERE / "ternary.gguf", "llama")
    writer.add_name("ternary")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_TQ1_0)
    writer.add_quantization_version(2)
    writer.add_context_length(64)
    writer.add_embedding_length(SHAPE["hidden_size"])
    writer.add_block_count(1)
    writer.add_feed_forward_length(SHAPE["intermediate_size"])
    writer.add_head_count(SHAPE["num_attention_heads"])
    writer.add_head_count_kv(SHAPE["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(SHAPE["head_dim"])
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(VOCAB)
    vocab = tokenizer.get_vocab()
    tokens = sorted(vocab, key=vocab.get)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([3 if t == "<|endoftext|>" else 1 for t in tokens])
    writer.add_token_merges([" ".join(m) for m in json.loads(tokenizer.to_str())["model"]["merges"]])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    state = {}
    for name, values in gguf_values(model):
        kind = T.F32 if values.ndim == 1 else T.Q8_0 if name.startswith("model.embed") else T.TQ1_0
        writer.add_tensor(gguf_name(name), gguf.quants.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    # What the file holds: only the embedding was rounded.
    embedding = model.model.embed_tokens.weight
    with torch.no_grad():
        q8 = gguf.quants.quantize(embedding.numpy(), T.Q8_0)
        embedding.copy_(torch.from_numpy(gguf.quants.dequantize(q8, T.Q8_0)))
    return rounded(logits_of(model, ids))


def crcs(kind_of):
    """Checksum of each tensor as gguf-py quantises it."""
    return {gguf_name(name): zlib.crc32(gguf.quants.quantize(values, kind_of(name, values)).tobytes())
            for name, values in gguf_values(ternary_model())}


def main():
    torch.set_num_threads(1)
    tokenizer = train_tokenizer()
    ids = tokenizer.encode(TEXT[:60]).ids[:12]
    def body(kind, embedding):
        return lambda name, v: T.F32 if v.ndim == 1 else embedding if name.startswith("model.embed") else kind
    normals = np.float32(0.3) * centred(8192, 77).reshape(8, 1024)
    out = {
        "versions": {"python": platform.python_version(), **{p: importlib.metadata.version(p) for p in
                     ["torch", "transformers", "tokenizers", "safetensors", "gguf", "numpy"]}},
        "ids": ids,
        "text": TEXT[:60],
        "logits": {name: save_checkpoint(name, tokenizer, ids) for name in CHECKPOINTS},
        "crcs": {"f16": crcs(body(T.F16, T.F16)), "q8_0": crcs(body(T.Q8_0, T.Q8_0)), "tq1_0": crcs(body(T.TQ1_0, T.F16)),
                 "tq2_0": crcs(body(T.TQ2_0, T.F16))},
        "blocks": {k.name: zlib.crc32(gguf.quants.quantize(normals, k).tobytes()) for k in [T.F16, T.BF16, T.Q8_0, T.TQ1_0, T.TQ2_0]},
        "decoded": {k.name: zlib.crc32(gguf.quants.dequantize(gguf.quants.quantize(normals, k), k).astype(np.float32).tobytes())
                    for k in [T.F16, T.BF16, T.Q8_0, T.TQ1_0, T.TQ2_0]},
    }
    out["logits"]["ternary.gguf"] = write_gguf(ternary_model(), tokenizer, ids)
    (HERE / "golden.json").write_text(json.dumps(out, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
