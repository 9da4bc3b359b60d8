import { readdirSync, readFileSync } from 'node:fs';

const folder = new URL('../', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, folder), 'utf8');

/** Ops that move and compute nothing. */
const FREE = ['view', 'prefetch_file'];

describe('forge_bench', () => {
  it('measures every op', () => {
    const declared = ['src/ops/ops.h', 'src/ops/stored_weights.h'].flatMap((path) =>
      [...read(path).matchAll(/^Status (\w+)\(/gm)].map(([, name]) => name),
    );
    const sources = readdirSync(new URL('bench', folder)).map((name) => read(`bench/${name}`));
    const measured = new Set(
      sources.flatMap((text) => [...text.matchAll(/ops::(\w+)/g)].map(([, name]) => name)),
    );
    expect(declared.length).toBeGreaterThan(100);
    expect(declared.filter((name) => name !== undefined && !measured.has(name))).toEqual(FREE);
  });
});
