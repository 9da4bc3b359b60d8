"""Golden values of llama models with scaled rotary positions and with biases, computed by transformers.

    python make_variants.py     writes variants.json into the folder of this script

Weights are functions of an index, as in make_golden.py: the parameters in the order of transformers, element by
element. config: as `save_pretrained` writes it. factors: what the angle of each pair is divided by. grads: of the mean
cross-entropy of the next token, for some parameters.
"""

import importlib.metadata
import json
import pathlib
import platform

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from make_golden import centred, rounded

HERE = pathlib.Path(__file__).parent
SHAPE = dict(vocab_size=96, hidden_size=32, num_hidden_layers=2, intermediate_size=40, num_attention_heads=4, num_key_value_heads=2,
             head_dim=8, max_position_embeddings=256, rms_norm_eps=1e-5, bos_token_id=0, eos_token_id=0, tie_word_embeddings=True)
# Wavelengths are 6, 63, 628 and 6283 tokens: llama3 leaves the first, blends the second, stretches the others.
LLAMA3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=128)
FIXED = [1.0, 1.5, 3.0, 7.0]
VARIANTS = {
    "plain": {},
    "linear": dict(rope_parameters=dict(rope_type="linear", factor=4.0, rope_theta=10000.0)),
    "llama3": dict(rope_parameters=dict(rope_theta=10000.0, **LLAMA3)),
    "factors": dict(rope_parameters=dict(rope_type="longrope", rope_theta=10000.0, short_factor=FIXED, long_factor=FIXED,
                                         factor=1.0, attention_factor=1.0, original_max_position_embeddings=256)),
    "attention-bias": dict(attention_bias=True),
    "mlp-bias": dict(mlp_bias=True),
    "all": dict(attention_bias=True, mlp_bias=True, rope_parameters=dict(rope_theta=50000.0, **LLAMA3)),
}
GRADS = ["model.layers.0.self_attn.q_proj.bias", "model.layers.0.self_attn.k_proj.bias", "model.layers.0.self_attn.v_proj.bias",
         "model.layers.1.self_attn.o_proj.bias", "model.layers.0.mlp.gate_proj.bias", "model.layers.0.mlp.up_proj.bias",
         "model.layers.1.mlp.down_proj.bias", "model.layers.0.input_layernorm.weight"]


def golden(fields, ids):
    config = LlamaConfig(attn_implementation="eager", **SHAPE, **fields)
    model = LlamaForCausalLM(config).float()
    with torch.no_grad():
        for salt, (name, p) in enumerate(model.named_parameters()):
            u = torch.from_numpy(centred(p.numel(), salt).reshape(p.shape))
            p.copy_(1 + 0.5 * u if name.endswith("norm.weight") else u)
    tokens = torch.tensor([ids])
    logits = model(tokens).logits[0]
    torch.nn.functional.cross_entropy(logits[:-1], tokens[0, 1:]).backward()
    parameters = dict(model.named_parameters())
    base = config.rope_parameters["rope_theta"] ** (-torch.arange(0, SHAPE["head_dim"], 2).double() / SHAPE["head_dim"])
    return {
        "config": json.loads(config.to_json_string()),
        "factors": [float(f"{x:.6g}") for x in (base / model.model.rotary_emb.inv_freq.double()).tolist()],
        # The last positions have seen all others.
        "logits": rounded(logits[-4:]),
        "grads": {name: rounded(parameters[name].grad) for name in GRADS if name in parameters},
    }


def main():
    torch.set_num_threads(1)
    ids = [(53 * i + 7 * (i // 5)) % SHAPE["vocab_size"] for i in range(160)]
    out = {
        "versions": {"python": platform.python_version(), **{p: importlib.metadata.version(p) for p in ["torch", "transformers", "numpy"]}},
        "ids": ids,
        "models": {name: golden(fields, ids) for name, fields in VARIANTS.items()},
    }
    (HERE / "variants.json").write_text(json.dumps(out, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
