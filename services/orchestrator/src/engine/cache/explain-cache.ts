import {
  type CacheExplanation,
  CacheExplanationSchema,
  CachePolicy,
  parseRunName,
} from '@agentforge/contracts';
import type { CachedStep, RunRecord, StepRecord } from '@agentforge/events';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import type { PhaseCatalog } from '../../ports/phase-catalog.port.js';
import type { StepResults } from '../../ports/step-results.port.js';
import { artifactsOf, type EffectivePolicy, isOwn, notReusable, policyOf } from './reuse-rules.js';
import { differencesOf, factsOf, keyOf, unknownInputs, type WorkFacts } from './work-facts.js';

/** Differences that are told; more are counted. */
const MAX_DIFFERENCES = 20;
const MAX_TEXT = 256;

type Explanation = MessageInitShape<typeof CacheExplanationSchema> & { readonly message: string };

/** What the explanation is made from. */
export interface CacheSources {
  readonly results?: StepResults | undefined;
  readonly phases: PhaseCatalog;
}

/**
 * Says why a step takes or took an earlier result, or why it cannot: with a miss comes the kept result that is nearest,
 * and every field in which it differs. Reads a bounded number of entries.
 * @param standard  policy of steps that do not say
 */
export async function explainCache(
  sources: CacheSources,
  state: RunRecord,
  step: StepRecord,
  standard: EffectivePolicy,
): Promise<CacheExplanation> {
  const policy = policyOf(step, standard);
  if (step.cachedFrom) {
    const { key, sourceRun, sourceStepId } = step.cachedFrom;
    const message = `It took the result of step ${sourceStepId} of ${sourceRun}.`;
    return create(CacheExplanationSchema, { policy, key, sourceRun, sourceStepId, hit: true, message });
  }
  const found = await lookUp(sources, state, step);
  return create(CacheExplanationSchema, { ...found, policy, message: `${PREFIX[policy]}${found.message}` });
}

const PREFIX: Readonly<Record<EffectivePolicy, string>> = {
  [CachePolicy.READ_WRITE]: '',
  [CachePolicy.REFRESH]: 'The step does its work whatever is kept. ',
  [CachePolicy.OFF]: 'The cache is off for this step. ',
};

async function lookUp({ results, phases }: CacheSources, state: RunRecord, step: StepRecord) {
  const phase = phases.get(step.spec.phase);
  const obstacle = notReusable(phase) ?? (results ? undefined : 'this engine has no step cache');
  if (results === undefined || obstacle !== undefined)
    return { message: `Nothing is reused: ${obstacle}.` } satisfies Explanation;
  const unknown = unknownInputs(state, step);
  if (unknown.length > 0)
    return { message: `Its inputs are not known before ${unknown.slice(0, 3).join(', ')} completes.` };
  const facts = factsOf(state, step, phase?.version ?? '');
  const key = keyOf(facts);
  const project = parseRunName(state.name)?.project ?? '';
  const found = await results.find(project, key);
  if (found) return { key, ...(await explainFound(results, found, state, step)) };
  const near = await results.neighbours(project, step.spec.phase, step.spec.id);
  return { key, ...explainMiss(facts, near) };
}

/** A result with the step's key is kept. */
async function explainFound(
  results: StepResults,
  found: CachedStep,
  state: RunRecord,
  step: StepRecord,
): Promise<Explanation> {
  const { sourceRun, sourceStepId } = found;
  const source = { sourceRun, sourceStepId };
  if (isOwn(found, state.name, step.spec.id))
    return { ...source, message: 'Its own result is kept; other runs can take it.' };
  const [gone] = await results.missing(artifactsOf(found.result));
  const same = `Step ${sourceStepId} of ${sourceRun} did the same`;
  return gone === undefined
    ? { ...source, hit: true, message: `${same}.` }
    : { ...source, message: `${same}, but its artifact ${gone} is gone.` };
}

/** None is: the nearest of some. */
function explainMiss(facts: WorkFacts, near: readonly CachedStep[]): Explanation {
  const [nearest] = near
    .map((entry) => ({ entry, differences: differencesOf(facts, entry.facts) }))
    .sort((a, b) => a.differences.length - b.differences.length);
  if (nearest === undefined) return { message: `No result of phase ${facts.phase} is kept in this project.` };
  const { sourceRun, sourceStepId } = nearest.entry;
  const count = nearest.differences.length;
  return {
    sourceRun,
    sourceStepId,
    differences: nearest.differences.slice(0, MAX_DIFFERENCES).map(({ field, here, there }) => ({
      field: field.slice(0, MAX_TEXT),
      here: textOf(here),
      there: textOf(there),
    })),
    message: `Nothing kept has this key. Step ${sourceStepId} of ${sourceRun} is nearest; it differs in ${count} field${count === 1 ? '' : 's'}.`,
  };
}

const textOf = (value: string | undefined): string =>
  value === undefined ? '(absent)' : value.slice(0, MAX_TEXT);
