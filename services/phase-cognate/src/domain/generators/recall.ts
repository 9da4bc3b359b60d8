import type { Philox } from '@agentforge/tensor';

const NAMES = [
  'amber',
  'basalt',
  'cedar',
  'delta',
  'ember',
  'fjord',
  'grove',
  'harbour',
  'indigo',
  'juniper',
];
const FILLER = ['The wind turned north.', 'A bell rang twice.', 'Rain fell on the road.', 'Nobody spoke.'];
const FACTS = 3;
const LONGEST_FILLER = 12;

/** What a text says the code of a name is, last; undefined when it does not. The oracle of {@link recallText}. */
export function recallCode(text: string, name: string): string | undefined {
  return [...text.matchAll(/The code of (\w+) is (\d{4})\./g)].findLast(([, found]) => found === name)?.[2];
}

/**
 * Lines with a needle in a haystack: codes of names, sentences that say nothing, and a question about one of the names
 * with its answer.
 */
export function recallText(lines: number, rng: Philox): string {
  let text = '';
  for (let i = 0; i < lines; i++) {
    const names = [...rng.permutation(NAMES.length).subarray(0, FACTS)].map((at) => NAMES[at] ?? '');
    const sentences = names.map((name) => `The code of ${name} is ${1000 + rng.integer(9000)}.`);
    const filler = rng.integer(LONGEST_FILLER + 1);
    for (let k = 0; k < filler; k++) sentences.push(FILLER[rng.integer(FILLER.length)] ?? '');
    const story = sentences.join(' ');
    const name = names[rng.integer(FACTS)] ?? '';
    text += `${story} The code of ${name}? ${recallCode(story, name)}\n`;
  }
  return text;
}
