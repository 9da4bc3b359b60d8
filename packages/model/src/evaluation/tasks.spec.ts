import { memoryStats, noGrad, Philox, scope, tensor } from '@agentforge/tensor';
import { presetConfig } from '../config/model-config.js';
import { generateText } from '../generation/generate.js';
import { LlamaModel } from '../llama/llama-model.js';
import { BpeTokenizer } from '../tokenizer/bpe-tokenizer.js';
import { trainBpe } from '../tokenizer/bpe-trainer.js';
import { byteTokenizer } from '../tokenizer/byte-tokenizer.js';
import { evaluateTasks, oversizedTasks } from './evaluate-tasks.js';
import { ORACLES } from './oracles.js';
import { countPromptTokens } from './prompt-tokens.js';
import { choiceRow } from './score-choices.js';
import { type ChoiceTask, type GenerateTask, parseTasks, type Task } from './task-file.js';
import { unknownTasks } from './task-text.js';
import { TasksKnownError } from './tasks.errors.js';

const tokenizer = trainBpe(['the cat sat on the mat and the dog sat on the log '.repeat(4)], {
  vocabSize: 290,
});
const CONFIG = presetConfig('pico', {
  vocabSize: 300,
  hiddenSize: 32,
  numLayers: 2,
  numHeads: 2,
  numKvHeads: 1,
  headDim: 16,
  intermediateSize: 48,
  contextLength: 40,
});
const model = LlamaModel.init(CONFIG, new Philox(9));
const lines = (...tasks: unknown[]): string => tasks.map((task) => JSON.stringify(task)).join('\n');

/** log p(tokens from `start` on | those before), each token by a forward pass of its own. */
function logLikelihood(ids: readonly number[], start: number): number {
  let sum = 0;
  for (let at = start; at < ids.length; at++) {
    const logits = noGrad(() =>
      scope(() =>
        model
          .forward(tensor(Int32Array.from(ids.slice(0, at)), [1, at]), { lastOnly: true })
          .toFloat32Array(),
      ),
    );
    const max = Math.max(...logits);
    const logSum = max + Math.log(logits.reduce((total, logit) => total + Math.exp(logit - max), 0));
    sum += (logits[ids[at] ?? 0] ?? 0) - logSum;
  }
  return sum;
}

describe('parseTasks()', () => {
  it('reads both kinds, with defaults, names by line, and blank lines', () => {
    const text = `${lines({ type: 'choice', prompt: 'a', choices: ['x', 'y'], answer: 1 })}\n\n${lines({ type: 'generate', id: 'q', prompt: 'b', answer: 'c' })}\r\n`;
    expect(parseTasks(text, 'f')).toEqual([
      { type: 'choice', id: 'line 1', prompt: 'a', choices: ['x', 'y'], answer: 1 },
      { type: 'generate', id: 'q', prompt: 'b', answer: ['c'], stop: ['\n'], max_tokens: 64, match: 'exact' },
    ]);
  });

  it('lists every problem of every line', () => {
    const text = [
      '{',
      lines({ type: 'choice', prompt: 'a', choices: ['x'], answer: -1, more: 1 }),
      lines({ type: 'choice', prompt: 'a', choices: ['x', 'x'], answer: 0 }),
      lines({ type: 'choice', prompt: 'a', choices: ['x', 'y'], answer: 2 }),
      lines({ type: 'quiz' }),
      lines({ type: 'generate', prompt: '', answer: [], match: 'fuzzy', max_tokens: 0 }),
      lines({ type: 'generate', id: 'q', prompt: 'a', answer: 'b' }),
      lines({ type: 'generate', id: 'q', prompt: 'a', answer: 'b' }),
    ].join('\n');
    expect(() => parseTasks(text, 'tasks.jsonl')).toThrow(
      expect.objectContaining({
        name: 'InvalidTaskFileError',
        code: 'INVALID_ARGUMENT',
        message: expect.stringContaining('tasks.jsonl'),
      }),
    );
    try {
      parseTasks(text, 'f');
    } catch (error) {
      const { fieldViolations } = error as { fieldViolations: { field: string }[] };
      expect(fieldViolations.map(({ field }) => field).sort()).toEqual(
        [
          'line 1',
          'line 2',
          'line 2: answer',
          'line 2: choices',
          'line 3: choices',
          'line 4: answer',
          'line 5: type',
          'line 6: answer',
          'line 6: match',
          'line 6: max_tokens',
          'line 6: prompt',
          'line 8: id',
        ].sort(),
      );
    }
    expect(() => parseTasks('\n\n', 'f')).toThrow(/no tasks/);
  });
});

