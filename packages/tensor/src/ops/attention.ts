import { needsGraph, record } from '../autograd/record.js';
import { native } from '../backend.js';
import { ArgumentError } from '../errors.js';
import { productPrecision } from '../precision.js';
import type { Tensor } from '../tensor.js';
import { float, refuseShapes, result } from './operand.js';

/** Which keys a query sees, and how scores are scaled. */
export interface AttentionOptions {
  /** Only keys at positions up to the query's own. Default true. */
  readonly causal?: boolean;
  /** Only the last `window` positions up to the query's own; needs causal. 0 means all. Default 0. */
  readonly window?: number;
  /** Factor of the scores. Default 1/√D. */
  readonly scale?: number;
  /** Keys in use, for a cache that is not full: rows kvLength.. are ignored. Default S. */
  readonly kvLength?: number;
}

/**
 * softmax(scale · q kᵀ + mask) v with grouped heads: query head h reads key head ⌊h / (Hq/Hkv)⌋.
 * Query t sits at position kvLength − T + t.
 * @param q   f32 [B,T,Hq,D]
 * @param k   f32 [B,S,Hkv,D], Hkv divides Hq
 * @param v   f32 [B,S,Hkv,D]
 * @returns   f32 [B,T,Hq,D], a new buffer; 0 where a query sees no key
 * @throws ShapeError INVALID_ARGUMENT: batch, heads or D do not fit
 * @throws ArgumentError INVALID_ARGUMENT: a window without causal; kvLength outside 0..S, or below S while recording
 * @see Vaswani et al. 2017 eq. 1; Ainslie et al. 2023, arXiv:2305.13245 (grouped queries)
 */
export function attention(q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions = {}): Tensor {
  const [hq, hk, hv] = [
    float('attention', q, k, v),
    float('attention', k, q, v),
    float('attention', v, q, k),
  ];
  const [batch, , heads, width] = q.shape;
  const [kBatch, keys, kHeads, kWidth] = k.shape;
  const fits =
    [q, k, v].every((x) => x.shape.length === 4) &&
    batch === kBatch &&
    width === kWidth &&
    k.shape.every((n, i) => n === v.shape[i]) &&
    (heads as number) % (kHeads as number) === 0;
  if (!fits) refuseShapes('attention', 'must be [B,T,Hq,D] and twice [B,S,Hkv,D], Hkv dividing Hq', q, k, v);
  const { causal = true, window = 0, scale = 1 / Math.sqrt(width as number) } = options;
  const kvLength = options.kvLength ?? (keys as number);
  if (window > 0 && !causal) throw new ArgumentError(`attention: window ${window} needs causal`);
  const mayRound = productPrecision() === 'bf16';
  const isRecorded = needsGraph(q, k, v);
  if (isRecorded && kvLength !== keys) {
    throw new ArgumentError(`attention: kvLength ${kvLength} of ${keys} keys has no gradient; use noGrad()`);
  }
  const [o, lseHandle] = native().attention(hq, hk, hv, causal, window, scale, kvLength, mayRound);
  const out = result(o, q.shape);
  if (!isRecorded) {
    native().free(lseHandle);
    return out;
  }
  const lse = result(lseHandle, [batch as number, heads as number, q.shape[1] as number]);
  lse.isIntermediate = true;
  return record(out, [q, k, v], [q, k, v, out, lse], (node) => {
    const api = native();
    const [dq, dk, dv] = api.attentionBackward(
      node.gradient,
      q.handle,
      k.handle,
      v.handle,
      out.handle,
      lse.handle,
      causal,
      window,
      scale,
      mayRound,
    );
    if (q.requiresGrad) node.give(q, dq);
    else api.free(dq);
    if (k.requiresGrad) node.give(k, dk);
    else api.free(dk);
    if (v.requiresGrad) node.give(v, dv);
    else api.free(dv);
  });
}
