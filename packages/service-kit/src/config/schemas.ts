import { z } from 'zod';

const SIZE_UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
};

/** `true`, `false`, `1`, `0`, `yes`, `no`, `on`, `off`. */
export const zFlag = z.string().transform((text, context) => {
  if (/^(1|true|yes|on)$/i.test(text)) return true;
  if (/^(0|false|no|off)$/i.test(text)) return false;
  context.addIssue({ code: 'custom', message: `"${text}" is not true or false` });
  return z.NEVER;
});

/** Items separated by commas, blanks around them removed, empty ones dropped. */
export const zList = z.string().transform((text) =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== ''),
);

/** A size: `4194304`, `4MiB`, `1.5GB`. */
export const zSizeBytes = z.string().transform((text, context) => {
  const [, number = '', unit = ''] = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(text) ?? [];
  const factor = SIZE_UNITS[unit.toLowerCase()];
  if (number === '' || factor === undefined) {
    context.addIssue({ code: 'custom', message: `"${text}" is not a size such as 4MiB` });
    return z.NEVER;
  }
  return Math.round(Number(number) * factor);
});

/** A port: 0 to 65535, 0 lets the system choose. */
export const zPort = z.coerce.number().int().min(0).max(65535);

/** A duration, whole milliseconds ≥ 0. */
export const zDurationMs = z.coerce.number().int().min(0);
