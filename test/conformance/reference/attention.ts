import { at, axis, build, type Dense } from './dense.js';

// Taken out of Math once: looking a global up costs a microsecond inside jest's sandbox.
const { cos, exp, floor, max, sin } = Math;

/** Which keys a query sees. */
export interface Mask {
  readonly causal: boolean;
  readonly window: number;
  readonly scale: number;
  readonly kvLength?: number;
}

/** softmax(scale · q kᵀ + mask) v, one query and head at a time; Vaswani et al. 2017 eq. 1, grouped heads. */
export function attention(q: Dense, k: Dense, v: Dense, { causal, window, scale, ...rest }: Mask): Dense {
  const [queries, heads, width] = [axis(q, 1), axis(q, 2), axis(q, 3)];
  const [keys, kvHeads] = [axis(k, 1), axis(k, 2)];
  const kvLength = rest.kvLength ?? keys;
  const out = build(q.shape, () => 0);
  for (let row = 0; row < axis(q, 0) * queries * heads; row++) {
    const head = row % heads;
    const t = floor(row / heads) % queries;
    const batch = floor(row / (heads * queries));
    const position = kvLength - queries + t;
    const rowOf = (s: number): number =>
      ((batch * keys + s) * kvHeads + floor((head * kvHeads) / heads)) * width;
    const seen = Array.from({ length: kvLength }, (_, s) => s).filter(
      (s) => (!causal || s <= position) && (window === 0 || s > position - window),
    );
    const scores = seen.map((s) => {
      let dot = 0;
      for (let d = 0; d < width; d++) dot += at(q, row * width + d) * at(k, rowOf(s) + d);
      return dot * scale;
    });
    const top = max(...scores);
    const weights = scores.map((score) => exp(score - top));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    seen.forEach((s, i) => {
      for (let d = 0; d < width; d++) {
        out.data[row * width + d] =
          at(out, row * width + d) + ((weights[i] ?? 0) / total) * at(v, rowOf(s) + d);
      }
    });
  }
  return out;
}

/** Pair i of row t turned by (position0 + t) · theta^(−2i/D) / factors[i]; Su et al. 2021 eq. 34. */
export function rope(
  x: Dense,
  position0: number,
  theta: number,
  pairing: 'neox' | 'norm',
  factors: readonly number[] = [],
): Dense {
  const [length, heads, width] = [axis(x, 1), axis(x, 2), axis(x, 3)];
  const half = width / 2;
  return build(x.shape, (i) => {
    const d = i % width;
    const t = floor(i / (width * heads)) % length;
    const pair = pairing === 'neox' ? d % half : floor(d / 2);
    const isFirst = pairing === 'neox' ? d < half : d % 2 === 0;
    const other = pairing === 'neox' ? (isFirst ? i + half : i - half) : isFirst ? i + 1 : i - 1;
    const angle = (position0 + t) * (theta ** ((-2 * pair) / width) / (factors[pair] ?? 1));
    return at(x, i) * cos(angle) + (isFirst ? -1 : 1) * at(x, other) * sin(angle);
  });
}
