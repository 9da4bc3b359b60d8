/** Names of fields whose values never reach a log. `tokens` and `tokensPerSecond` stay readable. */
const SECRET_KEY =
  /passw(or)?d|passphrase|secret|authorization|cookie|credential|api[-_]?key|private[-_]?key|(access|refresh|id|auth|bearer|session)[-_]?token|^token$|^jwt$/i;
/** User and password inside a URL. */
const URL_USERINFO = /([a-z][a-z0-9+.-]*:\/\/)[^/\s@]+@/gi;
/** Authorization values and JSON web tokens inside text. */
const BEARER = /\b(bearer|basic)\s+[a-z0-9._~+/=-]{8,}|\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*/gi;

const HIDDEN = '[hidden]';
const MAX_TEXT = 4096;
const MAX_ITEMS = 32;
const MAX_DEPTH = 5;

/** Whether a field of this name holds a secret. */
export function isSecretKey(key: string): boolean {
  return SECRET_KEY.test(key);
}

/** Text without secrets that give themselves away by their shape, at most 4096 characters. */
export function redactText(text: string): string {
  const clean = text.replace(URL_USERINFO, `$1${HIDDEN}@`).replace(BEARER, HIDDEN);
  return clean.length > MAX_TEXT ? `${clean.slice(0, MAX_TEXT)}… (${clean.length} characters)` : clean;
}

/**
 * Any value as something that JSON can carry and a log may hold: bigints become decimal strings,
 * errors their name, code, message and stack, bytes and tensors only their length, secrets
 * `[hidden]`; depth, items and text are limited, and cycles end.
 */
export function loggable(value: unknown, key = '', depth = 0): unknown {
  if (key !== '' && isSecretKey(key)) return HIDDEN;
  switch (typeof value) {
    case 'string':
      return redactText(value);
    case 'bigint':
      return value.toString();
    case 'number':
      return Number.isFinite(value) ? value : String(value);
    case 'function':
    case 'symbol':
      return `[${typeof value}]`;
    case 'object':
      return value === null ? null : loggableObject(value, depth);
    default:
      return value;
  }
}

function loggableObject(value: object, depth: number): unknown {
  if (value instanceof Error) return loggableError(value, depth);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'invalid date' : value.toISOString();
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (value instanceof ArrayBuffer) return `[${value.byteLength} bytes]`;
  if (depth >= MAX_DEPTH) return Array.isArray(value) ? `[${value.length} items]` : '[object]';
  if (value instanceof Map) return loggableObject(Object.fromEntries(value), depth);
  if (value instanceof Set) return loggableObject([...value], depth);
  if (Array.isArray(value)) {
    const items = value.slice(0, MAX_ITEMS).map((item) => loggable(item, '', depth + 1));
    return value.length > MAX_ITEMS ? [...items, `… (${value.length} items)`] : items;
  }
  const entries = Object.entries(value).slice(0, MAX_ITEMS);
  return Object.fromEntries(entries.map(([key, item]) => [key, loggable(item, key, depth + 1)]));
}

function loggableError(error: Error, depth: number): unknown {
  const { code, reason, cause } = error as { code?: unknown; reason?: unknown; cause?: unknown };
  return {
    name: error.name,
    ...(typeof code === 'string' || typeof code === 'number' ? { code } : {}),
    ...(typeof reason === 'string' ? { reason } : {}),
    message: redactText(error.message),
    ...(error.stack ? { stack: redactText(error.stack) } : {}),
    ...(cause !== undefined && depth < MAX_DEPTH ? { cause: loggable(cause, '', depth + 1) } : {}),
  };
}
