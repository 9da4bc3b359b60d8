import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { FolderLock, isAlive } from '../src/local/folder-lock.js';
import { LogFile } from '../src/local/log-file.js';
import { ManagedProcess, type ProcessPlan } from '../src/local/managed-process.js';
import { NatsPlan } from '../src/local/nats-plan.js';
import { ProcessGuard } from '../src/local/process-guard.js';

/** Says its pid in a file and lives until it is told to end; with "stubborn" it ignores that. */
const CHILD = `
import { writeFileSync } from 'node:fs';
if (process.argv[3] === 'stubborn') process.on('SIGTERM', () => {});
if (process.argv[3] === 'broken') { console.error('cannot find my settings'); process.exit(3); }
writeFileSync(process.argv[2], String(process.pid));
setInterval(() => {}, 1000);
`;

let folder: string;
let guard: ProcessGuard;
const processes: ManagedProcess[] = [];
const started: ChildProcess[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'forge-local-'));
  await writeFile(join(folder, 'child.mjs'), CHILD);
  guard = new ProcessGuard(500);
});
afterEach(async () => {
  await Promise.all(processes.splice(0).map((process) => process.stop(100)));
  for (const child of started.splice(0)) child.kill('SIGKILL');
  guard.close();
  await rm(folder, { recursive: true, force: true });
});

/** Waits until something holds. */
async function until(what: () => boolean | Promise<boolean>, timeoutMs = 10_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await what())) {
    if (Date.now() > deadline) throw new Error(`did not happen within ${timeoutMs} ms: ${what}`);
    await sleep(20);
  }
}

/** A process that is ready when it has written its pid. */
function manage(mode = ''): { process: ManagedProcess; notes: string[]; failures: Error[] } {
  const notes: string[] = [];
  const failures: Error[] = [];
  const pidFile = join(folder, 'pid');
  const plan: ProcessPlan = {
    name: 'worker',
    log: new LogFile(join(folder, 'logs', 'worker.log')),
    readyTimeoutMs: 10_000,
    launch: () => ({
      command: globalThis.process.execPath,
      args: [join(folder, 'child.mjs'), pidFile, mode],
      env: {},
      cwd: folder,
    }),
    ready: (pid, signal) =>
      until(async () => signal.aborted || (await readFile(pidFile, 'utf8').catch(() => '')) === String(pid)),
  };
  const process = new ManagedProcess(
    plan,
    guard,
    (line) => notes.push(line),
    (error) => failures.push(error),
  );
  processes.push(process);
  return { process, notes, failures };
}

describe('ManagedProcess', () => {
  it('starts a process again that was killed, and says so on one line', async () => {
    const { process, notes } = manage();
    await process.start();
    const first = process.pid ?? 0;
    globalThis.process.kill(first, 'SIGKILL');
    await until(() => process.pid !== undefined && process.pid !== first);
    expect(notes).toEqual(['worker was killed by SIGKILL; starting it again']);
    expect(isAlive(first)).toBe(false);
  });

  it('does not start a process again that was stopped', async () => {
    const { process, notes } = manage();
    await process.start();
    const pid = process.pid ?? 0;
    await process.stop(5_000);
    await sleep(300);
    expect(isAlive(pid)).toBe(false);
    expect(notes).toEqual([]);
  });

  it('ends a process that does not end by itself', async () => {
    const { process } = manage('stubborn');
    await process.start();
    const pid = process.pid ?? 0;
    await process.stop(200);
    expect(isAlive(pid)).toBe(false);
  });

  it('fails with the end of the log when a process does not start', async () => {
    const { process } = manage('broken');
    await expect(process.start()).rejects.toThrow(
      /worker exited with code 3; its log is .*worker\.log\n.*cannot find/,
    );
  });
});

