import type { FieldViolation } from '@agentforge/errors';

/** Violations spelled out in a message; an error carries all of them besides. */
const SHOWN = 3;

/** One line for a message: `field: description; …; and 7 more`. */
export function summarize(violations: readonly FieldViolation[]): string {
  const shown = violations.slice(0, SHOWN).map(({ field, description }) => `${field}: ${description}`);
  const rest = violations.length - shown.length;
  return rest > 0 ? `${shown.join('; ')}; and ${rest} more` : shown.join('; ');
}
