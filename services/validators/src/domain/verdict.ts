/** One remark: what it is about and what is wrong, with values. */
export interface Finding {
  readonly field: string;
  readonly description: string;
}

/** How a value relates to its threshold. */
export type Comparison = 'at-most' | 'at-least' | 'equal' | 'shown';

/** A value with its threshold. */
export interface Measurement {
  readonly name: string;
  readonly value: number;
  readonly threshold: number;
  readonly comparison: Comparison;
  readonly unit: string;
}

/** A judgement about a subject. */
export interface Judgement {
  /** Name of the validator or gate. */
  readonly validator: string;
  readonly valid: boolean;
  /** Whether failing it stops the step. */
  readonly blocking: boolean;
  /** How well, 0 to 1. */
  readonly score: number;
  readonly errors: readonly Finding[];
  readonly warnings: readonly Finding[];
  readonly details: readonly Measurement[];
  readonly recommendations: readonly string[];
}

/** What a judgement is made of; the rest follows. */
export interface Evidence {
  readonly errors: readonly Finding[];
  readonly warnings?: readonly Finding[];
  readonly details?: readonly Measurement[];
  /** Said only when something is wrong. */
  readonly recommendations?: readonly string[];
  readonly blocking?: boolean;
}

/** A judgement from its evidence: valid when nothing is wrong; the score is the share of measurements that hold. */
export function judgement(validator: string, evidence: Evidence): Judgement {
  const { errors, warnings = [], details = [], recommendations = [], blocking = true } = evidence;
  const compared = details.filter(({ comparison }) => comparison !== 'shown');
  const valid = errors.length === 0;
  const share = compared.length === 0 ? Number(valid) : compared.filter(holds).length / compared.length;
  return {
    validator,
    valid,
    blocking,
    score: share,
    errors,
    warnings,
    details,
    recommendations: valid ? [] : recommendations,
  };
}

/** Whether a value meets its threshold. NaN never does. */
export function holds({ value, threshold, comparison }: Measurement): boolean {
  switch (comparison) {
    case 'at-most':
      return value <= threshold;
    case 'at-least':
      return value >= threshold;
    case 'equal':
      return value === threshold;
    case 'shown':
      return true;
    default:
      return comparison satisfies never;
  }
}

/** A finding for each measurement that does not hold. */
export function failures(details: readonly Measurement[]): Finding[] {
  const words = { 'at-most': 'at most', 'at-least': 'at least', equal: 'exactly', shown: '' } as const;
  return details
    .filter((detail) => !holds(detail))
    .map(({ name, value, threshold, comparison, unit }) => {
      const suffix = unit === '1' || unit === '' ? '' : ` ${unit}`;
      return {
        field: name,
        description: `is ${figure(value)}${suffix}; must be ${words[comparison]} ${figure(threshold)}${suffix}`,
      };
    });
}

/** A number as people read it: whole ones in full, others with six significant digits. */
export const figure = (value: number): string =>
  Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(6)));
