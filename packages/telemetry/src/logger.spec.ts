import { runInContext } from './context.js';
import { createLogger } from './logger.js';

class Lines {
  readonly texts: string[] = [];
  write(line: string): void {
    this.texts.push(line);
  }
  last(): Record<string, unknown> {
    return JSON.parse(this.texts.at(-1) ?? '{}');
  }
}

function logTo(lines: Lines) {
  return createLogger({ service: 'test', level: 'info', destination: lines });
}

describe('Logger', () => {
  it('writes one JSON line: level, time, service, event and fields', () => {
    const lines = new Lines();
    logTo(lines).info('run.created', { runId: 'r1', count: 3 });
    expect(lines.last()).toMatchObject({
      level: 'info',
      service: 'test',
      event: 'run.created',
      runId: 'r1',
      count: 3,
    });
    expect(Date.parse(String(lines.last()['time']))).not.toBeNaN();
    expect(lines.texts).toHaveLength(1);
    expect(lines.texts[0]).toMatch(/^[^\n]*\n$/);
  });

  it('adds what the context knows', () => {
    const lines = new Lines();
    const trace = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), sampled: true };
    runInContext({ requestId: 'q', runId: 'r', tenant: 't', trace }, () => logTo(lines).warn('step.failed'));
    expect(lines.last()).toMatchObject({
      requestId: 'q',
      runId: 'r',
      tenant: 't',
      traceId: trace.traceId,
      spanId: trace.spanId,
    });
  });

  it('writes nothing below its level', () => {
    const lines = new Lines();
    logTo(lines).debug('run.created');
    expect(lines.texts).toEqual([]);
    expect(logTo(lines).isEnabled('debug')).toBe(false);
  });

  it('keeps every digit of 64-bit numbers', () => {
    const lines = new Lines();
    logTo(lines).info('artifact.written', { sizeBytes: 9007199254740993n, value: { deep: [2n ** 63n] } });
    expect(lines.last()).toMatchObject({
      sizeBytes: '9007199254740993',
      value: { deep: ['9223372036854775808'] },
    });
  });

  it('says what failed, with the causes', () => {
    const lines = new Lines();
    const error = new Error('outer', { cause: new RangeError('inner') });
    logTo(lines).error('rpc.failed', { error });
    expect(lines.last()).toMatchObject({
      error: { name: 'Error', message: 'outer', cause: { name: 'RangeError', message: 'inner' } },
    });
  });

  it('child() puts its fields on every line', () => {
    const lines = new Lines();
    logTo(lines).child({ phase: 'cognate' }).info('step.started', { stepId: 's1' });
    expect(lines.last()).toMatchObject({ phase: 'cognate', stepId: 's1' });
  });
});
