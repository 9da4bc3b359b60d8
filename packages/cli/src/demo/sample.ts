import { type Corpus, generateText, loadModel, splitCorpus } from '@agentforge/model';
import type { Sample } from './demo-report.js';

const SAMPLE_TOKENS = 120;
const TEMPERATURE = 0.7;
const TOP_K = 40;
const PROMPT_CHARS = 40;

/** What a model writes after the first words of text that it has never seen. Same seed, same text. */
export async function writeSample(folder: string, corpus: Corpus, seed: bigint): Promise<Sample> {
  const prompt = promptFrom(splitCorpus(corpus).report.documents[0] ?? '');
  const { model, tokenizer } = await loadModel(folder);
  try {
    const { text } = await generateText(model, tokenizer, prompt, {
      maxTokens: SAMPLE_TOKENS,
      temperature: TEMPERATURE,
      topK: TOP_K,
      seed,
      stopAtEos: false,
    });
    return { prompt, text };
  } finally {
    model.dispose();
  }
}

/** The beginning of a text up to the end of a word, without a blank at its end. */
export function promptFrom(text: string): string {
  const start = text.trimStart();
  const cut = start.slice(0, PROMPT_CHARS);
  const blank = start.length > PROMPT_CHARS ? cut.search(/\s\S*$/) : -1;
  return (blank > 0 ? cut.slice(0, blank) : cut).trimEnd();
}
