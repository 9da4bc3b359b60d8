import { BpeTokenizer } from './bpe-tokenizer.js';
import { trainBpe } from './bpe-trainer.js';
import { readTokenizer } from './read-tokenizer.js';
import { LLAMA3_REGEX, TOKENIZER_CONFIG_FILE, TOKENIZER_FILE } from './tokenizer-files.js';

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

const BYTES = { type: 'ByteLevel', add_prefix_space: false };
const DIGITS = { type: 'Digits', individual_digits: true };
const SPLIT = { type: 'Split', pattern: { Regex: LLAMA3_REGEX }, behavior: 'Isolated', invert: false };

/** A file whose text is cut in two steps. */
function cut(first: object, useRegex: boolean): string {
  return edited((value) => {
    const pretokenizers = [first, { ...BYTES, use_regex: useRegex }];
    value.pre_tokenizer = { type: 'Sequence', pretokenizers };
  });
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

  it('reads the pieces of SmolLM and of Llama 3, each as it is written back', () => {
    for (const preTokenizer of ['smollm', 'llama3'] as const) {
      const vocabulary = {
        ...tokenizer.vocabulary,
        preTokenizer,
        bosToken: '<|endoftext|>',
        ignoreMerges: true,
      };
      const written = new BpeTokenizer(vocabulary).files();
      const read = readTokenizer(written.get(TOKENIZER_FILE) ?? '', written.get(TOKENIZER_CONFIG_FILE));
      expect(read.vocabulary).toEqual(vocabulary);
      expect(read.bosId).toBe(0);
      expect(read.files()).toEqual(written);
    }
  });

  it('takes the token before a text from a template, in a sequence or not', () => {
    const before = { SpecialToken: { id: '<|endoftext|>', type_id: 0 } };
    const template = { type: 'TemplateProcessing', single: [before, { Sequence: { id: 'A', type_id: 0 } }] };
    const alone = edited((value) => (value.post_processor = template));
    const processors = [{ type: 'ByteLevel', trim_offsets: false }, template];
    const last = edited((value) => (value.post_processor = { type: 'Sequence', processors }));
    for (const text of [alone, last]) expect(readTokenizer(text).bosId).toBe(0);
    const twice = edited(
      (value) => (value.post_processor = { type: 'Sequence', processors: [template, template] }),
    );
    expect(violationsOf(twice)).toEqual(['post_processor']);
    const foreign = alone.replace('"SpecialToken":{"id":"<|endoftext|>"', '"SpecialToken":{"id":"<s>"');
    expect(violationsOf(foreign)).toEqual(['post_processor']);
  });

  it('leaves out bytes that have no token, and joins what is around them', () => {
    const lacking = edited((value) => {
      const { vocab } = value.model;
      const last = Object.keys(vocab).find((token) => vocab[token] === tokenizer.vocabSize - 1) ?? '';
      value.model.merges.pop();
      vocab[last] = vocab['Ā'];
      delete vocab['Ā'];
    });
    const read = readTokenizer(lacking);
    expect(read.encode('!\0!')).toEqual(read.encode('!!'));
    for (const standIn of [{ unk_token: '<|endoftext|>' }, { byte_fallback: true }]) {
      const value: Json = JSON.parse(lacking);
      Object.assign(value.model, standIn);
      expect(violationsOf(JSON.stringify(value))).toEqual([`model.${Object.keys(standIn)[0]}`]);
    }
  });

  it('reads tokens that are spelt like what objects have', () => {
    const text = json.replace('"!":', '"__proto__":').replace('"\\"":', '"constructor":');
    const { tokens } = readTokenizer(text).vocabulary;
    expect(tokens.slice(1, 3)).toEqual(['__proto__', 'constructor']);
  });

  it('says of a tokenizer of another kind which ones load, and that the weights do', () => {
    const llama2 = edited((value) => {
      value.normalizer = { type: 'Sequence', normalizers: [{ type: 'Prepend', prepend: '▁' }] };
      value.pre_tokenizer = null;
      value.model.byte_fallback = true;
    });
    expect(violationsOf(llama2)).toEqual(['normalizer', 'pre_tokenizer']);
    expect(() => readTokenizer(llama2)).toThrow(/GPT-2 .* Llama 3 .* SmolLM .*loadWeights, openWeights/);
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
      'an end token',
      edited((v) => {
        const end = { SpecialToken: { id: '<|endoftext|>', type_id: 0 } };
        v.post_processor = {
          type: 'TemplateProcessing',
          single: [{ Sequence: { id: 'A', type_id: 0 } }, end],
        };
      }),
      ['post_processor.single'],
    ],
    [
      'another pattern',
      cut({ ...SPLIT, pattern: { Regex: SPLIT.pattern.Regex.replace('{1,3}', '') } }, false),
      ['pre_tokenizer.pretokenizers.0.pattern.Regex'],
    ],
    [
      'a pattern that is no expression',
      cut({ ...SPLIT, pattern: { String: ' ' } }, false),
      ['pre_tokenizer.pretokenizers.0.pattern.Regex'],
    ],
    [
      'a split that drops',
      cut({ ...SPLIT, behavior: 'Removed', invert: true }, false),
      ['pre_tokenizer.pretokenizers.0.behavior', 'pre_tokenizer.pretokenizers.0.invert'],
    ],
    ['two patterns', cut(SPLIT, true), ['pre_tokenizer.pretokenizers.1.use_regex']],
    [
      'runs of digits',
      cut({ type: 'Digits', individual_digits: false }, true),
      ['pre_tokenizer.pretokenizers.0.individual_digits'],
    ],
    ['digits without a pattern', cut(DIGITS, false), ['pre_tokenizer.pretokenizers.1.use_regex']],
    [
      'a third step',
      edited((v) => (v.pre_tokenizer = { type: 'Sequence', pretokenizers: [DIGITS, BYTES, BYTES] })),
      ['pre_tokenizer.pretokenizers'],
    ],
    [
      'another first step',
      cut({ type: 'Punctuation' }, false),
      expect.arrayContaining(['pre_tokenizer.pretokenizers.0.type']),
    ],
    ['a vocabulary that is a list', edited((v) => (v.model.vocab = [])), ['model.vocab']],
    [
      'a post-processor of another kind',
      edited((v) => (v.post_processor = { type: 'Bert' })),
      ['post_processor.type'],
    ],
    ['an id used twice', edited((v) => (v.model.vocab['!'] = 2)), ['model.vocab."', 'model.vocab']],
    ['an id without token', edited((v) => delete v.model.vocab['Ā']), ['model.vocab']],
    ['a merge of unknown tokens', edited((v) => (v.model.merges[0] = ['zz', 'y'])), ['model.merges[0]']],
    ['a merge of three', edited((v) => (v.model.merges[1] = 'a b c')), ['model.merges[1]']],
    ['a huge id', edited((v) => (v.model.vocab['!'] = 1e9)), ['model.vocab.!']],
  ])('refuses %s', (_, text, fields) => {
    expect(violationsOf(text)).toEqual(fields);
  });
});
