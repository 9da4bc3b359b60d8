import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../..', import.meta.url));

/** A built service in a process of its own. */
export class ServiceProcess {
  constructor(name, child, directory) {
    this.name = name;
    this.child = child;
    this.directory = directory;
  }

  /** Starts a service and waits until it is ready; `startMs` is the time from the spawn. */
  static async start(name, env, timeoutMs = 600_000) {
    const directory = await mkdtemp(join(tmpdir(), `forge-load-${name}-`));
    const addressFile = join(directory, 'address.json');
    const main = join(root, 'services', name, 'dist', 'main.js');
    const begun = performance.now();
    const child = spawn(process.execPath, [main], {
      cwd: dirname(dirname(main)),
      env: {
        ...process.env,
        FORGE_GRPC_PORT: '0',
        FORGE_HTTP_PORT: '0',
        FORGE_ADDRESS_FILE: addressFile,
        FORGE_LOG_LEVEL: 'warn',
        FORGE_DRAIN_TIMEOUT_MS: '120000',
        FORGE_DATA_DIR: join(directory, 'data'),
        FORGE_ARTIFACT_DIR: join(directory, 'artifacts'),
        ...env,
      },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const service = new ServiceProcess(name, child, directory);
    for (;;) {
      if (child.exitCode !== null) throw new Error(`${name} ended with ${child.exitCode}`);
      const text = await readFile(addressFile, 'utf8').catch(() => '');
      if (text !== '') {
        service.address = JSON.parse(text).grpc;
        break;
      }
      if (performance.now() - begun > timeoutMs) {
        child.kill('SIGKILL');
        throw new Error(`${name} was not ready within ${timeoutMs} ms`);
      }
      await sleep(10);
    }
    service.startMs = Math.round(performance.now() - begun);
    return service;
  }

  /** Resident memory now, and the most there was, MiB. */
  async memory() {
    const status = await readFile(`/proc/${this.child.pid}/status`, 'utf8');
    const mib = (key) => Math.round(Number(new RegExp(`${key}:\\s+(\\d+)`).exec(status)?.[1]) / 1_024);
    return { rssMib: mib('VmRSS'), peakMib: mib('VmHWM') };
  }

  async stop(signal = 'SIGTERM') {
    if (this.child.exitCode === null) {
      const ended = new Promise((resolve) => this.child.once('exit', resolve));
      this.child.kill(signal);
      await ended;
    }
    await rm(this.directory, { recursive: true, force: true });
  }
}
