"""Loads a model folder in transformers, prints its logits for some texts, and saves it again.

    compare_logits.py FOLDER FOLDER_TO_SAVE_TO < texts.json
"""

import json
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

folder = sys.argv[1]
tokenizer = AutoTokenizer.from_pretrained(folder)
model, report = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
results = []
with torch.no_grad():
    for text in json.load(sys.stdin):
        ids = tokenizer(text, return_tensors="pt")["input_ids"]
        results.append({"ids": ids[0].tolist(), "logits": model(ids).logits[0].flatten().tolist()})
loading = {key: sorted(map(str, value)) for key, value in report.items() if key in ("missing_keys", "unexpected_keys", "mismatched_keys")}
model.save_pretrained(sys.argv[2])
tokenizer.save_pretrained(sys.argv[2])
json.dump({"class": type(model).__name__, "eos": tokenizer.eos_token_id, "loading": loading, "results": results}, sys.stdout)
