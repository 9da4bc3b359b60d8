import { type Philox } from '@agentforge/tensor';
import { at, axis, build, type Dense } from './dense.js';

// Taken out of Math once: looking a global up costs a microsecond inside jest's sandbox.
const { abs, acos, cos, exp, floor, fround, log, max, min, sign, sin, sqrt } = Math;

/** Merges as their papers and mergekit state them; deltas are rounded to f32, as a stored task vector is. */
export function linear(models: readonly Dense[], weights: readonly number[], normalize: boolean): Dense {
  const total = sum(weights);
  const scale = normalize && abs(total) >= 1e-8 ? 1 / total : 1;
  return combine(
    models,
    weights.map((weight) => weight * scale),
  );
}

/** Great-circle interpolation between the directions, applied to the tensors; straight when nearly parallel. */
export function slerp(a: Dense, b: Dense, t: number): Dense {
  const cosine = dot(a, b) / (norm(a) * norm(b));
  if (abs(cosine) > 0.9995) return combine([a, b], [1 - t, t]);
  const angle = acos(cosine);
  return combine([a, b], [sin((1 - t) * angle) / sin(angle), sin(t * angle) / sin(angle)]);
}

/** base + slerp of the deltas, without the tolerance for parallel ones. */
export function nuslerp(a: Dense, b: Dense, base: Dense, t: number): Dense {
  const [da, db] = [delta(a, base), delta(b, base)];
  const angle = acos(dot(da, db) / (norm(da) * norm(db)));
  const mixed = combineExactly([da, db], [sin((1 - t) * angle) / sin(angle), sin(t * angle) / sin(angle)]);
  return build(base.shape, (i) => fround(at(base, i) + at(mixed, i)));
}

/** Mean direction times mean norm. */
export function multislerp(models: readonly Dense[], weights: readonly number[]): Dense {
  const total = sum(weights);
  const shares = weights.map((weight) => weight / total);
  const mean = combineExactly(
    models,
    shares.map((share, i) => share / norm(models[i] as Dense)),
  );
  const size = sum(shares.map((share, i) => share * norm(models[i] as Dense)));
  return combine([mean], [size / norm(mean)]);
}

/** Fixed-point iteration on the vectors themselves. */
export function karcher(models: readonly Dense[], iterations: number): Dense {
  const units = models.map((model) => combineExactly([model], [1 / norm(model)]));
  const share = 1 / models.length;
  let mean = combineExactly(
    units,
    units.map(() => share),
  );
  mean = combineExactly([mean], [1 / norm(mean)]);
  for (let k = 0; k < iterations; k++) {
    const tangents = units.map((unit) => {
      const cosine = min(1, max(-1, dot(mean, unit)));
      const angle = acos(cosine);
      return combineExactly([unit, mean], [angle / sin(angle), (-cosine * angle) / sin(angle)]);
    });
    const step = combineExactly(
      tangents,
      tangents.map(() => share),
    );
    if (norm(step) < 1e-5) break;
    mean = combineExactly([mean, step], [cos(norm(step)), sin(norm(step)) / norm(step)]);
  }
  return combine([mean], [share * sum(models.map(norm))]);
}

/** The point between base and mean that the mean angle asks for. */
export function modelStock(base: Dense, models: readonly Dense[]): Dense {
  const deltas = models.map((model) => delta(model, base));
  const cosines = deltas.flatMap((a, i) => deltas.slice(i + 1).map((b) => dot(a, b) / (norm(a) * norm(b))));
  const cosine = sum(cosines) / cosines.length;
  const t = (models.length * cosine) / (1 + (models.length - 1) * cosine);
  return combine([...models, base], [...models.map(() => t / models.length), 1 - t]);
}

/** How task vectors are made sparse and mixed. */
export interface Mixing {
  readonly weights: readonly number[];
  readonly keep: (delta: Dense, model: number) => boolean[];
  readonly rescale: 'none' | 'match_l1' | 'inverse_density';
  readonly density: number;
  readonly consensus: boolean;
  readonly normalize: boolean;
  readonly lambda: number;
}

