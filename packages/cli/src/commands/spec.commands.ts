import { access, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { readSpecSource } from '../api/spec-source.js';
import { requireSpec, validateRemotely } from '../api/submit-run.js';
import { UsageError } from '../errors.js';
import type { Io, Session } from '../session.js';
import { action, collect } from './action.js';

/** `forge spec …` */
export function addSpecCommands(program: Command, io: Io): void {
  const spec = program.command('spec').description('Write and check specifications of runs');
  spec
    .command('lint <files...>')
    .description('Check specifications; every problem is listed with its line and column')
    .option('--set <key=value>', 'change a field first (repeatable)', collect)
    .option(
      '--offline',
      'leave out what only a server knows: phases, their configurations, types of artifacts',
    )
    .addHelpText(
      'after',
      '\nExamples:\n  $ forge spec lint spec.yaml\n  $ forge spec lint specs/*.yaml --offline',
    )
    .action(action<LintOptions>(io, lintSpecs));
  spec
    .command('init [file]')
    .description('Print a commented specification to start from, or write it to a file')
    .option('--force', 'replace a file that exists')
    .addHelpText(
      'after',
      '\nExamples:\n  $ forge spec init > run.yaml\n  $ forge run create -f run.yaml --watch',
    )
    .action(action<{ force?: boolean }>(io, initSpec));
}

interface LintOptions {
  readonly set?: readonly string[];
  readonly offline?: boolean;
}

async function lintSpecs(session: Session, options: LintOptions, ...files: string[]): Promise<void> {
  const online = options.offline !== true && (await session.findServer()) !== undefined;
  const door = online
    ? { pipeline: await session.pipeline(), artifacts: await session.artifacts() }
    : undefined;
  const results: { file: string; valid: true }[] = [];
  for (const file of files.flat()) {
    const ready = requireSpec(await readSpecSource(session.io, file, options.set ?? []));
    if (door) {
      const project = ready.spec.project ?? (await session.project());
      await validateRemotely(ready, door, project, session.io.interruption());
    }
    results.push({ file, valid: true });
  }
  const how = online
    ? ''
    : session.style.dim(' (checked without a server: phases and their configurations were not)');
  await session.print({
    value: results,
    names: results.map(({ file }) => file),
    table: (style) => results.map(({ file }) => `${style.green('✔')} ${file}${how}`).join('\n'),
  });
}

async function initSpec(session: Session, options: { force?: boolean }, file = '-'): Promise<void> {
  const template = await readFile(join(session.io.root, 'packages', 'cli', 'specs', 'demo.yaml'), 'utf8');
  if (file === '-') {
    session.io.out.write(template);
    return;
  }
  const target = resolve(session.io.cwd, file);
  const exists = await access(target).then(
    () => true,
    () => false,
  );
  if (exists && !options.force) throw new UsageError(`${file} exists; --force replaces it`);
  await writeFile(target, template);
  await session.print({
    value: { file: target },
    names: [target],
    table: (style) => `${style.green('written')} ${file}; check it with "forge spec lint ${file}"`,
  });
}
