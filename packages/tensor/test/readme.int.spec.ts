import { readFileSync, rmSync, writeFileSync } from 'node:fs';

describe('the example of the README', () => {
  it('runs as it stands and learns: the loss falls from ln 256 to below 1.2 nats', async () => {
    const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
    const code = /```ts\n([\s\S]*?)```/.exec(readme)?.[1] ?? '';
    expect(code.trimEnd().split('\n').length).toBeLessThanOrEqual(40);
    const name: string = './readme-example.generated.ts';
    const file = new URL(name, import.meta.url);
    writeFileSync(file, `${code}\nexport { losses };\n`);
    try {
      const { losses } = (await import(name)) as { losses: number[] };
      expect(losses[0]).toBeCloseTo(Math.log(256), 0);
      expect(losses.at(-1)).toBeLessThan(1.2);
    } finally {
      rmSync(file);
    }
  });
});
