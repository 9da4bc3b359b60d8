import {
  countPromptTokens,
  type ScoredRow,
  type TaskText,
  type Tokenizer,
  type TokenStream,
} from '@agentforge/model';

/** Target that is not asked for. */
const IGNORE = -100;

/**
 * Windows over a text, one after the other: every token after the first is asked for once.
 * @param maxTokens  look at this many first tokens
 */
export function textRows({ tokens }: TokenStream, length: number, maxTokens: number): ScoredRow[] {
  const end = Math.min(tokens.length, maxTokens) - 1;
  const rows: ScoredRow[] = [];
  for (let start = 0; start < end; start += length) {
    const inputs = new Int32Array(length);
    const targets = new Int32Array(length).fill(IGNORE);
    const stop = Math.min(start + length, end);
    inputs.set(tokens.subarray(start, stop));
    targets.set(tokens.subarray(start + 1, stop + 1));
    rows.push({ inputs, targets });
  }
  return rows;
}

/**
 * Rows of tasks, padded at their ends where nothing before looks. All tokens that an answer is in are asked for, and no others; where
 * the very first token is one, a row begins with the end of the text before, as texts in training do.
 */
export function taskRows(tasks: readonly TaskText[], tokenizer: Tokenizer): ScoredRow[] {
  const encoded = tasks.map(({ prompt, answer }) => {
    const ids = tokenizer.encode(prompt + answer);
    const given = Math.min(countPromptTokens(tokenizer, ids, prompt), ids.length - 1);
    if (given > 0) return { ids, given };
    return { ids: Int32Array.of(tokenizer.eosId ?? 0, ...ids), given: 1 };
  });
  const length = Math.max(...encoded.map(({ ids }) => ids.length)) - 1;
  return encoded.map(({ ids, given }) => {
    const inputs = new Int32Array(length);
    const targets = new Int32Array(length).fill(IGNORE);
    inputs.set(ids.subarray(0, -1));
    targets.set(ids.subarray(given), given - 1);
    return { inputs, targets };
  });
}
