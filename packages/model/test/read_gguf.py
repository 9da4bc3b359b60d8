"""Reads a GGUF file with gguf-py and prints what is in it as JSON: python read_gguf.py FILE"""

import json
import sys
import zlib

import gguf
import numpy as np

reader = gguf.GGUFReader(sys.argv[1])
fields = {name: field.contents() for name, field in reader.fields.items() if not name.startswith("GGUF.")}
tensors = {
    tensor.name: {
        "type": tensor.tensor_type.name,
        "shape": [int(n) for n in reversed(tensor.shape)],
        "crc": zlib.crc32(np.ascontiguousarray(gguf.quants.dequantize(tensor.data, tensor.tensor_type), dtype=np.float32).tobytes()),
    }
    for tensor in reader.tensors
}
json.dump({"fields": fields, "tensors": tensors}, sys.stdout)
