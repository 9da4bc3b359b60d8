import { createHash } from 'node:crypto';
import type { Handle } from '@agentforge/native';
import { streamRecorder } from '../capture/stream-recorder.js';
import { ArgumentError, StateError } from '../errors.js';
import { inverseNormal } from './inverse-normal.js';
import { philox4x32 } from './philox-words.js';

/** Where a stream stands: enough to go on with exactly the same numbers. */
export interface PhiloxState {
  /** The 64-bit key, 16 hexadecimal digits. */
  readonly key: string;
  /** 32-bit words drawn so far, decimal. */
  readonly counter: string;
}

/** Blocks of a stream that are somebody's own. */
export interface ReservedBlocks {
  readonly keyLow: number;
  readonly keyHigh: number;
  readonly blockLow: number;
  readonly blockHigh: number;
  /** Device memory with the number of blocks to add, or null. */
  readonly base: Handle | null;
}

const WORDS_PER_BLOCK = 4;
const TWO_32 = 0x1_0000_0000;
const FLOAT_STEP = 2 ** -24;

/**
 * A stream of random numbers that is a pure function of a 64-bit key and a position: Philox4x32-10.
 * Word i is word i mod 4 of block ⌊i/4⌋. Independent streams come from names, not from a shared generator,
 * so that no draw depends on what else was drawn.
 * @see Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"
 */
export class Philox {
  private readonly block = new Uint32Array(WORDS_PER_BLOCK);
  private readonly keyLow: number;
  private readonly keyHigh: number;
  private position = 0;

  /** @param seed  an integer; its low 64 bits are the key. @throws ArgumentError INVALID_ARGUMENT: not an integer */
  constructor(seed: number | bigint) {
    if (typeof seed === 'number' && !Number.isSafeInteger(seed)) {
      throw new ArgumentError(`Philox: seed ${seed} is not an integer`);
    }
    const key = BigInt.asUintN(64, BigInt(seed));
    this.keyLow = Number(key & 0xffff_ffffn);
    this.keyHigh = Number(key >> 32n);
  }

  /** The stream of that name under this one's key: SHA-256(key, name), first 8 bytes. Does not advance this stream. */
  stream(name: string): Philox {
    const digest = createHash('sha256').update(`${this.state.key}/${name}`).digest();
    return new Philox(digest.readBigUInt64LE(0));
  }

  /** The next 32 random bits. */
  uint32(): number {
    if (streamRecorder() !== null) {
      throw new StateError(
        'Philox: a number drawn here would be the same in every replay of the captured step',
      );
    }
    const lane = this.position % WORDS_PER_BLOCK;
    if (lane === 0) this.fillBlock();
    this.position++;
    return this.block[lane] as number;
  }

  /** A multiple of 2⁻²⁴ in [0, 1); one word. */
  float(): number {
    return (this.uint32() >>> 8) * FLOAT_STEP;
  }

  /**
   * An integer in [0, n), every value equally likely.
   * @throws ArgumentError INVALID_ARGUMENT: n is not an integer in 1..2³²
   * @see Lemire 2019, arXiv:1805.10941: multiply, and draw again in the biased rest
   */
  integer(n: number): number {
    if (!Number.isInteger(n) || n < 1 || n > TWO_32) throw new ArgumentError(`Philox: integer(${n})`);
    const limit = TWO_32 - (TWO_32 % n);
    let word = this.uint32();
    while (word >= limit) word = this.uint32();
    return word % n;
  }

  /** A standard normal number; one word. */
  normal(): number {
    return inverseNormal((this.uint32() + 0.5) / TWO_32);
  }

  /** An index with probability in proportion to its weight. @throws ArgumentError INVALID_ARGUMENT: weights do not sum to a positive number */
  choice(weights: ArrayLike<number>): number {
    let total = 0;
    for (let i = 0; i < weights.length; i++) total += weights[i] as number;
    if (!(total > 0 && Number.isFinite(total))) throw new ArgumentError(`Philox: weights sum to ${total}`);
    const at = this.float() * total;
    let passed = 0;
    let last = 0;
    for (let i = 0; i < weights.length; i++) {
      const weight = weights[i] as number;
      if (weight <= 0) continue;
      last = i;
      passed += weight;
      if (at < passed) return i;
    }
    return last; // rounding left `at` at the very end
  }

  /** Reorders an array in place, every order equally likely (Fisher & Yates). */
  shuffle<T extends { readonly length: number; [index: number]: unknown }>(items: T): T {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      const moved = items[i];
      items[i] = items[j];
      items[j] = moved;
    }
    return items;
  }

  /** The integers 0 .. n − 1 in random order. */
  permutation(n: number): Int32Array {
    return this.shuffle(Int32Array.from({ length: n }, (_, i) => i));
  }

  /**
   * Reserves whole blocks for `count` numbers, starting at the next block.
   * @returns key and number of the first block, as the native generators take them; in a captured step the number counts
   *          from `base`, which is another at every replay
   */
  reserve(count: number): ReservedBlocks {
    const first = Math.ceil(this.position / WORDS_PER_BLOCK);
    const end = first + Math.ceil(count / WORDS_PER_BLOCK);
    this.position = end * WORDS_PER_BLOCK;
    const start = streamRecorder()?.place(this, first, end);
    const block = first - (start?.block ?? 0);
    return {
      keyLow: this.keyLow,
      keyHigh: this.keyHigh,
      blockLow: block % TWO_32,
      blockHigh: Math.floor(block / TWO_32),
      base: start?.base ?? null,
    };
  }

  /** Moves on to the start of a block, if not there. */
  align(): void {
    this.reserve(0);
  }

  /** Key and position. */
  get state(): PhiloxState {
    const key = (BigInt(this.keyHigh) << 32n) | BigInt(this.keyLow);
    return { key: key.toString(16).padStart(16, '0'), counter: String(this.position) };
  }

  /** A stream that goes on where `state` was taken. @throws ArgumentError INVALID_ARGUMENT: not a state */
  static fromState({ key, counter }: PhiloxState): Philox {
    if (!/^[0-9a-f]{16}$/.test(key))
      throw new ArgumentError(`Philox: key ${key} is not 16 hexadecimal digits`);
    const position = Number(counter);
    if (!Number.isSafeInteger(position) || position < 0)
      throw new ArgumentError(`Philox: counter ${counter}`);
    const stream = new Philox(BigInt(`0x${key}`));
    stream.position = position;
    if (position % WORDS_PER_BLOCK !== 0) stream.fillBlock();
    return stream;
  }

  private fillBlock(): void {
    const number = (this.position - (this.position % WORDS_PER_BLOCK)) / WORDS_PER_BLOCK;
    philox4x32(this.block, this.keyLow, this.keyHigh, number % TWO_32, (number - (number % TWO_32)) / TWO_32);
  }
}
