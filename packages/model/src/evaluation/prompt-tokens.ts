import type { Tokenizer } from '../tokenizer/tokenizer.js';

/**
 * How many of the first tokens of a text lie within the prompt that it begins with. A prompt alone may have more tokens or
 * other ones: a token of the whole text may reach over the prompt's end, as that of a word does when the prompt ends with a space.
 * @param ids  tokens of prompt and what follows, encoded together
 */
export function countPromptTokens(tokenizer: Tokenizer, ids: Int32Array, prompt: string): number {
  // Of the tokens, not of the text: a vocabulary may lack bytes.
  let room = tokenizer.encode(prompt).reduce((bytes, id) => bytes + tokenizer.tokenByteLength(id), 0);
  const after = ids.findIndex((id) => {
    room -= tokenizer.tokenByteLength(id);
    return room < 0;
  });
  return after < 0 ? ids.length : after;
}
