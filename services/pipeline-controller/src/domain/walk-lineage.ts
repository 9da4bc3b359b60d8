/** A step with what it read and made, by port. */
export interface WalkedStep {
  readonly id: string;
  readonly reads: readonly (readonly [port: string, digest: string])[];
  readonly makes: readonly (readonly [port: string, digest: string])[];
}

/** An artifact that a step read or made. */
export interface WalkedEdge<Step> {
  readonly from: string;
  readonly to: string;
  readonly port: string;
  readonly step: Step;
  readonly digest: string;
}

/** Which way lineage is followed: to what an artifact was made from, or to what was made from it. */
export type Direction = 'up' | 'down';

/**
 * The edges of an artifact's lineage, nearest first, each once. Steps and artifacts that are reached again are not
 * followed again, so a walk ends whatever the graph looks like.
 * @param stepsOf   upwards the steps that made an artifact, downwards those that read it
 * @param maxDepth  steps in a row
 */
export function* walkLineage<Step extends WalkedStep>(
  digest: string,
  direction: Direction,
  maxDepth: number,
  stepsOf: (digest: string) => readonly Step[],
): Generator<WalkedEdge<Step>, void, undefined> {
  const seenSteps = new Set<string>();
  const seenDigests = new Set([digest]);
  let frontier = [digest];
  for (let depth = 0; depth < maxDepth && frontier.length > 0; depth++) {
    const next: string[] = [];
    for (const at of frontier) {
      for (const step of stepsOf(at)) {
        const [near, far] = direction === 'up' ? [step.makes, step.reads] : [step.reads, step.makes];
        for (const [port, found] of near) if (found === at) yield edge(step, at, port, direction === 'down');
        if (seenSteps.has(step.id)) continue;
        seenSteps.add(step.id);
        for (const [port, found] of far) {
          yield edge(step, found, port, direction === 'up');
          if (seenDigests.has(found)) continue;
          seenDigests.add(found);
          next.push(found);
        }
      }
    }
    frontier = next;
  }
}

function edge<Step extends WalkedStep>(step: Step, digest: string, port: string, isRead: boolean) {
  const [from, to] = isRead ? [digest, step.id] : [step.id, digest];
  return { from, to, port, step, digest };
}
