import { at, axis, build, type Dense } from './dense.js';

// Taken out of Math once: looking a global up costs a microsecond inside jest's sandbox.
const { exp, floor, log, max } = Math;

/** Σ p (ln p − ln q) of each row's softmaxes. */
export function klDivergence(targets: Dense, logits: Dense): Dense {
  const width = axis(logits, -1);
  const logs = (x: Dense): Dense => {
    const sums = build([x.data.length / width], (row) => {
      const values = x.data.subarray(row * width, (row + 1) * width);
      const top = values.reduce((a, b) => max(a, b), Number.NEGATIVE_INFINITY);
      return top + log(values.reduce((total, value) => total + exp(value - top), 0));
    });
    return build(x.shape, (i) => at(x, i) - at(sums, floor(i / width)));
  };
  const [logP, logQ] = [logs(targets), logs(logits)];
  return build(logits.shape.slice(0, -1), (row) => {
    let total = 0;
    for (let i = row * width; i < (row + 1) * width; i++)
      total += exp(at(logP, i)) * (at(logP, i) - at(logQ, i));
    return total;
  });
}

/** h[t] = a[t]·h[t−1] + b[t] in each channel. */
export function linearScan(a: Dense, b: Dense, h0: Dense | null): Dense {
  const [time, channels] = [axis(a, 1), axis(a, 2)];
  const h = build(a.shape, () => 0);
  for (let i = 0; i < h.data.length; i++) {
    const t = floor(i / channels) % time;
    const entry = floor(i / (channels * time));
    const start = h0 === null ? 0 : at(h0, entry * channels + (i % channels));
    h.data[i] = at(a, i) * (t > 0 ? at(h, i - channels) : start) + at(b, i);
  }
  return h;
}

/** The k largest of each row, falling. */
export function topK(x: Dense, k: number): Dense {
  const width = axis(x, -1);
  return build([...x.shape.slice(0, -1), k], (i) => {
    const row = floor(i / k);
    return x.data.slice(row * width, (row + 1) * width).sort((a, b) => b - a)[i % k] ?? Number.NaN;
  });
}

/** softmax(scale · q kᵀ) v over the keys that a mask lets a query see. */
export function maskedAttention(
  q: Dense,
  k: Dense,
  v: Dense,
  sees: (query: number, key: number) => boolean,
  scale: number,
): Dense {
  const [queries, heads, width] = [axis(q, 1), axis(q, 2), axis(q, 3)];
  const [keys, kvHeads] = [axis(k, 1), axis(k, 2)];
  return build(q.shape, (i) => {
    const row = floor(i / width);
    const [head, t, batch] = [row % heads, floor(row / heads) % queries, floor(row / (heads * queries))];
    const from = (key: number): number =>
      ((batch * keys + key) * kvHeads + floor((head * kvHeads) / heads)) * width;
    let [total, mixed] = [0, 0];
    for (let key = 0; key < keys; key++) {
      if (!sees(t, key)) continue;
      let dot = 0;
      for (let d = 0; d < width; d++) dot += at(q, row * width + d) * at(k, from(key) + d);
      total += exp(dot * scale);
      mixed += exp(dot * scale) * at(v, from(key) + (i % width));
    }
    return total === 0 ? 0 : mixed / total;
  });
}

/** x with row i of `rows` added to its row index[i]. */
export function scatterAddRows(x: Dense, index: Dense, rows: Dense): Dense {
  const width = x.data.length / axis(x, 0);
  const sum = build(x.shape, (i) => at(x, i));
  rows.data.forEach((value, i) => {
    const to = at(index, floor(i / width)) * width + (i % width);
    sum.data[to] = at(sum, to) + value;
  });
  return sum;
}
