import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('./fixtures/process.mjs', import.meta.url));

/** A service process: its log lines as they come, and its exit code. */
class ServiceProcess {
  readonly lines: Record<string, unknown>[] = [];
  readonly exited: Promise<number | null>;
  private readonly child: ChildProcess;
  private partial = '';

  constructor(mode: string, env: NodeJS.ProcessEnv = {}) {
    this.child = spawn(process.execPath, [script, mode], {
      env: { PATH: process.env['PATH'], FORGE_GRPC_PORT: '0', FORGE_HTTP_PORT: '0', ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => this.read(text));
    this.exited = new Promise((resolve) => this.child.once('close', resolve));
  }

  async logged(event: string): Promise<Record<string, unknown>> {
    for (;;) {
      const line = this.lines.find((candidate) => candidate['event'] === event);
      if (line) return line;
      await new Promise((resolve) => this.child.stdout?.once('data', resolve));
    }
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  private read(text: string): void {
    const parts = (this.partial + text).split('\n');
    this.partial = parts.pop() ?? '';
    for (const part of parts) this.lines.push(JSON.parse(part));
  }
}

describe('startService()', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)('drains on %s and ends with 0', async (signal) => {
    const service = new ServiceProcess('plain');
    await service.logged('service.listening');
    service.kill(signal);
    expect(await service.exited).toBe(0);
    expect(service.lines.map(({ event }) => event)).toEqual(
      expect.arrayContaining(['drain.started', 'service.stopped', 'drain.finished']),
    );
  });

  it('is cut short by a second signal and ends with 1', async () => {
    const service = new ServiceProcess('endless', { FORGE_DRAIN_TIMEOUT_MS: '60000' });
    await service.logged('service.listening');
    service.kill('SIGTERM');
    await service.logged('drain.started');
    service.kill('SIGTERM');
    expect(await service.exited).toBe(1);
    expect(await service.logged('drain.finished')).toMatchObject({ outcome: 'forced' });
  });

  it('ends with 2 when the settings are wrong, naming all of them', async () => {
    const service = new ServiceProcess('plain', { FORGE_GRPC_PORT: '99999', FORGE_LOG_LEVEL: 'loud' });
    expect(await service.exited).toBe(2);
    const { error } = (await service.logged('service.failed')) as { error: { message: string } };
    expect(error.message).toContain('FORGE_GRPC_PORT');
    expect(error.message).toContain('FORGE_LOG_LEVEL');
  });

  it('ends with 1 when the application cannot be built', async () => {
    const service = new ServiceProcess('broken');
    expect(await service.exited).toBe(1);
    expect(await service.logged('service.failed')).toMatchObject({
      error: { message: 'the module is broken' },
    });
  });

  it('drains and ends with 1 after a rejection that nobody handles', async () => {
    const service = new ServiceProcess('rejects');
    expect(await service.exited).toBe(1);
    expect(await service.logged('process.rejection')).toMatchObject({ error: { message: 'nobody listens' } });
    await service.logged('service.stopped');
  });
});
