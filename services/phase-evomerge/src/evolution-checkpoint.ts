import type { Checkpoint, FileSet } from '@agentforge/phase-runtime/worker';
import { z } from 'zod';
import type { EvolutionState } from './domain/evolution.js';

const STATE_FILE = 'evolution.json';

const saved = z.object({
  /** Digests of the parents, and of the tasks. */
  parents: z.array(z.string()),
  state: z.object({
    individuals: z.array(z.looseObject({ id: z.string(), generation: z.int(), origin: z.string() })).min(1),
    population: z.array(z.string()).min(1),
    generation: z.int().min(0),
    history: z.array(z.looseObject({ generation: z.int() })),
    memory: z.looseObject({ kind: z.string() }).optional(),
  }),
});

/** The files of a checkpoint: one, of JSON. Numbers survive JSON exactly. */
export function encodeEvolution(state: EvolutionState, parents: readonly string[]): FileSet {
  return new Map([[STATE_FILE, new TextEncoder().encode(JSON.stringify({ parents, state }))]]);
}

/** Reads a checkpoint back. @throws Error when it is malformed or of other parents */
export async function decodeEvolution(
  checkpoint: Checkpoint,
  parents: readonly string[],
): Promise<EvolutionState> {
  const { state, parents: of } = saved.parse(
    JSON.parse(new TextDecoder().decode(await checkpoint.read(STATE_FILE))),
  );
  if (of.join() !== parents.join()) throw new Error('it was made from other models or tasks');
  return state as unknown as EvolutionState;
}
