import { readFile } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { UsageError } from '../errors.js';
import type { Io } from '../session.js';
import type { SpecSource } from './submit-run.js';

/**
 * The text of a specification: of a file, or of standard input for "-".
 * @throws UsageError INVALID_ARGUMENT: the file cannot be read
 */
export async function readSpecSource(
  io: Io,
  file: string,
  overrides: readonly string[],
): Promise<SpecSource> {
  if (file === '-') return { file: 'standard input', text: await io.readStdin(), folder: io.cwd, overrides };
  const path = resolve(io.cwd, file);
  try {
    return { file, text: await readFile(path, 'utf8'), folder: dirname(path), overrides };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const why = code === 'ENOENT' ? 'no such file' : code === 'EISDIR' ? 'it is a folder' : String(code);
    throw new UsageError(`cannot read ${basename(file) === file ? file : path}: ${why}`);
  }
}
