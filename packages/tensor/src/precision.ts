/** How the operands of dense products are rounded. */
export type Precision = 'f32' | 'bf16';

let inForce: Precision = 'f32';

/**
 * Mixed precision: dense products recorded by `fn`, and their gradients, round their operands to bf16 and sum in f32; so do
 * the products inside attention where the device has tensor cores. Tensors, gradients, everything that is not a product, and so
 * the weights an optimizer moves, stay f32. Works on every processor; made for those whose `backendInfo().isa` is
 * `avx512bf16`, and for GPUs. Synchronous; nests.
 * @see Micikevicius et al. 2018, arXiv:1710.03740 (f32 master weights); Kalamkar et al. 2019, arXiv:1905.12322 (bf16)
 */
export function autocast<T>(precision: Precision, fn: () => T): T {
  const before = inForce;
  inForce = precision;
  try {
    return fn();
  } finally {
    inForce = before;
  }
}

/** The precision of dense products right now. @internal */
export function productPrecision(): Precision {
  return inForce;
}