describe('unknownTasks()', () => {
  const tasks = parseTasks(
    lines(
      { type: 'choice', id: 'a', prompt: '2 + 2 =', choices: [' 3', ' 4'], answer: 1 },
      { type: 'generate', id: 'b', prompt: '1+2=', answer: ['3', '03'] },
    ),
    'f',
  );

  it('leaves out those that a text gives away with the right answer', () => {
    const left = (...documents: string[]) => unknownTasks(tasks, documents).map(({ id }) => id);
    expect(left('so 2 + 2 = 4 is')).toEqual(['b']);
    expect(left('so 2 + 2 = 3 is', '1+2=33\n')).toEqual(['a', 'b']);
    expect(left('x', '1+2=3\n')).toEqual(['a']);
  });

  it('refuses a file of which nothing is left', () => {
    expect(() => unknownTasks(tasks, ['2 + 2 = 4', '1+2=3\n'])).toThrow(TasksKnownError);
  });
});

describe('evaluateTasks()', () => {
  const choice = (prompt: string, choices: string[], answer = 0): ChoiceTask => ({
    type: 'choice',
    id: prompt,
    prompt,
    choices,
    answer,
  });
  const CHOICES = [
    choice('the cat sat on', [' the mat', ' a', ' the log and the dog']),
    choice('the ', ['dog', 'cat sat'], 1),
    choice('', ['the mat', 'log'], 1),
  ];

  it("begins every prompt with the tokenizer's token", async () => {
    const begins = new BpeTokenizer({ ...tokenizer.vocabulary, bosToken: '<|endoftext|>' });
    const { results } = await evaluateTasks(model, begins, CHOICES);
    for (const [i, task] of CHOICES.entries()) {
      const prompt = tokenizer.encode(task.prompt.trimEnd()).length;
      task.choices.forEach((text, c) => {
        const ids = [0, ...tokenizer.encode(task.prompt + text)];
        expect(results[i]?.logLikelihoods?.[c]).toBeCloseTo(logLikelihood(ids, prompt + 1), 3);
      });
    }
    const question: GenerateTask = {
      id: 'q',
      type: 'generate',
      prompt: 'the cat',
      answer: ['x'],
      match: 'exact',
      max_tokens: 6,
      stop: [],
    };
    const { results: answers } = await evaluateTasks(model, begins, [question]);
    const ids = [0, ...tokenizer.encode('the cat')];
    const { text } = await generateText(model, tokenizer, ids, { maxTokens: 6, temperature: 0 });
    expect(answers[0]?.answer).toBe(text);
    const room = CONFIG.contextLength - 1;
    const long = { ...question, prompt: 'q'.repeat(room) };
    expect(oversizedTasks(CONFIG, tokenizer, [long])).toEqual([]);
    expect(oversizedTasks(CONFIG, begins, [long])).toHaveLength(1);
  });

  it('scores each choice by its log-likelihood after the prompt, in any batches', async () => {
    const before = memoryStats().liveTensors;
    const { choice: summary, results } = await evaluateTasks(model, tokenizer, CHOICES);
    // What other files of this process left behind may be collected meanwhile.
    expect(memoryStats().liveTensors).toBeLessThanOrEqual(before);
    for (const [i, task] of CHOICES.entries()) {
      const expected = task.choices.map((text) => {
        const whole = [...tokenizer.encode(task.prompt + text)];
        const prompt = tokenizer.encode(task.prompt.trimEnd()).length;
        return prompt === 0 ? logLikelihood([0, ...whole], 1) : logLikelihood(whole, prompt);
      });
      results[i]?.logLikelihoods?.forEach((nats, c) => {
        expect(nats).toBeCloseTo(expected[c] ?? 0, 3);
      });
      expect(results[i]?.answer).toBe(task.choices[expected.indexOf(Math.max(...expected))]);
      const perByte = expected.map((nats, c) => nats / Buffer.byteLength(task.choices[c] ?? ''));
      expect(results[i]?.isCorrectPerByte).toBe(perByte.indexOf(Math.max(...perByte)) === task.answer);
    }
    expect(summary?.chance).toBeCloseTo((1 / 3 + 1 / 2 + 1 / 2) / 3, 10);
    expect(summary?.correct).toBe(results.filter(({ isCorrect }) => isCorrect).length);
    const single = await evaluateTasks(model, tokenizer, CHOICES, { batchSize: 1 });
    for (const [i, result] of single.results.entries()) {
      for (const [c, nats] of (result.logLikelihoods ?? []).entries()) {
        expect(nats).toBeCloseTo(results[i]?.logLikelihoods?.[c] ?? 0, 3);
      }
    }
  });

  it('counts white space between prompt and choice to the choice, however it is written', () => {
    const left = choiceRow(tokenizer, choice('the ', ['cat']), 0, 0);
    const right = choiceRow(tokenizer, choice('the', [' cat']), 0, 0);
    expect([left.ids, left.promptLength]).toEqual([right.ids, right.promptLength]);
    expect(left.promptLength).toBe(1);
  });

  it('knows the right answer when there is one: accuracy and its error', async () => {
    const { results } = await evaluateTasks(model, tokenizer, CHOICES);
    const right = CHOICES.map((task, i) => ({
      ...task,
      answer: task.choices.indexOf(results[i]?.answer ?? ''),
    }));
    const all = await evaluateTasks(model, tokenizer, right);
    expect(all.choice).toMatchObject({ tasks: 3, correct: 3, accuracy: 1, standardError: 0 });
    expect(all.generate).toBeNull();
    const wrong = right.map((task, i) => (i === 0 ? { ...task, answer: (task.answer + 1) % 3 } : task));
    const some = await evaluateTasks(model, tokenizer, wrong);
    expect(some.choice?.accuracy).toBeCloseTo(2 / 3, 10);
    expect(some.choice?.standardError).toBeCloseTo(Math.sqrt(2 / 9 / 3), 10);
  });

  it('generates answers up to a stop string and asks an oracle', async () => {
    const options = { temperature: 0, maxTokens: 6, stop: [' '] };
    const prompts = ['the cat', 'the dog sat on the', 'log'];
    const texts = await Promise.all(
      prompts.map(async (prompt) => (await generateText(model, tokenizer, prompt, options)).text),
    );
    const questions = prompts.map(
      (prompt, i): GenerateTask => ({
        type: 'generate',
        id: `q${i}`,
        prompt,
        answer: i === 1 ? ['never this'] : ['nor this', texts[i] ?? ''],
        stop: [' '],
        max_tokens: 6,
        match: 'exact',
      }),
    );
    const tasks: Task[] = [
      questions[0] as Task,
      CHOICES[0] as Task,
      questions[1] as Task,
      questions[2] as Task,
    ];
    const seen: string[] = [];
    const { generate, results } = await evaluateTasks(model, tokenizer, tasks, {
      onTask: ({ id }) => seen.push(id),
    });
    expect(generate).toMatchObject({ tasks: 3, correct: 2 });
    expect(results.map(({ id }) => id)).toEqual(tasks.map(({ id }) => id));
    expect(results.filter(({ type }) => type === 'generate').map(({ answer }) => answer)).toEqual(texts);
    expect(seen.sort()).toEqual(tasks.map(({ id }) => id).sort());
    const own = await evaluateTasks(model, tokenizer, questions, {
      oracle: (text, { id }) => id === 'q1' && text === texts[1],
    });
    expect(own.results.map(({ isCorrect }) => isCorrect)).toEqual([false, true, false]);
  });

  it('lists every task that does not fit, before anything is run', async () => {
    const long = 'cat dog '.repeat(30);
    const question = parseTasks(lines({ type: 'generate', id: 'b', prompt: long, answer: 'x' }), 'f');
    const tasks = [{ ...choice(long, ['x', 'y']), id: 'a' }, CHOICES[0] as Task, ...question];
    await expect(evaluateTasks(model, tokenizer, tasks, { batchSize: 0 })).rejects.toMatchObject({
      name: 'InvalidEvaluationError',
      fieldViolations: ['batchSize', 'a', 'a', 'b'].map((field) => expect.objectContaining({ field })),
    });
    expect(oversizedTasks(model.config, tokenizer, tasks).map(({ field }) => field)).toEqual(['a', 'a', 'b']);
  });

  it('asks before every forward pass whether to go on, and leaves nothing behind when not', async () => {
    const before = memoryStats().liveTensors;
    const question = parseTasks(
      lines({ type: 'generate', prompt: 'the', answer: 'x', stop: ['never'], max_tokens: 6 }),
      'f',
    );
    for (const [tasks, passes] of [
      [CHOICES, 2],
      [question, 3],
    ] as const) {
      let asked = 0;
      const checkCancelled = () => {
        asked += 1;
        if (asked === passes) throw new Error('enough');
      };
      await expect(evaluateTasks(model, tokenizer, tasks, { batchSize: 1, checkCancelled })).rejects.toThrow(
        'enough',
      );
      expect(asked).toBe(passes);
    }
    // What other files of this process left behind may be collected meanwhile.
    expect(memoryStats().liveTensors).toBeLessThanOrEqual(before);
  });

  it('stops when aborted', async () => {
    const reason = new Error('enough');
    await expect(
      evaluateTasks(model, tokenizer, CHOICES, { signal: AbortSignal.abort(reason) }),
    ).rejects.toBe(reason);
    const question = parseTasks(lines({ type: 'generate', prompt: 'a', answer: 'x' }), 'f');
    await expect(
      evaluateTasks(model, tokenizer, question, { signal: AbortSignal.abort(reason) }),
    ).rejects.toBe(reason);
  });
});

