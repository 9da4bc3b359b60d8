/** The middle of a list of numbers. */
export function median(list) {
  const sorted = [...list].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}

/**
 * A figure from interleaved rounds of ours and a peer's, higher is better; without the peer's, ours alone.
 * @param rounds  [[ours, theirs | undefined], …]
 */
export function compared({ name, shape, unit, reference }, rounds) {
  const value = median(rounds.map(([ours]) => ours));
  const both = rounds.filter(([, theirs]) => theirs !== undefined);
  if (both.length === 0) return alone({ name, shape, unit }, value);
  return {
    name,
    shape,
    value,
    unit,
    reference,
    referenceValue: median(both.map(([, theirs]) => theirs)),
    ratio: median(both.map(([ours, theirs]) => ours / theirs)),
  };
}

/** A figure that has nothing beside it. */
export function alone({ name, shape, unit }, value) {
  return { name, shape, value, unit, reference: null, referenceValue: null, ratio: null };
}

/**
 * How a step of a precision is called, and on what it ran. A processor without products of bf16 multiplies the rounded numbers as
 * f32, which the table has to tell from a measurement of bf16.
 */
export function labelled(shape, precision, { device, isa }) {
  const suffix = precision === 'f32' ? '' : ` ${precision}`;
  if (device === 'cuda') return { suffix, shape: `${shape}, cuda` };
  const isEmulated = precision === 'bf16' && isa !== 'avx512bf16';
  return { suffix, shape: isEmulated ? `${shape}, emulated` : shape };
}

/** One line of the table. */
export function lineOf({ name, shape, value, unit, reference, ratio, target, met }) {
  const beside = reference === null ? '' : `${ratio.toFixed(2).padStart(6)} x ${reference}`;
  const verdict = target === null ? '' : met ? `  (target ${target}: met)` : `  (target ${target}: NOT met)`;
  return `${name.padEnd(34)} ${shape.padEnd(20)} ${format(value).padStart(10)} ${unit.padEnd(10)} ${beside}${verdict}`;
}

function format(value) {
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString('en-US');
  return value.toPrecision(4);
}
