import {
  add,
  backward,
  GraphError,
  memoryStats,
  mul,
  noGrad,
  parameter,
  scope,
  silu,
  sum,
  type Tensor,
  tensor,
  tidy,
} from './index.js';

const live = (): number => memoryStats().liveTensors;

describe('scope()', () => {
  it('frees what is not returned, at once', () => {
    const before = live();
    const y = scope(() => {
      const a = tensor([1, 2]);
      return add(add(a, a), 1);
    });
    expect([...y.toTypedArray()]).toEqual([3, 5]);
    expect(live()).toBe(before + 1);
    y.dispose();
    expect(live()).toBe(before);
  });

  it('lets arrays, objects and maps of tensors through', () => {
    const before = live();
    const out = scope(() => ({
      list: [tensor([1])],
      map: new Map([['k', tensor([2])]]),
      deep: { x: tensor([3]) },
    }));
    expect(out.list[0]?.item()).toBe(1);
    expect(out.map.get('k')?.item()).toBe(2);
    expect(out.deep.x.item()).toBe(3);
    expect(live()).toBe(before + 3);
    for (const x of [...out.list, ...out.map.values(), out.deep.x]) x.dispose();
  });

  it('hands what it returns to the scope around it', () => {
    const before = live();
    tidy(() => {
      const inner = scope(() => tensor([1]));
      expect(inner.isFreed).toBe(false);
    });
    expect(live()).toBe(before);
  });

  it('does not free kept tensors', () => {
    const before = live();
    let kept: Tensor | undefined;
    scope(() => {
      kept = tensor([1]).keep();
    });
    expect(kept?.item()).toBe(1);
    kept?.dispose();
    expect(live()).toBe(before);
  });

  it('frees everything when the function throws', () => {
    const before = live();
    expect(() =>
      scope(() => {
        tensor([1]);
        throw new Error('stop');
      }),
    ).toThrow('stop');
    expect(live()).toBe(before);
  });

  it('refuses a promise', () => {
    expect(() => scope(() => Promise.resolve(1))).toThrow(TypeError);
  });

  it('keeps what the graph of a returned tensor needs, and frees the rest', () => {
    const x = parameter(tensor([1, 2]));
    const before = live();
    const loss = scope(() => {
      const y = scope(() => add(silu(mul(x, 2)), 1)); // the product is saved, the silu is not
      return sum(mul(y, y));
    });
    expect(live()).toBe(before + 3); // product, y, loss
    backward(loss);
    expect(live()).toBe(before + 2); // loss, gradient
    loss.dispose();
    x.dispose();
  });

  it('frees an unused graph with its scope', () => {
    const x = parameter(tensor([1, 2]));
    const before = live();
    scope(() => {
      sum(mul(silu(x), x));
    });
    expect(live()).toBe(before);
    x.dispose();
  });

  it('leaves no tensor behind over many training steps', () => {
    const x = parameter(tensor([1, 2, 3]));
    const step = (): void => scope(() => backward(sum(mul(silu(x), x))));
    step();
    const before = live();
    for (let i = 0; i < 20; i++) step();
    expect(live()).toBe(before);
    x.dispose();
  });
});

describe('memory under backward()', () => {
  it('frees intermediates as it goes, except kept ones and the loss', () => {
    scope(() => {
      const x = parameter(tensor([1, 2]));
      const y = mul(x, x);
      const kept = silu(y).keep();
      const loss = sum(kept);
      backward(loss);
      expect([y.isFreed, kept.isFreed, loss.isFreed]).toEqual([true, false, false]);
      kept.dispose();
      x.dispose();
    });
  });

  it('refuses to change elements that a graph still needs', () => {
    scope(() => {
      const x = parameter(tensor([1, 2]));
      const y = silu(x);
      sum(mul(y, y));
      expect(() => y.write(Float32Array.of(0, 0))).toThrow(GraphError);
      const free = noGrad(() => silu(x));
      free.write(Float32Array.of(0, 0));
      expect([...free.toTypedArray()]).toEqual([0, 0]);
      x.dispose();
    });
  });
});
