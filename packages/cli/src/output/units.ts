const SIZE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** `7.6 MiB`. */
export function formatBytes(bytes: number | bigint): string {
  let value = Number(bytes);
  let unit = 0;
  while (value >= 1024 && unit < SIZE_UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(value < 10 ? 2 : 1)} ${SIZE_UNITS[unit]}`;
}

/** `850 ms`, `4.2 s`, `1m 03s`, `2h 05m`. */
export function formatSeconds(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return '–';
  if (seconds < 0.9995) return `${Math.round(seconds * 1_000)} ms`;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const two = (value: number) => String(value).padStart(2, '0');
  if (whole < 3_600) return `${Math.floor(whole / 60)}m ${two(whole % 60)}s`;
  return `${Math.floor(whole / 3_600)}h ${two(Math.floor((whole % 3_600) / 60))}m`;
}

/** Four significant digits, without exponents where they are not needed: `2.604`, `0.0013`, `10,240`. */
export function formatNumber(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) >= 1_000) return value.toLocaleString('en-US');
  if (Number.isInteger(value)) return String(value);
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-4) return value.toExponential(2);
  if (size >= 1_000) return Math.round(value).toLocaleString('en-US');
  return String(Number(value.toPrecision(4)));
}

/** A value with its unit as people write it; `By`, `s`, `1` and `%` get their usual shapes. */
export function formatQuantity(value: number, unit: string): string {
  if (unit === 'By') return formatBytes(value);
  if (unit === 's') return formatSeconds(value);
  if (unit === '' || unit === '1') return formatNumber(value);
  return `${formatNumber(value)} ${unit}`;
}

/** `sha256:0123456789ab`, enough to tell artifacts apart. */
export function shortDigest(digest: string): string {
  return digest.slice(0, 'sha256:'.length + 12);
}

/** Local time of day, `14:03:59`. */
export function formatClock(date: Date): string {
  return date.toTimeString().slice(0, 8);
}