/** base + λ · mix of what stays of each delta. */
export function taskVectors(base: Dense, models: readonly Dense[], how: Mixing): Dense {
  const deltas = models.map((model, m) => {
    const whole = delta(model, base);
    const stays = how.keep(whole, m);
    const kept = build(whole.shape, (i) => (stays[i] === true ? at(whole, i) : 0));
    const factor = { none: 1, inverse_density: 1 / how.density, match_l1: l1(whole) / l1(kept) }[how.rescale];
    return build(whole.shape, (i) => fround(at(kept, i) * factor));
  });
  return build(base.shape, (i) => {
    const shares = deltas.map((d, m) => (how.weights[m] ?? 0) * at(d, i));
    const elected = sum(shares) >= 0 ? 1 : -1;
    const counts = shares.map((share) => !how.consensus || sign(share) === elected);
    const weight = sum(how.weights.filter((_, m) => counts[m] === true));
    const divisor = how.normalize && abs(weight) >= 1e-8 ? weight : 1;
    return fround(at(base, i) + (how.lambda * sum(shares.filter((_, m) => counts[m] === true))) / divisor);
  });
}

/** Everything stays. */
export function keepAll(d: Dense): boolean[] {
  return [...d.data].map(() => true);
}

/** The ⌊density·n⌋ largest stay, after the ⌊gamma·n⌋ very largest went; of equal ones the first are the larger. */
export function keepLargest(density: number, gamma = 0): (d: Dense) => boolean[] {
  return (d) => {
    const n = d.data.length;
    const [wanted, outliers] = [floor(density * n), floor(gamma * n)];
    const order = Array.from({ length: n }, (_, i) => i).sort(
      (a, b) => abs(at(d, b)) - abs(at(d, a)) || a - b,
    );
    const dropped = min(outliers, n - wanted);
    const stays = new Set(order.slice(dropped, dropped + wanted));
    return order.map((_, i) => stays.has(i));
  };
}

/** Each stays with that probability, decided by its model's stream. */
export function keepRandomly(density: number, stream: Philox): (d: Dense, model: number) => boolean[] {
  return (d, model) => {
    const mask = stream.stream(`source-${model}`);
    return [...d.data].map(() => mask.float() < density);
  };
}

/** The probability grows with the rank within the row (all but the first axis). */
export function keepByRank(
  density: number,
  epsilon: number,
  stream: Philox,
): (d: Dense, model: number) => boolean[] {
  return (d, model) => {
    const mask = stream.stream(`source-${model}`);
    const width = d.shape.length < 2 ? d.data.length : d.data.length / axis(d, 0);
    const ranks = new Float64Array(d.data.length);
    for (let first = 0; first < d.data.length; first += width) {
      const order = Array.from({ length: width }, (_, j) => first + j);
      order.sort((i, j) => abs(at(d, i)) - abs(at(d, j)) || i - j);
      for (const [rank, i] of order.entries()) ranks[i] = rank;
    }
    return [...ranks].map((rank) => mask.float() < density - epsilon + (rank / (width - 1)) * 2 * epsilon);
  };
}

/** Select by variance, weight by energy, erase the minority sign. */
export function sce(base: Dense, models: readonly Dense[], topk: number): Dense {
  const all = models.map((model) => delta(model, base));
  const variance = build(base.shape, (i) => {
    const values = all.map((d) => at(d, i));
    const mean = sum(values) / values.length;
    return fround(sum(values.map((value) => (value - mean) ** 2)) / values.length);
  });
  const moved = variance.data.filter((value) => value !== 0).length;
  const selected =
    topk >= 1 ? keepAll(base) : keepLargest(floor(moved * topk) / variance.data.length)(variance);
  const deltas = all.map((d) => build(d.shape, (i) => (selected[i] === true ? at(d, i) : 0)));
  const energies = deltas.map((d) => dot(d, d) / d.data.length);
  const weights = energies.map((energy) =>
    sum(energies) < 1e-6 ? 1 / models.length : energy / sum(energies),
  );
  return build(base.shape, (i) => {
    const elected = sum(deltas.map((d) => at(d, i))) >= 0 ? 1 : -1;
    const erased = weights.map((weight, m) => (sign(at(deltas[m] as Dense, i)) === elected ? weight : 0));
    const mixed = sum(erased.map((weight, m) => weight * at(deltas[m] as Dense, i)));
    return fround(at(base, i) + mixed / max(1e-6, sum(erased)));
  });
}

