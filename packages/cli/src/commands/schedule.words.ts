import { MissedRunsPolicy, OverlapPolicy } from '@agentforge/contracts';

const MISSED = {
  skip: MissedRunsPolicy.SKIP,
  one: MissedRunsPolicy.ONE,
  all: MissedRunsPolicy.ALL,
} as const;

const OVERLAP = {
  skip: OverlapPolicy.SKIP,
  allow: OverlapPolicy.ALLOW,
  queue: OverlapPolicy.QUEUE,
  replace: OverlapPolicy.REPLACE,
} as const;

/** What may become of missed times. */
export type MissedWord = keyof typeof MISSED;

/** What may happen when runs would overlap. */
export type OverlapWord = keyof typeof OVERLAP;

export const MISSED_WORDS = Object.keys(MISSED) as MissedWord[];
export const OVERLAP_WORDS = Object.keys(OVERLAP) as OverlapWord[];

/** The policy of a word; no word leaves it to the server. */
export const missedPolicy = (word: MissedWord | undefined): MissedRunsPolicy =>
  word === undefined ? MissedRunsPolicy.UNSPECIFIED : MISSED[word];

/** The policy of a word; no word leaves it to the server. */
export const overlapPolicy = (word: OverlapWord | undefined): OverlapPolicy =>
  word === undefined ? OverlapPolicy.UNSPECIFIED : OVERLAP[word];

/** The word of a policy; an unspecified one is treated as "one". */
export const missedWord = (policy: MissedRunsPolicy): MissedWord =>
  MISSED_WORDS.find((word) => MISSED[word] === policy) ?? 'one';

/** The word of a policy; an unspecified one is treated as "skip". */
export const overlapWord = (policy: OverlapPolicy): OverlapWord =>
  OVERLAP_WORDS.find((word) => OVERLAP[word] === policy) ?? 'skip';
