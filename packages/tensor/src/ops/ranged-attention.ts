import { needsGraph, record } from '../autograd/record.js';
import { native } from '../backend.js';
import { tensor } from '../create.js';
import type { Tensor } from '../tensor.js';
import { float, integer, refuseShapes, result } from './operand.js';

/**
 * Attention under any mask: query t sees the keys of its ranges, nothing else. Costs what is seen, so that sparse masks
 * (a prefix and one's own thought among many that grow in parallel) are cheap; dense causal ones are faster with
 * attention().
 * @param q       f32 [B,T,Hq,D]
 * @param k, v    f32 [B,S,Hkv,D], Hkv divides Hq
 * @param ranges  i32 [T,R,2]: [begin, end) of keys, ascending and disjoint per query; begin = end is empty. See keyRanges()
 * @param scale   factor of the scores; default 1/√D
 * @returns       f32 [B,T,Hq,D]; 0 where a query sees no key
 * @throws ShapeError, ArgumentError INVALID_ARGUMENT: shapes do not fit; ranges not ascending or outside the keys
 * @see Zelikman et al. 2024, arXiv:2403.09629 section 4.2
 */
export function rangedAttention(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  ranges: Tensor,
  { scale }: { readonly scale?: number } = {},
): Tensor {
  const op = 'rangedAttention';
  const operands = [float(op, q), float(op, k), float(op, v), integer(op, ranges)] as const;
  const [batch, queries, heads, width] = q.shape;
  if (q.shape.length !== 4) refuseShapes(op, 'must be [B,T,Hq,D] and twice [B,S,Hkv,D]', q, k, v);
  const factor = scale ?? 1 / Math.sqrt(width as number);
  const [o, lseHandle] = native().rangedAttention(...operands, factor);
  const out = result(o, q.shape);
  const lse = result(lseHandle, [batch as number, heads as number, queries as number]);
  if (!needsGraph(q, k, v)) {
    lse.dispose();
    return out;
  }
  lse.isIntermediate = true;
  return record(out, [q, k, v], [q, k, v, ranges, out, lse], (node) => {
    const api = native();
    const gradients = api.rangedAttentionBackward(
      node.gradient,
      q.handle,
      k.handle,
      v.handle,
      out.handle,
      lse.handle,
      ranges.handle,
      factor,
    );
    [q, k, v].forEach((input, i) => {
      const gradient = gradients[i] as number;
      if (input.requiresGrad) node.give(input, gradient);
      else api.free(gradient);
    });
  });
}

/**
 * The ranges of a mask, for rangedAttention().
 * @param queries, keys  sizes of the mask
 * @param sees           whether a query sees a key
 * @returns              i32 [queries, R, 2], R the most ranges that a query needs
 */
export function keyRanges(
  queries: number,
  keys: number,
  sees: (query: number, key: number) => boolean,
): Tensor {
  const lists = Array.from({ length: queries }, (_, query) => rangesOf(keys, (key) => sees(query, key)));
  const most = lists.reduce((top, list) => Math.max(top, list.length), 0);
  const data = new Int32Array(queries * most * 2);
  lists.forEach((list, query) => {
    for (let r = 0; r < most; r++) {
      const [begin, end] = list[r] ?? [keys, keys];
      data[(query * most + r) * 2] = begin;
      data[(query * most + r) * 2 + 1] = end;
    }
  });
  return tensor(data, [queries, most, 2]);
}

function rangesOf(keys: number, sees: (key: number) => boolean): [begin: number, end: number][] {
  const ranges: [number, number][] = [];
  for (let key = 0; key < keys; key++) {
    if (!sees(key)) continue;
    const last = ranges.at(-1);
    if (last?.[1] === key) last[1] = key + 1;
    else ranges.push([key, key + 1]);
  }
  return ranges;
}
