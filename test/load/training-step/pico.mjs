// The pico model written on the public API of @agentforge/tensor, for measuring only; the product's model is packages/model.
import {
  AdamW,
  add,
  attention,
  backward,
  clipGradNorm,
  crossEntropy,
  decayGroups,
  Embedding,
  Linear,
  linear,
  Module,
  normalInit,
  Philox,
  RMSNorm,
  reshape,
  rope,
  scope,
  swiglu,
  tensor,
} from '@agentforge/tensor';

class Attention extends Module {
  constructor(shape, init) {
    super();
    const width = shape.dim / shape.heads;
    this.shape = { ...shape, width };
    this.q_proj = new Linear(shape.dim, shape.dim, { init });
    this.k_proj = new Linear(shape.dim, shape.kvHeads * width, { init });
    this.v_proj = new Linear(shape.dim, shape.kvHeads * width, { init });
    this.o_proj = new Linear(shape.dim, shape.dim, { init });
  }

  forward(x) {
    const [batch, length] = x.shape;
    const { heads, kvHeads, width, dim } = this.shape;
    const split = (y, count) => reshape(y, [batch, length, count, width]);
    const q = rope(split(this.q_proj.forward(x), heads));
    const k = rope(split(this.k_proj.forward(x), kvHeads));
    const o = attention(q, k, split(this.v_proj.forward(x), kvHeads));
    return this.o_proj.forward(reshape(o, [batch, length, dim]));
  }
}

class Block extends Module {
  constructor(shape, init) {
    super();
    this.input_layernorm = new RMSNorm(shape.dim);
    this.self_attn = new Attention(shape, init);
    this.post_attention_layernorm = new RMSNorm(shape.dim);
    this.gate_proj = new Linear(shape.dim, shape.ffn, { init });
    this.up_proj = new Linear(shape.dim, shape.ffn, { init });
    this.down_proj = new Linear(shape.ffn, shape.dim, { init });
  }

  forward(x) {
    const h = add(x, this.self_attn.forward(this.input_layernorm.forward(x)));
    const n = this.post_attention_layernorm.forward(h);
    return add(h, this.down_proj.forward(swiglu(this.gate_proj.forward(n), this.up_proj.forward(n))));
  }
}

export class Pico extends Module {
  constructor(shape, stream) {
    super();
    const init = normalInit(stream, 0.02);
    this.embed_tokens = new Embedding(shape.vocab, shape.dim, { init });
    this.layers = Array.from({ length: shape.layers }, () => new Block(shape, init));
    this.norm = new RMSNorm(shape.dim);
  }

  forward(ids) {
    let x = this.embed_tokens.forward(ids);
    for (const layer of this.layers) x = layer.forward(x);
    return linear(this.norm.forward(x), this.embed_tokens.weight); // tied
  }
}

/** Trains on `steps` random batches; returns tokens per second of each step and the last loss. */
export function trainer(shape, seed = 1) {
  const stream = new Philox(seed);
  const model = new Pico(shape, stream.stream('init'));
  const optimizer = new AdamW(decayGroups(model, 0.1), { lr: 3e-3, betas: [0.9, 0.95] });
  const parameters = model.parameters();
  const data = stream.stream('data');
  const { batch, length, vocab } = shape;
  return (steps) => {
    const rates = [];
    let loss = Number.NaN;
    for (let step = 0; step < steps; step++) {
      const rows = Int32Array.from({ length: batch * length + 1 }, () => data.integer(vocab));
      const start = performance.now();
      loss = scope(() => {
        const ids = tensor(rows.subarray(0, -1), [batch, length]);
        const targets = tensor(rows.subarray(1), [batch, length]);
        optimizer.zeroGrad();
        const mean = crossEntropy(model.forward(ids), targets);
        backward(mean);
        optimizer.step({ gradScale: clipGradNorm(parameters, 1).scale });
        return mean.item();
      });
      rates.push((batch * length * 1000) / (performance.now() - start));
    }
    return { rates, loss };
  };
}
