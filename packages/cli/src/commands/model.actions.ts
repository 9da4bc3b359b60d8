import { join } from 'node:path';
import {
  countParameters,
  directorySource,
  loadConfig,
  loadTokenizer,
  openCheckpoint,
  openGgufModel,
} from '@agentforge/model';
import { type OpenModel, openModel } from '../api/open-model.js';
import type { Style } from '../output/style.js';
import { renderTable } from '../output/table.js';
import { formatBytes, formatNumber } from '../output/units.js';
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
