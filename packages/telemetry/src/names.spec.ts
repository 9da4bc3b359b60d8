import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  ATTRIBUTES,
  createLogger,
  createMetrics,
  LABELS,
  LOG_EVENTS,
  METRICS,
  SPANS,
  startSpan,
} from './index.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));

/** Every product source of the workspace outside this package: path and text. */
function sources(): [string, string][] {
  const found: [string, string][] = [];
  for (const area of ['packages', 'services']) {
    for (const name of readdirSync(join(root, area))) {
      if (area === 'packages' && name === 'telemetry') continue;
      const folder = join(root, area, name, 'src');
      for (const file of listSources(folder)) found.push([file, readFileSync(file, 'utf8')]);
    }
  }
  return found;
}

function listSources(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith('.ts') && !entry.parentPath.includes('/gen'))
      .map((entry) => join(entry.parentPath, entry.name));
  } catch {
    return [];
  }
}

/** First arguments, as text literals, of all calls that match. */
function literalsOf(pattern: RegExp): [string, string][] {
  return sources().flatMap(([file, text]) =>
    [...text.matchAll(pattern)].map((match): [string, string] => [file.slice(root.length), match[1] ?? '']),
  );
}

describe('the registry', () => {
  it('names metrics in the manner of Prometheus, each once', () => {
    const names = Object.values(METRICS).map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    for (const { name, kind, labels } of Object.values(METRICS)) {
      expect(name).toMatch(/^forge_[a-z0-9_]+$/);
      expect(name.endsWith('_total')).toBe(kind === 'counter');
      if (kind === 'histogram') expect(name).toMatch(/_(seconds|bytes)$/);
      for (const label of labels) expect(LABELS).toContain(label);
    }
  });

  it('has no label whose values are unbounded', () => {
    for (const label of LABELS) expect(label).not.toMatch(/id$|digest|path|url|message|tenant|subject/i);
  });

  it('names spans, events and attributes in one form', () => {
    for (const name of [...Object.keys(SPANS), ...Object.keys(LOG_EVENTS)]) {
      expect(name).toMatch(/^[a-z]+\.[a-z]+(_[a-z]+)*$/);
    }
    for (const [key, name] of Object.entries(ATTRIBUTES)) {
      expect(key).toMatch(/^[a-z][a-zA-Z]*$/);
      expect(name).toMatch(/^[a-z]+([._][a-z]+)+$/);
    }
    const names = Object.values(ATTRIBUTES);
    expect(new Set(names).size).toBe(names.length);
  });
});

describe('names outside the registry', () => {
  it('are refused by the types', () => {
    const log = createLogger({ service: 'test', level: 'silent' });
    const metrics = createMetrics('test');
    // @ts-expect-error the event is not registered
    log.info('no.such_event');
    // @ts-expect-error the field is not registered
    log.info('run.created', { notAField: 1 });
    // @ts-expect-error the span is not registered
    startSpan('no.such_span').end();
    // @ts-expect-error the label is missing
    expect(() => metrics.counter('deadLetters').inc({})).not.toThrow();
    // @ts-expect-error a gauge is not a counter
    expect(metrics.counter('runsActive')).toBeDefined();
    // @ts-expect-error the metric is not registered
    expect(() => metrics.counter('noSuchMetric')).toThrow(TypeError);
  });

  it('appear in no source: every event that is logged is registered', () => {
    const logged = literalsOf(/\blog(?:ger)?\??\.(?:debug|info|warn|error|fatal)\(\s*'([^']+)'/g);
    expect(logged.length).toBeGreaterThan(0);
    expect(logged.filter(([, event]) => !(event in LOG_EVENTS))).toEqual([]);
  });

  it('appear in no source: every span and metric is registered', () => {
    const spans = literalsOf(/\b(?:startSpan|withSpan)\(\s*'([^']+)'/g);
    expect(spans.filter(([, span]) => !(span in SPANS))).toEqual([]);
    const metrics = literalsOf(/\bmetrics\??\.(?:counter|gauge|histogram)\(\s*'([^']+)'/g);
    expect(metrics.length).toBeGreaterThan(0);
    expect(metrics.filter(([, metric]) => !(metric in METRICS))).toEqual([]);
  });

  it('are the only ones missing: some source sets every metric of the registry', () => {
    const own = readFileSync(join(root, 'packages/telemetry/src/metrics.ts'), 'utf8');
    const all = [...sources().filter(([file]) => !file.endsWith('.spec.ts')), ['', own]];
    const set = all.flatMap(([, text = '']) =>
      [...text.matchAll(/\.(?:counter|gauge|histogram)\(\s*'(\w+)'/g)].map((match) => match[1]),
    );
    expect(Object.keys(METRICS).filter((key) => !set.includes(key))).toEqual([]);
  });

  it('cannot come in by another door: only this package uses the libraries', () => {
    const imports = literalsOf(/from '((?:pino|prom-client|@opentelemetry\/)[^']*)'/g);
    expect(imports).toEqual([]);
  });
});
