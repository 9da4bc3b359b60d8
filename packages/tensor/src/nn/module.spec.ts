import {
  backward,
  Embedding,
  Linear,
  Module,
  normalInit,
  Philox,
  RMSNorm,
  ShapeError,
  StateError,
  scope,
  sum,
  type Tensor,
  tensor,
} from '../index.js';

class Block extends Module {
  readonly q_proj: Linear;
  readonly input_layernorm = new RMSNorm(4);
  constructor(stream: Philox) {
    super();
    this.q_proj = new Linear(4, 4, { init: normalInit(stream, 1), bias: true });
  }
}

class Backbone extends Module {
  readonly embed_tokens: Embedding;
  readonly layers: readonly Block[];
  readonly width = 4;
  constructor(stream: Philox) {
    super();
    this.embed_tokens = new Embedding(3, 4, { init: normalInit(stream, 1) });
    this.layers = [new Block(stream), new Block(stream)];
  }
}

class Root extends Module {
  readonly model: Backbone;
  readonly lm_head: Tensor;
  constructor(seed: number) {
    super();
    this.model = new Backbone(new Philox(seed));
    this.lm_head = this.model.embed_tokens.weight;
  }
}

describe('Module', () => {
  it('names parameters by the fields that hold them; a tied one once', () => {
    const root = new Root(1);
    expect([...root.namedParameters().keys()].sort()).toEqual(
      [
        'model.embed_tokens.weight',
        'model.layers.0.input_layernorm.weight',
        'model.layers.0.q_proj.bias',
        'model.layers.0.q_proj.weight',
        'model.layers.1.input_layernorm.weight',
        'model.layers.1.q_proj.bias',
        'model.layers.1.q_proj.weight',
      ].sort(),
    );
    expect(root.parameterCount()).toBe(12 + 2 * (4 + 16 + 4));
    root.dispose();
  });

  it('names the modules below it, each before what it holds', () => {
    const root = new Root(1);
    expect(
      [...root.namedModules()].filter(
        ([name]) => name.startsWith('model.layers.1') || !name.includes('layers'),
      ),
    ).toEqual([
      ['model', root.model],
      ['model.embed_tokens', root.model.embed_tokens],
      ['model.layers.1', root.model.layers[1]],
      ['model.layers.1.q_proj', root.model.layers[1]?.q_proj],
      ['model.layers.1.input_layernorm', root.model.layers[1]?.input_layernorm],
    ]);
    root.dispose();
  });

  it('loads what another saved, from tensors and from arrays', () => {
    const [from, to] = [new Root(1), new Root(2)];
    const state = new Map([...from.stateDict()].map(([name, x]) => [name, x.toFloat32Array()]));
    expect(to.loadState(state)).toEqual({ missing: [], unexpected: [] });
    for (const [name, x] of to.namedParameters()) expect(x.toFloat32Array()).toEqual(state.get(name));
    expect(new Root(3).loadState(from.stateDict())).toEqual({ missing: [], unexpected: [] });
  });

  it('changes nothing when a name or a shape does not fit, and says which', () => {
    const root = new Root(1);
    const before = root.parameters().map((x) => x.toFloat32Array());
    const state = new Map<string, Tensor | Float32Array>(root.stateDict());
    state.set('model.embed_tokens.weight', tensor(new Float32Array(12), [4, 3]));
    expect(() => root.loadState(state)).toThrow(ShapeError);
    expect(() => root.loadState(state)).toThrow('model.embed_tokens.weight is [4,3], the parameter [3,4]');
    state.delete('model.embed_tokens.weight');
    state.set('other', new Float32Array(1));
    expect(() => root.loadState(state)).toThrow(StateError);
    expect(root.loadState(state, { strict: false })).toEqual({
      missing: ['model.embed_tokens.weight'],
      unexpected: ['other'],
    });
    expect(root.parameters().map((x) => x.toFloat32Array())).toEqual(before);
  });

  it('has layers that compute, and gradients that start anew', () => {
    const linear = new Linear(2, 1, { bias: true, init: () => tensor([2, 3], [1, 2]) });
    scope(() => {
      const y = linear.forward(tensor([1, 1, 5, 0], [2, 2]));
      expect([...y.toTypedArray()]).toEqual([5, 10]);
      backward(sum(y));
    });
    expect([...(linear.weight.grad?.toTypedArray() ?? [])]).toEqual([6, 1]);
    expect(linear.bias?.grad?.item()).toBe(2);
    linear.zeroGrad();
    expect(linear.weight.grad).toBeNull();
    linear.dispose();
    expect(linear.weight.isFreed).toBe(true);
  });
});
