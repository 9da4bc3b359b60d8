/**
 * What is aimed for, by the name and shape of a figure: least ratio to the reference, or most of the value itself.
 * A figure without a line here is information.
 */
const TARGETS = [
  { name: /^training step$/, shape: /^(pico|small) /, reference: 'PyTorch', leastRatio: 1.5 },
  { name: /^training step bf16$/, shape: /^(pico|small) \d+x\d+$/, reference: 'PyTorch', leastRatio: 1.2 },
  { name: /^training step bf16$/, shape: /^small .*, cuda$/, reference: 'torch.compile', leastRatio: 1.2 },
  { name: /^training step memory( bf16)?$/, shape: /x\d+$/, reference: 'PyTorch', leastRatio: 1 },
  { name: /^matmul cube$/, shape: /^(1024|2048)x/, reference: 'multiply-add peak', leastRatio: 0.85 },
  { name: /^matmul cube$/, shape: /^256x/, reference: 'multiply-add peak', leastRatio: 0.7 },
  { name: /./, shape: /models once$/, reference: 'memory copy', leastRatio: 0.7 },
  { name: /^merge memory /, reference: 'mergekit', leastRatio: 1 },
  { name: /^merge (?!files )/, reference: 'mergekit', leastRatio: 5 },
  { name: /^seedlm encode M4$/, reference: 'multiply-add peak', leastRatio: 0.5 },
  { name: /^ternary row$/, reference: 'llama.cpp TQ2_0', leastRatio: 1.2 },
  { name: /^ternary row$/, reference: 'cuBLAS bf16', leastRatio: 3.5 },
  { name: /^quality$/, shape: /^pico, 90 s$/, mostValue: 2.45 },
  { name: /^generation$/, reference: 'llama.cpp F16', leastRatio: 1 },
  { name: /^op call from JavaScript$/, mostValue: 2 },
];

/** The figure with its target and whether it is met; both null when there is none. */
export function judged(figure) {
  const target = TARGETS.find(
    ({ name, shape, reference }) =>
      name.test(figure.name) &&
      (shape === undefined || shape.test(figure.shape)) &&
      (reference === undefined || reference === figure.reference),
  );
  if (target === undefined) return { ...figure, target: null, met: null };
  if (target.mostValue !== undefined) {
    return { ...figure, target: target.mostValue, met: figure.value <= target.mostValue };
  }
  return { ...figure, target: target.leastRatio, met: figure.ratio >= target.leastRatio };
}
