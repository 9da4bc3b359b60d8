/**
 * Keys that occur twice in one object of a JSON text. `JSON.parse` keeps the last silently, so two readers
 * of one file could see different tensors.
 * @param json  valid JSON
 * @returns     the repeated keys, unescaped, each once per repetition
 */
export function duplicateKeys(json: string): string[] {
  const repeated: string[] = [];
  /** Keys seen per open object; null for an open array. */
  const open: (Set<string> | null)[] = [];
  let at = 0;
  while (at < json.length) {
    const char = json[at];
    if (char === '{') open.push(new Set());
    else if (char === '[') open.push(null);
    else if (char === '}' || char === ']') open.pop();
    if (char !== '"') {
      at++;
      continue;
    }
    const end = endOfString(json, at);
    const keys = open.at(-1);
    if (keys && isKey(json, end)) {
      const key = JSON.parse(json.slice(at, end)) as string;
      if (keys.has(key)) repeated.push(key);
      keys.add(key);
    }
    at = end;
  }
  return repeated;
}

/** Index after the closing quote of the string that opens at `start`. */
function endOfString(json: string, start: number): number {
  let at = start + 1;
  while (at < json.length && json[at] !== '"') at += json[at] === '\\' ? 2 : 1;
  return at + 1;
}

function isKey(json: string, afterString: number): boolean {
  let at = afterString;
  while (at < json.length && /\s/.test(json[at] ?? '')) at++;
  return json[at] === ':';
}
