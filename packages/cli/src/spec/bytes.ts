const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};

/** Bytes of `512MiB`, `1.5GiB`, `2GB` or a plain number; undefined for anything else. Fractions of a byte are dropped. */
export function parseBytes(value: unknown): bigint | undefined {
  const match = /^(\d+(?:\.\d+)?) ?([KMGT]i?B|B)?$/.exec(String(value));
  const unit = UNITS[match?.[2] ?? ''];
  if (match === null || unit === undefined) return undefined;
  const bytes = Number(match[1]) * unit;
  return bytes <= Number.MAX_SAFE_INTEGER ? BigInt(Math.floor(bytes)) : undefined;
}
