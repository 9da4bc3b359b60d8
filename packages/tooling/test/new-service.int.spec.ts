import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const generator = fileURLToPath(new URL('../bin/new-service.mjs', import.meta.url));

describe('new-service', () => {
  let root: string;

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'new-service-'));
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  it('writes the contract and every file that a service has', () => {
    execFileSync(process.execPath, [generator, 'ledger-book', '--root', root]);
    const home = join(root, 'services/ledger-book');
    for (const file of [
      'package.json',
      'README.md',
      'tsconfig.json',
      'jest.config.mjs',
      'src/main.ts',
      'src/app.module.ts',
      'src/config.ts',
      'src/ledger-book.controller.ts',
      'src/ledger-book.mapper.ts',
      'src/ledger-book.service.ts',
      'src/ledger-book.errors.ts',
      'src/domain/description.ts',
      'src/ports/clock.ts',
      'src/adapters/system-clock.ts',
      'test/ledger-book.int.spec.ts',
    ]) {
      expect(existsSync(join(home, file)) ? file : `${file} is missing`).toBe(file);
    }
    const contract = readFileSync(
      join(root, 'proto/agentforge/ledgerbook/v1/ledgerbook_service.proto'),
      'utf8',
    );
    expect(contract).toContain('service LedgerBookService');
    expect(JSON.parse(readFileSync(join(home, 'package.json'), 'utf8')).name).toBe('@agentforge/ledger-book');
  });

  it('overwrites nothing', () => {
    execFileSync(process.execPath, [generator, 'ledger', '--root', root]);
    const again = spawnSync(process.execPath, [generator, 'ledger', '--root', root], { encoding: 'utf8' });
    expect(again.status).toBe(1);
    expect(again.stderr).toContain('would overwrite');
  });

  it.each(['', 'Ledger', '../ledger', 'a/b', '-ledger', 'ledger-'])(
    'refuses the name %p and writes nothing',
    (name) => {
      const result = spawnSync(process.execPath, [generator, '--root', root, '--', name], {
        encoding: 'utf8',
      });
      expect(result.status).toBe(2);
      expect(result.stderr).toContain('usage');
      expect(readdirSync(root)).toEqual([]);
    },
  );
});