describe('countPromptTokens()', () => {
  it('counts tokens, not the bytes of the text, of which a vocabulary may lack some', () => {
    const { tokens, ...rest } = byteTokenizer().vocabulary;
    // The first byte of é has no token.
    const lacking = new BpeTokenizer({
      ...rest,
      tokens: tokens.map((token) => (token === 'Ã' ? '<gone>' : token)),
    });
    const ids = lacking.encode('é is e');
    expect(ids).toHaveLength(6);
    expect(countPromptTokens(lacking, ids, 'é is')).toBe(4);
  });
});

describe('ORACLES', () => {
  const task = (...answer: string[]): GenerateTask => ({
    type: 'generate',
    id: '',
    prompt: '',
    answer,
    stop: [],
    max_tokens: 1,
    match: 'exact',
  });

  it.each<[keyof typeof ORACLES, string, string[], boolean]>([
    ['exact', '  the   cat\n', ['the cat'], true],
    ['exact', 'the cats', ['the cat'], false],
    ['exact', 'The cat', ['the cat', 'The cat'], true],
    ['prefix', ' 4 is the answer', ['4'], true],
    ['prefix', 'it is 4', ['4'], false],
    ['number', 'so 3 + 4 is 7.', ['7'], true],
    ['number', '$1,234.50', ['1234.5'], true],
    ['number', '1, 2', ['12'], false],
    ['number', 'minus -3', ['3'], false],
    ['number', 'seven', ['7'], false],
  ])('%s: %j against %j is %s', (match, text, answer, expected) => {
    expect(ORACLES[match](text, task(...answer))).toBe(expected);
  });
});
