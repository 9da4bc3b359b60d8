/** Steps from the root of a document to a value: keys of maps and indices of lists. */
export type FieldPath = readonly (string | number)[];

/** `steps[1].config.population`; keys that are not plain words are quoted: `labels["a b"]`. */
export function formatPath(path: FieldPath): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else if (/^[\w-]+$/.test(part)) text += text === '' ? part : `.${part}`;
    else text += `[${JSON.stringify(part)}]`;
  }
  return text;
}

/**
 * The parts of a path as {@link formatPath} writes it. Also accepts `/steps/1/config` (JSON pointer) and a leading
 * `$.`, `graph.` or `spec.`, which servers put in front.
 */
export function parsePath(text: string): FieldPath {
  if (text.startsWith('/')) {
    return text
      .slice(1)
      .split('/')
      .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
      .map((part) => (/^\d+$/.test(part) ? Number(part) : part));
  }
  const path: (string | number)[] = [];
  const pattern = /\[(\d+)\]|\[("(?:[^"\\]|\\.)*")\]|\["?([^\]"]+)"?\]|([^.[\]]+)/g;
  for (const match of text.replace(/^(\$|graph|spec)\./, '').matchAll(pattern)) {
    const [, index, quoted, bracketed, word] = match;
    if (index !== undefined) path.push(Number(index));
    else if (quoted !== undefined) path.push(JSON.parse(quoted) as string);
    else path.push(bracketed ?? word ?? '');
  }
  return path;
}
