import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppError } from '@agentforge/errors';
import { exitCodeOf, InterruptedError, UsageError } from './errors.js';
import { createStyle } from './output/style.js';
import { createProgram } from './program.js';
import { describeError, runCommand } from './run-command.js';
import { fakeIo } from './testing/fake-io.js';

/** Runs a command line that needs no server. */
async function forge(args: string[], options: Parameters<typeof fakeIo>[0] = {}) {
  const io = fakeIo(options);
  const code = await runCommand(io, args, '1.2.3');
  return { code, out: io.out.text, err: io.err.text };
}

describe('runCommand()', () => {
  it('prints help and the version with exit code 0', async () => {
    expect(await forge(['--version'])).toEqual({ code: 0, out: '1.2.3\n', err: '' });
    const help = await forge(['run', 'create', '--help']);
    expect(help.code).toBe(0);
    expect(help.out).toContain('Examples:');
    expect(help.out).toContain('--server <host:port>');
  });

  it.each([
    [[], /Usage: forge/],
    [['rnu'], /Did you mean run\?/],
    [['run', 'creat'], /Did you mean create\?/],
    [['run', 'list', '--sate', 'x'], /Did you mean --state\?/],
    [['run', 'list', '--limit', '0'], /Expected a whole number from 1/],
    [['run', 'list', '-o', 'xml'], /Allowed choices are table, json, yaml, name/],
    [['run', 'create'], /required option '-f, --file <file>'/],
    [['run', 'create', '-f', 'no-such.yaml'], /cannot read no-such\.yaml: no such file/],
    [['--server', 'nonsense', 'run', 'list'], /"nonsense" is not HOST:PORT/],
    [['--server', '127.0.0.1:7100,,', 'run', 'list'], /is not HOST:PORT/],
    [['demo', '--seed', 'x'], /--seed x: expected a whole number/],
    [['demo', '--seed', '-1'], /./],
    [['completion', 'tcsh'], /Allowed choices are bash, zsh, fish/],
  ])('%j is wrong usage, exit code 2', async (args, message) => {
    const { code, out, err } = await forge(args);
    expect(code).toBe(2);
    expect(err).toMatch(message);
    expect(out).toBe('');
  });

  it('says how to get a server when there is none', async () => {
    const { code, err } = await forge(['run', 'list']);
    expect(code).toBe(1);
    expect(err).toMatch(/forge dev.*--server/);
  });

  it('shows every problem of a specification with its line', async () => {
    const stdin = 'seed: x\nsteps:\n  - id: A\n    phase: p\n';
    const { code, err } = await forge(['spec', 'lint', '-', '--offline'], { stdin });
    expect(code).toBe(2);
    expect(err).toContain('standard input:1:7: error: seed');
    expect(err).toContain('standard input:3:9: error: steps[0].id');
    expect(err).toContain('2 problems');
  });

  it('writes a specification that it accepts itself', async () => {
    const { out } = await forge(['spec', 'init', '-']);
    expect((await forge(['spec', 'lint', '-', '--offline'], { stdin: out })).code).toBe(0);
  });

  it.each(['bash', 'zsh', 'fish'])('completion for %s asks forge', async (shell) => {
    expect((await forge(['completion', shell])).out).toContain('forge __complete');
  });
});

describe('profiles', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'forge-profile-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));
  const env = () => ({ FORGE_CONFIG: join(folder, 'config.yaml') });

  it('are set, used, listed and deleted', async () => {
    expect(
      (await forge(['profile', 'set', 'staging', 'server', 'forge.example:7100'], { env: env() })).code,
    ).toBe(0);
    await forge(['profile', 'set', 'local', 'output', 'name'], { env: env() });
    await forge(['profile', 'use', 'local'], { env: env() });
    expect((await forge(['profile', 'list'], { env: env() })).out).toBe('staging\nlocal\n');
    await forge(['profile', 'delete', 'local'], { env: env() });
    expect(await readFile(join(folder, 'config.yaml'), 'utf8')).not.toContain('local');
  });

  it.each([
    [['profile', 'set', 'a', 'sever', 'x:1'], /unknown setting "sever"; did you mean "server"\?/],
    [['profile', 'set', 'a', 'server', 'x'], /server: "x" is not HOST:PORT/],
    [['profile', 'set', 'a', 'output', 'xml'], /output: "xml" is none of/],
    [['profile', 'use', 'nobody'], /no profile is called "nobody"/],
    [['--profile', 'nobody', 'run', 'list'], /no profile is called "nobody"/],
  ])('%j is refused', async (args, message) => {
    const { code, err } = await forge(args, { env: env() });
    expect(code).toBe(2);
    expect(err).toMatch(message);
  });

  it('name everything that is wrong in the file', async () => {
    await writeFile(join(folder, 'config.yaml'), 'current: x\nprofiles:\n  a: { sever: b, output: xml }\n');
    const { code, err } = await forge(['run', 'list'], { env: env() });
    expect(code).toBe(2);
    expect(err).toMatch(/sever.*xml.*no profile is called "x"/);
  });
});

describe('describeError()', () => {
  const style = createStyle(false);

  it('shows fields, the time to wait and the id of the log entry', () => {
    const error = new AppError('RESOURCE_EXHAUSTED', 'too many runs', {
      fieldViolations: [{ field: 'parent', description: 'has 10 active runs' }],
      retryAfterMs: 2_500,
      metadata: { errorId: 'e-1' },
    });
    expect(describeError(error, style)).toBe(
      'error: too many runs (RESOURCE_EXHAUSTED)\n  parent: has 10 active runs\n  try again in 3 s\n' +
        "  the server's log has more under e-1\n",
    );
  });

  it('takes control characters out of what a server says', () => {
    expect(describeError(new AppError('NOT_FOUND', 'a\u001b[2Jb'), style)).toBe('error: ab (NOT_FOUND)\n');
  });

  it.each([
    [new UsageError('x'), 2],
    [new AppError('NOT_FOUND', 'x'), 1],
    [new InterruptedError('SIGINT'), 130],
    [new InterruptedError('SIGTERM'), 143],
    ['anything', 1],
  ])('exitCodeOf(%p) is %d', (error, code) => expect(exitCodeOf(error)).toBe(code));
});

describe('every command', () => {
  it('has a description, and options with one each', () => {
    const walk = (command: ReturnType<typeof createProgram>): void => {
      for (const child of command.commands.filter((entry) => !entry.name().startsWith('_'))) {
        expect([child.name(), child.description()]).not.toContain('');
        for (const option of child.options) expect([option.flags, option.description]).not.toContain('');
        walk(child);
      }
    };
    walk(createProgram(fakeIo(), '1.2.3'));
  });
});
