import { setTimeout as sleep } from 'node:timers/promises';
import { bindContext, currentContext, newTrace, runInContext } from './context.js';

describe('runInContext()', () => {
  it('keeps concurrent scopes apart', async () => {
    const seen = await Promise.all(
      ['a', 'b', 'c'].map((requestId, index) =>
        runInContext({ requestId }, async () => {
          await sleep(3 * (3 - index));
          bindContext({ runId: `run-${requestId}` });
          await sleep(1);
          return currentContext();
        }),
      ),
    );
    expect(seen).toEqual(['a', 'b', 'c'].map((id) => ({ requestId: id, runId: `run-${id}` })));
    expect(currentContext()).toEqual({});
  });

  it('inherits nothing', () => {
    const inner = runInContext({ tenant: 'acme' }, () => runInContext({ runId: 'r' }, currentContext));
    expect(inner).toEqual({ runId: 'r' });
  });
});

describe('bindContext()', () => {
  it('does nothing outside a scope', () => {
    bindContext({ runId: 'nobody' });
    expect(currentContext()).toEqual({});
  });
});

describe('newTrace()', () => {
  it('makes valid ids that differ', () => {
    const [one, two] = [newTrace(), newTrace()];
    expect(one.traceId).toMatch(/^[0-9a-f]{32}$/);
    expect(one.spanId).toMatch(/^[0-9a-f]{16}$/);
    expect(one.traceId).not.toBe(two.traceId);
  });
});
