import { trainBpe } from './bpe-trainer.js';
import { readTokenizer } from './read-tokenizer.js';
import { TOKENIZER_CONFIG_FILE, TOKENIZER_FILE } from './tokenizer-files.js';

const tokenizer = trainBpe(['the cat sat on the mat, the rat ran'.repeat(2)], { vocabSize: 280 });
const files = tokenizer.files();
const json = new TextDecoder().decode(files.get(TOKENIZER_FILE));
const configJson = new TextDecoder().decode(files.get(TOKENIZER_CONFIG_FILE));

// biome-ignore lint/suspicious/noExplicitAny: tests edit arbitrary places of a JSON document
type Json = any;

function edited(edit: (value: Json) => void): string {
  const value: Json = JSON.parse(json);
  edit(value);
  return JSON.stringify(value);
}

function violationsOf(text: string, config?: string): string[] {
  try {
    readTokenizer(text, config);
  } catch (error) {
    const { name, code, fieldViolations } = error as {
      name: string;
      code: string;
      fieldViolations: { field: string }[];
    };
    expect([name, code]).toEqual(['InvalidTokenizerError', 'INVALID_ARGUMENT']);
    return fieldViolations.map(({ field }) => field);
  }
  return [];
}

describe('readTokenizer()', () => {
  it('reads back what files() wrote', () => {
    const read = readTokenizer(json, configJson);
    expect(read.vocabulary).toEqual(tokenizer.vocabulary);
    expect(read.files()).toEqual(files);
  });

  it('reads merges written as one string', () => {
    const old = edited((value) => {
      value.model.merges = value.model.merges.map((pair: string[]) => pair.join(' '));
    });
    expect(readTokenizer(old).vocabulary).toEqual(tokenizer.vocabulary);
  });

  it('reads the template of transformers, which adds nothing', () => {
    const resaved = edited((value) => {
      value.post_processor = { type: 'TemplateProcessing', single: [{ Sequence: { id: 'A', type_id: 0 } }] };
    });
    expect(readTokenizer(resaved).vocabulary).toEqual(tokenizer.vocabulary);
  });

  it('takes the end of text from tokenizer_config.json, as text or as an object', () => {
    expect(readTokenizer(json, '{"eos_token": {"content": "<|endoftext|>"}}').eosId).toBe(0);
    expect(violationsOf(json, '{"eos_token": "</s>"}')).toEqual(['eos_token']);
    const without = edited((value) => {
      value.added_tokens[0].content = '<pad>';
      value.model.vocab = Object.fromEntries(
        Object.entries(value.model.vocab).map(([token, id]) => [
          token === '<|endoftext|>' ? '<pad>' : token,
          id,
        ]),
      );
    });
    expect(readTokenizer(without).eosId).toBeNull();
  });

  it.each([
    ['not JSON', '{', ['']],
    ['a normalizer', edited((v) => (v.normalizer = { type: 'NFC' })), ['normalizer']],
    [
      'another pre-tokenizer and model',
      edited((v) => {
        v.pre_tokenizer.type = 'Metaspace';
        v.model.type = 'Unigram';
      }),
      ['pre_tokenizer.type', 'model.type'],
    ],
    [
      'a begin token',
      edited((v) => {
        const begin = { SpecialToken: { id: '<|endoftext|>', type_id: 0 } };
        v.post_processor = {
          type: 'TemplateProcessing',
          single: [begin, { Sequence: { id: 'A', type_id: 0 } }],
        };
      }),
      ['post_processor.single.0.Sequence'],
    ],
    [
      'a post-processor of another kind',
      edited((v) => (v.post_processor = { type: 'Bert' })),
      ['post_processor.type'],
    ],
    ['an id used twice', edited((v) => (v.model.vocab['!'] = 2)), ['model.vocab."', 'model.vocab']],
    [
      'a byte without token',
      edited((v) => delete v.model.vocab['Ġ']),
      expect.arrayContaining(['model.vocab']),
    ],
    ['a merge of unknown tokens', edited((v) => (v.model.merges[0] = ['zz', 'y'])), ['model.merges[0]']],
    ['a merge of three', edited((v) => (v.model.merges[1] = 'a b c')), ['model.merges[1]']],
    ['a huge id', edited((v) => (v.model.vocab['!'] = 1e9)), ['model.vocab.!']],
  ])('refuses %s', (_, text, fields) => {
    expect(violationsOf(text)).toEqual(fields);
  });
});
