import { createHash } from 'node:crypto';

/**
 * Numbers that the seed determines: the same seed and name give the same choices, whatever else draws.
 * @param seed  decimal or any text
 * @param name  what the stream of numbers is for
 */
export function randomOf(seed, name) {
  let state = createHash('sha256').update(`${seed}/${name}`).digest().readUInt32LE(0);
  // mulberry32: 32 bits of state are plenty for choosing faults.
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const between = (from, to) => from + Math.floor(next() * (to - from + 1));
  return {
    /** An integer, both ends included. */
    between,
    /** One of a list. */
    pick: (list) => list[between(0, list.length - 1)],
    chance: (probability) => next() < probability,
  };
}