describe('ProcessGuard', () => {
  it('ends what its owner started when the owner is killed with SIGKILL', async () => {
    const guardModule = fileURLToPath(new URL('../dist/local/process-guard.js', import.meta.url));
    const owner = join(folder, 'owner.mjs');
    await writeFile(
      owner,
      `import { spawn } from 'node:child_process';
       import { ProcessGuard } from ${JSON.stringify(guardModule)};
       const guard = new ProcessGuard(300);
       for (const mode of ['', 'stubborn']) {
         const args = [${JSON.stringify(join(folder, 'child.mjs'))}, ${JSON.stringify(join(folder, 'pid-'))} + mode, mode];
         guard.add(spawn(process.execPath, args, { detached: true, stdio: 'ignore' }).pid);
       }
       setInterval(() => {}, 1000);`,
    );
    const child = spawn(process.execPath, [owner], { stdio: 'ignore' });
    started.push(child);
    const pids = async () =>
      Promise.all(
        ['', 'stubborn'].map(async (mode) =>
          Number(await readFile(join(folder, `pid-${mode}`), 'utf8').catch(() => 0)),
        ),
      );
    await until(async () => (await pids()).every((pid) => pid > 0));
    const alive = await pids();
    expect(alive.every((pid) => isAlive(pid))).toBe(true);
    child.kill('SIGKILL');
    await until(() => alive.every((pid) => !isAlive(pid)));
  });

  it('is started again when it is killed itself, and still knows what to watch', async () => {
    const child = spawn(process.execPath, [join(folder, 'child.mjs'), join(folder, 'pid')], {
      stdio: 'ignore',
    });
    started.push(child);
    guard.add(child.pid ?? 0);
    const first = guard.pid ?? 0;
    process.kill(first, 'SIGKILL');
    await until(() => guard.pid !== undefined && guard.pid !== first);
    guard.close();
    await until(() => child.signalCode !== null);
  });
});

describe('FolderLock', () => {
  it('refuses a second holder and names the first', async () => {
    const lock = await FolderLock.acquire(folder, 'forge dev');
    await expect(FolderLock.acquire(folder, 'forge dev')).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining(`in use by process ${process.pid} (forge dev)`),
    });
    lock.release();
    (await FolderLock.acquire(folder, 'forge dev')).release();
  });

  it('takes over from a process that is gone, and from one whose pid another process has now', async () => {
    await writeFile(join(folder, 'lock'), JSON.stringify({ pid: 2 ** 22 + 1, started: '1', command: 'x' }));
    (await FolderLock.acquire(folder, 'y')).release();
    await writeFile(join(folder, 'lock'), JSON.stringify({ pid: process.pid, started: '1', command: 'x' }));
    (await FolderLock.acquire(folder, 'y')).release();
  });

  it('waits until the guard of a killed holder has ended what was left', async () => {
    const child = spawn(process.execPath, ['-e', 'setTimeout(() => {}, 700)'], { stdio: 'ignore' });
    started.push(child);
    const left = { pid: 2 ** 22 + 1, started: '1', command: 'x', guardPid: child.pid };
    await writeFile(join(folder, 'lock'), JSON.stringify(left));
    const lock = await FolderLock.acquire(folder, 'y');
    expect(child.exitCode).toBe(0);
    lock.release();
  });

  it('lets exactly one of many win', async () => {
    const results = await Promise.allSettled(
      Array.from({ length: 8 }, () => FolderLock.acquire(folder, 'race')),
    );
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const result of results) if (result.status === 'fulfilled') result.value.release();
  });
});

describe('LogFile', () => {
  it('is rotated while a child goes on writing to it, and bounded', async () => {
    const log = new LogFile(join(folder, 'logs', 'a.log'));
    for (let round = 0; round < 4; round++) {
      await writeFile(log.path, 'x'.repeat(9 * 1024 * 1024), { flag: 'a' });
      log.rotate();
    }
    await writeFile(log.path, 'the end\n', { flag: 'a' });
    expect(log.tail(100)).toBe('the end\n');
    await expect(readFile(`${log.path}.3`)).rejects.toMatchObject({ code: 'ENOENT' });
    expect((await readFile(`${log.path}.2`)).length).toBe(9 * 1024 * 1024);
  });
});

describe('NatsPlan', () => {
  it('runs nats-server on a free port, and on the same one after it was killed', async () => {
    const plan = new NatsPlan(folder, process.env);
    const nats = new ManagedProcess(
      plan,
      guard,
      () => undefined,
      () => undefined,
    );
    processes.push(nats);
    await nats.start();
    const { url } = plan;
    expect(url).toMatch(/^nats:\/\/127\.0\.0\.1:\d{4,5}$/);
    const first = nats.pid ?? 0;
    process.kill(first, 'SIGKILL');
    await until(() => nats.pid !== undefined && nats.pid !== first);
    await plan.ready(nats.pid ?? 0, AbortSignal.timeout(10_000));
    expect(plan.url).toBe(url);
  });

  it('says what to install when there is no nats-server', () => {
    const env = { PATH: '', FORGE_NATS_SERVER: join(folder, 'no-such-program') };
    expect(() => new NatsPlan(folder, env)).toThrow(
      /nats-server is not installed: .*apt-get install nats-server/,
    );
  });
});
