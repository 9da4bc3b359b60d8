import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import {
  type LabelsOf,
  MAX_SERIES,
  METRICS,
  type MetricKey,
  type MetricKeyOf,
  type MetricSpec,
} from './metric-names.js';

/** Counts up. */
export interface ForgeCounter<Labels> {
  /** @param by ≥ 0, default 1 */
  inc(labels: Labels, by?: number): void;
}

/** A value that goes up and down. */
export interface ForgeGauge<Labels> {
  set(labels: Labels, value: number): void;
  inc(labels: Labels, by?: number): void;
  dec(labels: Labels, by?: number): void;
  /** Removes one series, for what no longer exists. */
  remove(labels: Labels): void;
  /** Asks for the values at the moment of a scrape; all earlier series of this gauge are dropped then. */
  collect(read: () => Reading<Labels>[] | Promise<Reading<Labels>[]>): void;
}

/** A value with its labels. */
export interface Reading<Labels> {
  readonly labels: Labels;
  readonly value: number;
}

/** Observations in buckets. */
export interface ForgeHistogram<Labels> {
  observe(labels: Labels, value: number): void;
}

type LabelValues = Record<string, string>;

/**
 * The metrics of one service in one registry: several services in one process do not mix.
 * Metrics are made on first use, only from the registered names.
 */
export class Metrics {
  private readonly registry = new Registry();
  private readonly made = new Map<MetricKey, Counter | Gauge | Histogram>();
  private readonly series = new Map<MetricKey, Set<string>>();

  constructor(readonly service: string) {
    this.registry.setDefaultLabels({ forge_service: service });
  }

  /** The counter of a registered name. */
  counter<Key extends MetricKeyOf<'counter'>>(key: Key): ForgeCounter<LabelsOf<Key>> {
    const counter = this.make(key, (spec) => new Counter(this.configOf(spec)));
    return { inc: (labels, by = 1) => counter.inc(this.bounded(key, labels), by) };
  }

  /** The gauge of a registered name. */
  gauge<Key extends MetricKeyOf<'gauge'>>(key: Key): ForgeGauge<LabelsOf<Key>> {
    const gauge = this.make(key, (spec) => new Gauge(this.configOf(spec)));
    return {
      set: (labels, value) => gauge.set(this.bounded(key, labels), value),
      inc: (labels, by = 1) => gauge.inc(this.bounded(key, labels), by),
      dec: (labels, by = 1) => gauge.dec(this.bounded(key, labels), by),
      remove: (labels) => {
        gauge.remove(labels as LabelValues);
        this.series.get(key)?.delete(seriesOf(labels));
      },
      collect: (read) => {
        const collected = gauge as Gauge & { collect?: () => Promise<void> };
        collected.collect = async () => {
          const readings = await read();
          gauge.reset();
          this.series.delete(key);
          for (const { labels, value } of readings) gauge.set(this.bounded(key, labels), value);
        };
      },
    };
  }

  /** The histogram of a registered name. */
  histogram<Key extends MetricKeyOf<'histogram'>>(key: Key): ForgeHistogram<LabelsOf<Key>> {
    const histogram = this.make(
      key,
      (spec) => new Histogram({ ...this.configOf(spec), buckets: [...(spec.buckets ?? [])] }),
    );
    return { observe: (labels, value) => histogram.observe(this.bounded(key, labels), value) };
  }

  /** Adds the metrics of the Node process: CPU, memory, garbage collection, event loop. */
  includeProcess(): void {
    collectDefaultMetrics({ register: this.registry });
  }

  /** Text exposition of all metrics and its content type. */
  async expose(): Promise<{ readonly text: string; readonly contentType: string }> {
    return { text: await this.registry.metrics(), contentType: this.registry.contentType };
  }

  private configOf(spec: MetricSpec) {
    return { name: spec.name, help: spec.help, labelNames: [...spec.labels], registers: [this.registry] };
  }

  private make<T extends Counter | Gauge | Histogram>(key: MetricKey, create: (spec: MetricSpec) => T): T {
    const known = this.made.get(key);
    if (known) return known as T;
    const spec: MetricSpec | undefined = METRICS[key];
    if (!spec) throw new TypeError(`metric ${key} is not in the registry of names`);
    const metric = create(spec);
    this.made.set(key, metric);
    return metric;
  }

  /** The labels as they are, or all `other` when this metric already has its full number of series. */
  private bounded(key: MetricKey, labels: Readonly<object>): LabelValues {
    let known = this.series.get(key);
    if (!known) {
      known = new Set();
      this.series.set(key, known);
    }
    const id = seriesOf(labels);
    if (known.has(id)) return labels as LabelValues;
    if (known.size < MAX_SERIES) {
      known.add(id);
      return labels as LabelValues;
    }
    this.counter('telemetrySeriesFolded').inc({ metric: METRICS[key].name });
    return Object.fromEntries(Object.keys(labels).map((label) => [label, 'other']));
  }
}

/** Makes the metrics of a service. */
export function createMetrics(service: string): Metrics {
  return new Metrics(service);
}

function seriesOf(labels: object): string {
  return Object.values(labels).join('\u0000');
}