/** Lone deltas added (times a factor), shared ones averaged. */
export function ram(base: Dense, models: readonly Dense[], epsilon: number, r: number, alpha: number): Dense {
  const deltas = models.map((model) => delta(model, base));
  const counts = build(base.shape, (i) => deltas.filter((d) => abs(at(d, i)) > epsilon).length);
  const factors = deltas.map((d) => {
    const moved = Array.from(d.data.keys()).filter((i) => abs(at(d, i)) > epsilon);
    const lone = moved.filter((i) => at(counts, i) === 1).length;
    return 1 + r * min(alpha, (moved.length - lone) / max(lone, epsilon));
  });
  return build(base.shape, (i) => {
    const shares = deltas.map((d) => (abs(at(d, i)) > epsilon ? at(d, i) : 0));
    const lone = sum(shares.map((share, m) => share * (factors[m] ?? 1)));
    return fround(at(base, i) + (at(counts, i) === 1 ? lone : sum(shares) / max(1, at(counts, i))));
  });
}

/** Towards b by t/|a − b|. */
export function nearswap(a: Dense, b: Dense, t: number): Dense {
  return build(a.shape, (i) => {
    const weight = min(1, max(0, t / max(1e-6, abs(at(a, i) - at(b, i)))));
    return fround(weight * at(b, i) + (1 - weight) * at(a, i));
  });
}

/** The model's entries whose importance is far above the middle. */
export function arceeFusion(base: Dense, model: Dense): Dense {
  const width = axis(base, -1);
  const softmax = (x: Dense, row: number): number[] => {
    const values = [...x.data.subarray(row * width, (row + 1) * width)].map((value) => exp(value));
    const total = sum(values);
    return values.map((value) => value / total + 1e-8);
  };
  const divergences = build([base.data.length / width], (row) => {
    const q = softmax(base, row);
    return sum(softmax(model, row).map((p, i) => p * log(p / (q[i] ?? 1))));
  });
  const change = delta(model, base);
  const importance = build(base.shape, (i) => abs(at(change, i)) * at(divergences, floor(i / width)));
  const sorted = importance.data.toSorted();
  const quantile = (q: number): number => sorted[floor(q * (sorted.length - 1))] ?? 0;
  const threshold = quantile(0.5) + 1.5 * (quantile(0.75) - quantile(0.25));
  return build(base.shape, (i) => (at(importance, i) >= threshold ? at(model, i) : at(base, i)));
}

/** x − base as an f32 tensor holds it. */
export function delta(x: Dense, base: Dense): Dense {
  return build(base.shape, (i) => fround(at(x, i) - at(base, i)));
}

function combineExactly(models: readonly Dense[], factors: readonly number[]): Dense {
  const shape = models[0]?.shape ?? [];
  return build(shape, (i) => sum(models.map((model, m) => (factors[m] ?? 0) * at(model, i))));
}

function combine(models: readonly Dense[], factors: readonly number[]): Dense {
  const exact = combineExactly(models, factors);
  return build(exact.shape, (i) => fround(at(exact, i)));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function dot(a: Dense, b: Dense): number {
  return a.data.reduce((total, value, i) => total + value * at(b, i), 0);
}

function norm(x: Dense): number {
  return sqrt(dot(x, x));
}

function l1(x: Dense): number {
  return x.data.reduce((total, value) => total + abs(value), 0);
}
