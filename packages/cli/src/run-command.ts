import { AppError } from '@agentforge/errors';
import { CommanderError } from 'commander';
import { exitCodeOf, InterruptedError, InvalidSpecError } from './errors.js';
import { EXIT, type ExitCode } from './exit-code.js';
import { createStyle, type Style, wantsColor } from './output/style.js';
import { printable } from './output/width.js';
import { createProgram } from './program.js';
import type { Io } from './session.js';
import { renderProblems } from './spec/render-problems.js';

/**
 * Runs one command line and says with which code to exit. Total: every error becomes a message on standard error.
 * @param args  the words after "forge"
 */
export async function runCommand(io: Io, args: readonly string[], version: string): Promise<ExitCode> {
  const noColorFlag = args.includes('--no-color');
  const style = createStyle(wantsColor({ isTTY: io.err.isTTY, noColorFlag, env: io.env }));
  try {
    const program = createProgram(io, version);
    if (args.length === 0) {
      program.outputHelp({ error: true });
      return EXIT.usage;
    }
    await program.parseAsync([...args], { from: 'user' });
    return EXIT.ok;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    io.err.write(describeError(error, style));
    return exitCodeOf(error);
  }
}

/** What went wrong, for people: the message, every field, and when to try again. */
export function describeError(thrown: unknown, style: Style): string {
  if (thrown instanceof InterruptedError) return `${style.yellow(thrown.message)}\n`;
  const error = AppError.from(thrown);
  if (error instanceof InvalidSpecError) {
    return `${renderProblems(error.file, error.text, error.problems, style)}\n\n${style.red(error.message)}\n`;
  }
  const head = `${style.red('error')}: ${printable(error.message)}${codeOf(error)}`;
  const known = error.message;
  const fields = error.fieldViolations
    .filter(({ description }) => !known.includes(description))
    .map(({ field, description }) => `  ${printable(`${field}: ${description}`)}`);
  const retry =
    error.retryAfterMs === undefined ? [] : [`  try again in ${Math.ceil(error.retryAfterMs / 1_000)} s`];
  const id = error.metadata['errorId']
    ? [`  the server's log has more under ${error.metadata['errorId']}`]
    : [];
  const stack =
    error.code === 'INTERNAL' && error.cause instanceof Error ? [style.dim(error.cause.stack ?? '')] : [];
  return `${[head, ...fields, ...retry, ...id, ...stack].join('\n')}\n`;
}

function codeOf(error: AppError): string {
  return error.code === 'INVALID_ARGUMENT' || error.code === 'CANCELLED' ? '' : ` (${error.code})`;
}
