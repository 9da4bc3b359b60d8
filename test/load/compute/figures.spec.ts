import { alone, compared, labelled, lineOf } from './figures.mjs';
import { judged } from './targets.mjs';

const step = (precision: string, isa: string, device = 'cpu', model = 'pico 16x128') => {
  const { suffix, shape } = labelled(model, precision, { device, isa });
  const reference = device === 'cpu' ? 'PyTorch' : 'torch.compile';
  const of = { name: `training step${suffix}`, shape, unit: 'tokens/s', reference };
  return judged(compared(of, [[8000, 4000]]));
};

const quality = (bitsPerByte: number) =>
  judged(alone({ name: 'quality', shape: 'pico, 90 s', unit: 'bits/byte' }, bitsPerByte));

describe('figures of the compute core', () => {
  it('compare by the median of the ratios of the rounds', () => {
    const of = { name: 'x', shape: 'y', unit: 'z', reference: 'r' };
    expect(
      compared(of, [
        [10, 5],
        [30, 10],
        [20, 20],
      ]),
    ).toMatchObject({ value: 20, referenceValue: 10, ratio: 2 });
    expect(compared(of, [[10, undefined]])).toEqual(alone(of, 10));
  });

  it('meet a target of quality with fewer bits, not with more', () => {
    expect(quality(2.45)).toMatchObject({ target: 2.45, met: true });
    expect(quality(2.46)).toMatchObject({ target: 2.45, met: false });
    expect(lineOf(quality(2.46))).toContain('(target 2.45: NOT met)');
  });

  it('keep bf16 apart from f32, and say where it is emulated', () => {
    expect(step('f32', 'avx2')).toMatchObject({ name: 'training step', shape: 'pico 16x128', target: 1.5 });
    const name = 'training step bf16';
    expect(step('bf16', 'avx512bf16')).toMatchObject({ name, shape: 'pico 16x128', target: 1.2 });
    expect(step('bf16', 'avx512vnni')).toMatchObject({ name, shape: 'pico 16x128, emulated', target: null });
  });

  it('keep a GPU apart from the processor, with targets of its own', () => {
    const small = step('bf16', 'avx2', 'cuda', 'small 32x512');
    expect(small).toMatchObject({ name: 'training step bf16', shape: 'small 32x512, cuda', target: 1.2 });
    expect(step('f32', 'avx2', 'cuda', 'small 32x512').target).toBeNull();
    const of = { name: 'ternary row', shape: '8192x8192, cuda', unit: 'GOP/s', reference: 'cuBLAS bf16' };
    expect(judged(compared(of, [[30, 10]]))).toMatchObject({ target: 3.5, met: false });
  });

  it('have lines without a reference when nothing is beside them', () => {
    expect(lineOf(judged(alone({ name: 'svd', shape: '256 x 256', unit: 'ms' }, 12.34)))).toMatch(
      /^svd +256 x 256 +12\.34 ms\s*$/,
    );
  });
});
