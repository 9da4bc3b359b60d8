import { copyFile, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import {
  directorySource,
  exportGguf,
  GGUF_EXPORT_TYPES,
  type GgufEmbeddingType,
  type GgufExport,
  type GgufExportType,
  loadTokenizer,
  openGgufModel,
  openWeights,
  saveModel,
  type TensorSource,
  THOUGHTS_CONFIG_FILE,
  THOUGHTS_FILE,
  tokenizerFromMetadata,
  type WeightsDtype,
} from '@agentforge/model';
import { GGUF_EXTENSION, type OpenModel, openModel } from '../api/open-model.js';
import { UsageError } from '../errors.js';
import { formatBytes, formatNumber } from '../output/units.js';
import type { Session } from '../session.js';

/** Types of a weights file in Hugging Face layout. */
const HF_TYPES = ['f32', 'f16', 'bf16'] as const;

/** Options of `model export`. */
export interface ExportOptions {
  readonly to: string;
  readonly format: 'hf' | 'gguf';
  readonly type?: string;
  readonly embeddingType?: GgufEmbeddingType;
}

/** Writes a model as files that other tools load, one tensor in memory at a time. */
export async function modelExport(session: Session, options: ExportOptions, where: string): Promise<void> {
  checkOptions(options);
  const target = resolve(session.io.cwd, options.to);
  const opened = await openModel(session, where);
  try {
    const { source, tokenizer } = await tensorsOf(opened);
    const hasThoughts =
      opened.gguf === undefined && (await directorySource(opened.folder).size(THOUGHTS_FILE)) !== null;
    if (options.format === 'hf') {
      const type = options.type ?? 'f32';
      await saveModel(target, source, tokenizer, { dtype: type.toUpperCase() as WeightsDtype });
      await copyThoughts(opened.folder, target, hasThoughts);
      await session.print({
        value: { folder: target, format: 'hf', type },
        names: [target],
        table: (style) => `${style.green('written')} ${target}`,
      });
      return;
    }
    const type = (options.type ?? 'f16') as GgufExportType;
    const report = await exportGguf(target, source, tokenizer, {
      type,
      ...(options.embeddingType === undefined ? {} : { embeddingType: options.embeddingType }),
    });
    await session.print({
      value: { file: target, format: 'gguf', type, ...report },
      names: [target],
      table: (style) =>
        `${style.green('written')} ${target} (${formatBytes(report.sizeBytes)}, ${summary(report)})`,
    });
    if (hasThoughts) {
      session.remark(
        session.errorStyle.yellow('the model in the file does not think: GGUF has no place for thoughts'),
      );
    }
    const ternarized = report.tensors.filter(({ wasTernarized }) => wasTernarized);
    if (ternarized.length > 0) {
      session.remark(
        session.errorStyle.yellow(
          `${ternarized.length} matrices were not ternary and were rounded: ${formatNumber(100 * worst(ternarized))} % of the ` +
            'worst one is lost; a model that was not trained for it is of little use so',
        ),
      );
    }
  } finally {
    await opened.dispose();
  }
}

/** Copies what a model thinks with; takes the thoughts of another model out of the folder where it has none. */
async function copyThoughts(from: string, to: string, hasThoughts: boolean): Promise<void> {
  if (resolve(from) === resolve(to)) return;
  for (const name of [THOUGHTS_FILE, THOUGHTS_CONFIG_FILE]) {
    if (hasThoughts) await copyFile(join(from, name), join(to, name));
    else await rm(join(to, name), { force: true });
  }
}

function checkOptions({ to, format, type, embeddingType }: ExportOptions): void {
  const allowed: readonly string[] = format === 'hf' ? HF_TYPES : GGUF_EXPORT_TYPES;
  const problems: { field: string; description: string }[] = [];
  if (type !== undefined && !allowed.includes(type)) {
    problems.push({
      field: '--type',
      description: `${type} is not a type of ${format}: ${allowed.join(', ')}`,
    });
  }
  if (format === 'hf' && embeddingType !== undefined) {
    problems.push({ field: '--embedding-type', description: 'needs --format gguf' });
  }
  if (format === 'gguf' && !to.endsWith(GGUF_EXTENSION)) {
    problems.push({ field: '--to', description: `${to} is no file name that ends with ${GGUF_EXTENSION}` });
  }
  if (problems.length === 0) return;
  const text = problems.map(({ field, description }) => `${field}: ${description}`).join('; ');
  throw new UsageError(text, problems);
}

/** Tensors and tokenizer of a model, without loading it whole. */
async function tensorsOf({ folder, gguf }: OpenModel) {
  const files = directorySource(folder);
  if (gguf !== undefined) {
    const source = await openGgufModel(files, gguf);
    return { source, tokenizer: tokenizerFromMetadata(gguf, source.reader.metadata) };
  }
  const { config, reader } = await openWeights(files);
  const source: TensorSource = { config, readF32: (name) => reader.readF32(name) };
  return { source, tokenizer: await loadTokenizer(files) };
}

function summary({ tensors }: GgufExport): string {
  const counts = new Map<string, number>();
  for (const { type } of tensors) counts.set(type, (counts.get(type) ?? 0) + 1);
  return [...counts].map(([type, count]) => `${count} ${type}`).join(', ');
}

function worst(tensors: GgufExport['tensors']): number {
  return tensors.reduce((max, { relativeError }) => Math.max(max, relativeError), 0);
}
