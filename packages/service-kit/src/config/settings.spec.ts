import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { zFlag, zList, zSizeBytes } from './schemas.js';
import { dataSettings, natsSettings, serverSettings } from './server-settings.js';
import {
  ConfigError,
  defineSettings,
  describeConfig,
  parseSettings,
  renderConfigTable,
  setting,
} from './settings.js';

const settings = defineSettings({
  limit: setting({
    env: 'T_LIMIT',
    schema: z.coerce.number().int().min(1),
    default: 10,
    unit: 'runs',
    description: 'Most runs at once',
  }),
  cache: setting({
    env: 'T_CACHE',
    schema: zSizeBytes,
    default: 1024,
    unit: 'bytes',
    description: 'Cache | size',
  }),
  verbose: setting({ env: 'T_VERBOSE', schema: zFlag, default: false, description: 'Says more' }),
  peers: setting({ env: 'T_PEERS', schema: zList, description: 'Addresses of peers' }),
  secret: setting({
    env: 'T_SECRET',
    schema: z.string().min(8),
    sensitive: true,
    description: 'Signs things',
  }),
});

const minimal = { T_PEERS: 'a:1', T_SECRET: 'long enough' };

describe('parseSettings()', () => {
  it('takes defaults, converts, and freezes', () => {
    const config = parseSettings(settings, {
      ...minimal,
      T_PEERS: 'a:1, b:2,',
      T_CACHE: '4MiB',
      T_VERBOSE: 'yes',
      T_LIMIT: '',
    });
    expect(config).toEqual({
      limit: 10,
      cache: 4194304,
      verbose: true,
      peers: ['a:1', 'b:2'],
      secret: 'long enough',
    });
    expect(Object.isFrozen(config)).toBe(true);
  });

  it('names every wrong variable in one error, without the secrets', () => {
    const env = { T_LIMIT: '0', T_CACHE: 'big', T_VERBOSE: 'maybe', T_SECRET: 'short' };
    let error: unknown;
    try {
      parseSettings(settings, env);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(ConfigError);
    const { message, fieldViolations } = error as ConfigError;
    expect(fieldViolations.map(({ field }) => field)).toEqual([
      'T_LIMIT',
      'T_CACHE',
      'T_VERBOSE',
      'T_PEERS',
      'T_SECRET',
    ]);
    for (const text of [
      'T_LIMIT',
      '"big" is not a size',
      '"maybe" is not true or false',
      'Most runs at once',
    ]) {
      expect(message).toContain(text);
    }
    expect(message).not.toContain('"short"');
  });

  it('reads a secret from a file', () => {
    const folder = mkdtempSync(join(tmpdir(), 'settings-'));
    const file = join(folder, 'secret');
    writeFileSync(file, 'from the file\n');
    expect(parseSettings(settings, { T_PEERS: 'a', T_SECRET_FILE: file }).secret).toBe('from the file');
    rmSync(folder, { recursive: true });
    expect(() => parseSettings(settings, { T_PEERS: 'a', T_SECRET_FILE: file })).toThrow(/T_SECRET.*ENOENT/);
  });
});

describe('defineSettings()', () => {
  it('refuses two settings for one variable', () => {
    const limit = setting({ env: 'T_SAME', schema: z.string(), default: '', description: 'x' });
    expect(() => defineSettings({ one: limit, two: limit })).toThrow('one and two both read T_SAME');
  });
});

describe('describeConfig()', () => {
  it('hides secrets, also those inside URLs', () => {
    const all = defineSettings({ ...settings, ...natsSettings() });
    const config = parseSettings(all, { ...minimal, FORGE_NATS_URL: 'nats://me:pw@host:4222' });
    const shown = describeConfig(all, config);
    expect(shown).toMatchObject({
      T_SECRET: '[hidden]',
      FORGE_NATS_URL: 'nats://[hidden]@host:4222',
      T_LIMIT: '10',
    });
  });
});

describe('renderConfigTable()', () => {
  it('has a row for every setting', () => {
    expect(renderConfigTable(settings).split('\n')).toEqual([
      '| variable | default | unit | meaning |',
      '|---|---|---|---|',
      '| `T_LIMIT` | `10` | runs | Most runs at once |',
      '| `T_CACHE` | `1024` | bytes | Cache \\| size |',
      '| `T_VERBOSE` | `false` | – | Says more |',
      '| `T_PEERS` | – | – | Addresses of peers |',
      '| `T_SECRET` | – | – | Signs things (secret) |',
      '',
    ]);
  });
});

describe('the settings of every service', () => {
  it('work without any variable and bind to loopback', () => {
    const all = defineSettings({
      ...serverSettings({ grpcPort: 7, httpPort: 8 }),
      ...natsSettings(),
      ...dataSettings(),
    });
    expect(parseSettings(all, {})).toMatchObject({
      grpcHost: '127.0.0.1',
      grpcPort: 7,
      httpHost: '127.0.0.1',
      httpPort: 8,
      maxMessageBytes: 4194304,
      natsUrl: ['nats://127.0.0.1:4222'],
    });
    for (const { env, description } of Object.values(all)) {
      expect(env).toMatch(/^FORGE_[A-Z_]+$/);
      expect(description.length).toBeGreaterThan(10);
    }
  });
});
