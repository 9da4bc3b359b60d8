import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

/**
 * Documentation of this project and of the packages it is built with: real text that every checkout has. Paragraphs
 * come in an order that depends on nothing but their words, so that every part of the text is of the same kind.
 */
export function realText(): string {
  const own = [
    'README.md',
    ...readdirSync(join(root, 'infra/decisions')).map((name) => join('infra/decisions', name)),
  ];
  const installed = ['jest', 'nx', 'typescript', '@swc/core', '@biomejs/biome'].map((name) =>
    join('node_modules', name, 'README.md'),
  );
  const orderOf = (paragraph: string) => createHash('sha256').update(paragraph).digest('hex');
  return [...own, ...installed]
    .flatMap((path) => readFileSync(join(root, path), 'utf8').split(/\n{2,}/))
    .map((paragraph) => ({ paragraph, order: orderOf(paragraph) }))
    .sort((a, b) => (a.order < b.order ? -1 : 1))
    .map(({ paragraph }) => paragraph)
    .join('\n\n');
}
