import { runInContext } from './context.js';
import { extractContext, formatTraceparent, injectContext, parseTraceparent } from './propagation.js';

/** The example of https://www.w3.org/TR/trace-context/#examples-of-http-traceparent-headers */
const EXAMPLE = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
const TRACE = { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7', sampled: true };

describe('parseTraceparent()', () => {
  it('reads the example of the standard and writes it back', () => {
    expect(parseTraceparent(EXAMPLE)).toEqual(TRACE);
    expect(formatTraceparent(TRACE)).toBe(EXAMPLE);
    expect(parseTraceparent(EXAMPLE.replace(/01$/, '00'))?.sampled).toBe(false);
  });

  it.each([
    ['empty', ''],
    ['zero trace id', `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`],
    ['zero parent id', `00-4bf92f3577b34da6a3ce929d0e0e4736-${'0'.repeat(16)}-01`],
    ['forbidden version', EXAMPLE.replace(/^00/, 'ff')],
    ['upper case', EXAMPLE.toUpperCase()],
    ['something after version 00', `${EXAMPLE}-more`],
    ['too short', EXAMPLE.slice(1)],
  ])('refuses %s', (_, header) => {
    expect(parseTraceparent(header)).toBeUndefined();
  });

  it('accepts what a later version adds', () => {
    expect(parseTraceparent(`${EXAMPLE.replace(/^00/, '01')}-more`)).toEqual(TRACE);
  });
});

describe('injectContext() and extractContext()', () => {
  it('carry a context through headers', () => {
    const context = { trace: { ...TRACE, state: 'a=1' }, requestId: 'r-1', tenant: 'acme', runId: 'run-7' };
    const headers = runInContext(context, () => injectContext({ other: 'kept' }));
    expect(headers).toEqual({
      other: 'kept',
      traceparent: EXAMPLE,
      tracestate: 'a=1',
      'x-request-id': 'r-1',
      'x-forge-tenant': 'acme',
      'x-forge-run': 'run-7',
    });
    expect(extractContext((name) => headers[name])).toEqual(context);
  });

  it('write nothing without a context and drop values that are not safe', () => {
    expect(injectContext({})).toEqual({});
    const bad: Record<string, string> = {
      'x-request-id': 'two\nlines',
      'x-forge-tenant': 'x'.repeat(300),
      traceparent: 'no',
    };
    expect(extractContext((name) => bad[name])).toEqual({});
  });
});
