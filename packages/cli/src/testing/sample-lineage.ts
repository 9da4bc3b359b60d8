import { type GetLineageResponseSchema, LineageDirection } from '@agentforge/contracts';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { digestOf } from './sample-run.js';

const MERGE = 'projects/default/runs/demo/steps/evolve';

/** Lineage of the sample run: its last model was made of two others. */
export function lineageOf(
  digest: string,
  direction: LineageDirection,
): MessageInitShape<typeof GetLineageResponseSchema> {
  const artifact = (digit: string, name: string) => ({
    id: digestOf(digit),
    node: { case: 'artifact' as const, value: { digest: digestOf(digit), type: 'model', name } },
  });
  if (direction === LineageDirection.DOWNSTREAM || digest !== digestOf('e'))
    return { nodes: [artifact('e', 'evolved')] };
  const run = 'projects/default/runs/demo';
  const step = { run, stepId: 'evolve', phase: 'evomerge', phaseVersion: '1.0.0', seed: 7n };
  return {
    nodes: [
      artifact('e', 'evolved'),
      { id: MERGE, node: { case: 'step', value: step } },
      artifact('1', 'founder-reasoning'),
      artifact('2', 'founder-memory'),
    ],
    edges: [
      { from: MERGE, to: digestOf('e'), port: 'model' },
      { from: digestOf('1'), to: MERGE, port: 'models' },
      { from: digestOf('2'), to: MERGE, port: 'models' },
    ],
  };
}
