import { join, resolve } from 'node:path';
import {
  countParameters,
  directorySource,
  encodeSplit,
  evaluate,
  generate,
  loadConfig,
  loadTokenizer,
  openCheckpoint,
  openGgufModel,
  readCorpus,
  type SplitName,
  splitCorpus,
} from '@agentforge/model';
import { type OpenModel, openModel } from '../api/open-model.js';
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
    const { config, tensors, weightsBytes: sizeBytes, vocabSize } = await inspect(opened);
    const parameters = countParameters(config);
    const dtypes = [...new Set(tensors.map(({ dtype }) => dtype))].join(', ');
    const value = {
      ...(opened.digest === undefined ? {} : { digest: opened.digest }),
      config,
      parameters,
      dtypes,
      weightsBytes: sizeBytes,
      tokenizer: vocabSize === undefined ? null : { vocabSize },
      tensors,
    };
    await session.print({
      value,
      names: [opened.digest ?? join(opened.folder, opened.gguf ?? '')],
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
            `${config.vocabSize}${vocabSize === undefined ? ', no tokenizer' : `, tokenizer with ${vocabSize}`}`,
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
    const { model, tokenizer } = await opened.load();
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
    const { model, tokenizer } = await opened.load();
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

/** What the headers of a model's files say. */
async function inspect({ folder, gguf }: OpenModel) {
  const files = directorySource(folder);
  if (gguf !== undefined) {
    const { config, reader } = await openGgufModel(files, gguf);
    const tensors = reader.names.map((name) => ({
      name,
      dtype: reader.info(name).type,
      ...sizeOf(reader.info(name)),
    }));
    const tokens = reader.metadata.get('tokenizer.ggml.tokens');
    return {
      config,
      ...listed(tensors),
      vocabSize: tokens?.type === 'array' ? tokens.value.length : undefined,
    };
  }
  const config = await loadConfig(files);
  const reader = await openCheckpoint(files);
  const tensors = reader.names.map((name) => ({
    name,
    dtype: reader.info(name).dtype,
    ...sizeOf(reader.info(name)),
  }));
  const tokenizer = await loadTokenizer(files).catch(() => undefined);
  return { config, ...listed(tensors), vocabSize: tokenizer?.vocabSize };
}

interface ListedTensor {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
}

const sizeOf = ({ shape, begin, end }: { shape: readonly number[]; begin: number; end: number }) => ({
  shape,
  sizeBytes: end - begin,
});

function listed(tensors: readonly (ListedTensor & { readonly sizeBytes: number })[]) {
  return {
    tensors: tensors.map(({ name, dtype, shape }): ListedTensor => ({ name, dtype, shape })),
    weightsBytes: tensors.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
  };
}

function tensorTable(tensors: readonly ListedTensor[], style: Style): string {
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
