import { metricOf, type ResultFacts } from '../subject.js';
import type { Finding } from '../verdict.js';

/** Reads metrics and keeps a finding for each one that was not measured. */
export class Measured {
  readonly missing: Finding[] = [];

  constructor(private readonly result: ResultFacts) {}

  /** The value, or NaN with a finding when it was not measured. */
  value(name: string, split: string, ...subjects: readonly [string, ...string[]]): number {
    for (const subject of subjects) {
      const value = metricOf(this.result.metrics, name, split, subject);
      if (value !== undefined) return value;
    }
    const field = `metrics.${[name, split, subjects[0]].filter((part) => part !== '').join('/')}`;
    this.missing.push({ field, description: 'was not measured; the gate needs it' });
    return Number.NaN;
  }
}
