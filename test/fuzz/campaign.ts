import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { mutate } from './mutate.js';
import { Random } from './random.js';
import type { FuzzTarget } from './readers.js';

/** What no file may cost its reader. An input is at most 64 KiB, so both leave two orders of magnitude. */
export const MAX_ALLOCATION_BYTES = 64 * 2 ** 20;
export const MAX_READ_MS = 1000;

/** An input that broke a rule. */
export interface Finding {
  readonly bytes: Uint8Array;
  readonly what: string;
}

/** What a campaign came to. */
export interface CampaignResult {
  readonly executions: number;
  /** Different outcomes, of refused and of read files. */
  readonly outcomes: number;
  readonly findings: readonly Finding[];
}

/** Bounds of a campaign; whichever is reached first ends it. */
export interface CampaignOptions {
  readonly seed: number;
  readonly executions?: number;
  readonly minutes?: number;
  /** Ends a campaign early: more findings would be the same again. */
  readonly maxFindings?: number;
}

/**
 * Feeds damaged files to a reader. An input with a new outcome joins those that are damaged next; the smallest of
 * an outcome stays. `pool` holds them by outcome, and is the corpus to keep.
 */
export async function campaign(
  target: FuzzTarget,
  corpus: readonly Uint8Array[],
  pool: Map<string, Uint8Array>,
  { seed, executions = Number.POSITIVE_INFINITY, minutes = 60, maxFindings = 5 }: CampaignOptions,
): Promise<CampaignResult> {
  const random = new Random(seed);
  const findings: Finding[] = [];
  let done = 0;
  const attempt = async (bytes: Uint8Array): Promise<void> => {
    done++;
    const { outcome, broken } = await examine(target, bytes);
    if (broken !== null) findings.push({ bytes, what: broken });
    const known = pool.get(outcome);
    if (broken === null && (known === undefined || bytes.length < known.length)) pool.set(outcome, bytes);
  };
  const seeds = await target.seeds();
  for (const bytes of [...seeds, ...corpus]) await attempt(bytes);
  const end = performance.now() + minutes * 60_000;
  let inputs = [...seeds, ...pool.values()];
  while (done < executions && performance.now() < end && findings.length < maxFindings) {
    if (done % 256 === 0) inputs = [...seeds, ...pool.values()];
    const base = random.oneIn(3) ? random.pick(seeds) : random.pick(inputs);
    await attempt(mutate(base, random, random.pick(inputs)));
  }
  return { executions: done, outcomes: pool.size, findings };
}

/** Reads one input under the limits. Time and memory are judged twice: another program can make a computer slow. */
export async function examine(
  target: FuzzTarget,
  bytes: Uint8Array,
): Promise<{ readonly outcome: string; readonly broken: string | null }> {
  const first = await measure(target, bytes);
  if (first.excess === null) return { outcome: first.outcome, broken: first.threw };
  const second = await measure(target, bytes);
  return { outcome: second.outcome, broken: second.threw ?? second.excess };
}

interface Measured {
  readonly outcome: string;
  readonly threw: string | null;
  readonly excess: string | null;
}

async function measure(target: FuzzTarget, bytes: Uint8Array): Promise<Measured> {
  const before = allocatedBytes();
  const start = performance.now();
  let outcome = '';
  let threw: string | null = null;
  try {
    outcome = await target.read(bytes);
  } catch (error) {
    threw = error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
  const ms = performance.now() - start;
  const grown = allocatedBytes() - before;
  const slow = ms > MAX_READ_MS ? `took ${Math.round(ms)} ms` : null;
  const large = grown > MAX_ALLOCATION_BYTES ? `allocated ${grown} bytes` : null;
  return { outcome, threw, excess: slow ?? large };
}

function allocatedBytes(): number {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** The inputs of a corpus file: one per line, hexadecimal; none where there is no file. */
export function readCorpus(file: string): Uint8Array[] {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'latin1')
    .split('\n')
    .filter((line) => line !== '');
  return lines.map((line) => new Uint8Array(Buffer.from(line, 'hex')));
}

/** Writes a corpus file: smallest inputs first, as many as fit in `maxBytes` of file. */
export function writeCorpus(file: string, inputs: Iterable<Uint8Array>, maxBytes: number): void {
  const lines = [...inputs]
    .sort((a, b) => a.length - b.length)
    .map((bytes) => Buffer.from(bytes).toString('hex'));
  let total = 0;
  const kept = lines.filter((line) => {
    total += line.length + 1;
    return total <= maxBytes;
  });
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${kept.join('\n')}\n`);
}

/** Adds inputs to a corpus file. */
export function appendCorpus(file: string, inputs: readonly Uint8Array[]): void {
  mkdirSync(dirname(file), { recursive: true });
  for (const bytes of inputs) appendFileSync(file, `${Buffer.from(bytes).toString('hex')}\n`);
}

/** A name for an input. */
export function nameOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex').slice(0, 16);
}
