import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import {
  countParameters,
  directorySource,
  encodeSplit,
  evaluate,
  generate,
  loadConfig,
  loadModel,
  loadTokenizer,
  openSafetensors,
  readCorpus,
  type SplitName,
  saveModel,
  splitCorpus,
  WEIGHTS_FILE,
} from '@agentforge/model';
import { openModel } from '../api/open-model.js';
import type { Style } from '../output/style.js';
import { renderTable } from '../output/table.js';
import { formatBytes, formatNumber, formatSeconds } from '../output/units.js';
import type { Session } from '../session.js';

/** Shape, size and files of a model, without loading its weights. */
export async function modelInfo(
  session: Session,
  options: { tensors?: boolean },
  where: string,
): Promise<void> {
  const opened = await openModel(session, where);
  try {
    const source = directorySource(opened.folder);
    const config = await loadConfig(source);
    const weights = await openSafetensors(source, WEIGHTS_FILE);
    const tokenizer = await loadTokenizer(source).catch(() => undefined);
    const tensors = weights.names.map((name) => ({ name, ...weights.info(name) }));
    const parameters = countParameters(config);
    const sizeBytes = (await stat(join(opened.folder, WEIGHTS_FILE))).size;
    const dtypes = [...new Set(tensors.map(({ dtype }) => dtype))].join(', ');
    const value = {
      ...(opened.digest === undefined ? {} : { digest: opened.digest }),
      config,
      parameters,
      dtypes,
      weightsBytes: sizeBytes,
      tokenizer: tokenizer ? { vocabSize: tokenizer.vocabSize } : null,
      tensors: tensors.map(({ name, dtype, shape }) => ({ name, dtype, shape })),
    };
    await session.print({
      value,
      names: [opened.digest ?? opened.folder],
      table: (style) => {
        const facts: [string, string][] = [
          ['architecture', 'llama'],
          [
            'parameters',
            `${formatNumber(parameters.total)} (${formatNumber(parameters.embedding)} in the embedding)`,
          ],
          ['width', `${config.hiddenSize}, feed-forward ${config.intermediateSize}`],
          ['layers', `${config.numLayers}`],
          ['heads', `${config.numHeads} of ${config.headDim}, ${config.numKvHeads} for keys and values`],
          [
            'vocabulary',
            `${config.vocabSize}${tokenizer ? `, tokenizer with ${tokenizer.vocabSize}` : ', no tokenizer'}`,
          ],
          ['context', `${config.contextLength} tokens`],
          ['weights', `${formatBytes(sizeBytes)}, ${tensors.length} tensors, ${dtypes}`],
          ...(opened.digest === undefined ? [] : [['digest', opened.digest] as [string, string]]),
        ];
        const lines = facts.map(([name, text]) => `${style.dim(name.padEnd(14))}${text}`);
        return options.tensors ? [...lines, '', tensorTable(tensors, style)].join('\n') : lines.join('\n');
      },
    });
  } finally {
    await opened.dispose();
  }
}

/** Options of `model eval`. */
export interface EvalOptions {
  readonly corpus: string;
  readonly split: 'all' | SplitName;
  readonly maxTokens?: number;
  readonly stride?: number;
}

/** Measures a model on text. */
export async function modelEval(session: Session, options: EvalOptions, where: string): Promise<void> {
  const corpus = await readCorpus([resolve(session.io.cwd, options.corpus)]);
  const documents =
    options.split === 'all'
      ? corpus.documents.map(({ text }) => text)
      : splitCorpus(corpus)[options.split].documents;
  const opened = await openModel(session, where);
  try {
    const { model, tokenizer } = await loadModel(opened.folder);
    const result = evaluate(model, encodeSplit(tokenizer, { documents }), {
      ...(options.maxTokens === undefined ? {} : { maxTokens: options.maxTokens }),
      ...(options.stride === undefined ? {} : { stride: options.stride }),
    });
    model.dispose();
    await session.print({
      value: { split: options.split, ...result },
      names: [String(result.bitsPerByte)],
      table: (style) =>
        [
          ['bits per byte', formatNumber(result.bitsPerByte)],
          ['loss', `${formatNumber(result.lossNats)} nats/token`],
          ['perplexity', formatNumber(result.perplexity)],
          ['text', `${formatBytes(result.bytes)}, ${formatNumber(result.tokens)} tokens (${options.split})`],
          [
            'speed',
            `${formatNumber(Math.round(result.tokensPerSecond))} tokens/s, ${formatSeconds(result.seconds)}`,
          ],
        ]
          .map(([name = '', text]) => `${style.dim(name.padEnd(15))}${text}`)
          .join('\n'),
    });
  } finally {
    await opened.dispose();
  }
}

/** Options of `model generate`. */
export interface GenerateCommandOptions {
  readonly prompt: string;
  readonly maxTokens: number;
  readonly temperature: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly seed: number;
}

/** Continues a prompt, printing as it goes. */
export async function modelGenerate(
  session: Session,
  options: GenerateCommandOptions,
  where: string,
): Promise<void> {
  const prompt = options.prompt === '-' ? await session.io.readStdin() : options.prompt;
  const format = await session.format();
  const opened = await openModel(session, where);
  try {
    const { model, tokenizer } = await loadModel(opened.folder);
    const stream = generate(model, tokenizer, prompt, {
      maxTokens: options.maxTokens,
      temperature: options.temperature,
      seed: options.seed,
      ...(options.topK === undefined ? {} : { topK: options.topK }),
      ...(options.topP === undefined ? {} : { topP: options.topP }),
    });
    if (format === 'table') session.io.out.write(session.style.dim(prompt));
    let next = await stream.next();
    while (!next.done) {
      if (format === 'table') session.io.out.write(next.value.text);
      next = await stream.next();
    }
    model.dispose();
    const { value } = next;
    if (format === 'table') {
      session.io.out.write('\n');
      const speed = `${formatNumber(Math.round(value.tokensPerSecond))} tokens/s`;
      session.remark(
        session.errorStyle.dim(`${value.tokens.length} tokens, ended by ${value.finish}, ${speed}`),
      );
    } else {
      await session.print({ value: { prompt, ...value }, names: [value.text], table: () => value.text });
    }
  } finally {
    await opened.dispose();
  }
}

/** Options of `model export`. */
export interface ExportOptions {
  readonly to: string;
  readonly format: 'hf';
}

/** Writes a model as files; it is loaded first, so that only a sound model is written. */
export async function modelExport(session: Session, options: ExportOptions, where: string): Promise<void> {
  const target = resolve(session.io.cwd, options.to);
  const opened = await openModel(session, where);
  try {
    const { model, tokenizer } = await loadModel(opened.folder);
    await saveModel(target, model, tokenizer);
    model.dispose();
    await session.print({
      value: { folder: target, format: options.format },
      names: [target],
      table: (style) => `${style.green('written')} ${target}`,
    });
  } finally {
    await opened.dispose();
  }
}

function tensorTable(
  tensors: readonly { name: string; dtype: string; shape: readonly number[] }[],
  style: Style,
): string {
  return renderTable(
    tensors,
    [
      { title: 'tensor', value: ({ name }) => name },
      { title: 'type', value: ({ dtype }) => dtype },
      { title: 'shape', value: ({ shape }) => shape.join(' × ') },
    ],
    style,
  );
}
