import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('lifetime.mjs', import.meta.url));

describe('tensors outside of any scope', () => {
  const seen = JSON.parse(execFileSync(process.execPath, ['--expose-gc', program], { encoding: 'utf8' }));

  it('are freed when the garbage collector finds them, and only then', () => {
    expect(seen).toMatchObject({ whileHeld: 21, item: 3, afterwards: 0 });
  });

  it('are freed once when disposed of before', () => {
    expect(seen).toMatchObject({ disposed: 0, collected: 0 });
  });
});
