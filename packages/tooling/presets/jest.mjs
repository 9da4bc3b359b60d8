import { readFileSync } from 'node:fs';

const swc = JSON.parse(readFileSync(new URL('./swc.json', import.meta.url), 'utf8'));

/**
 * Jest settings of one workspace folder: TypeScript sources as ES modules, workspace
 * packages resolved to their sources, so that a test never runs a stale build.
 */
export default {
  rootDir: process.cwd(),
  testEnvironment: 'node',
  testEnvironmentOptions: { customExportConditions: ['agentforge-source', 'node', 'node-addons'] },
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '^.+\\.ts$': ['@swc/jest', { ...swc, sourceMaps: 'inline' }] },
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  testMatch: ['**/*.spec.ts'],
  testTimeout: 30_000,
  testPathIgnorePatterns: ['/node_modules/', '/dist/', '/build/', '/\\.forge/'],
  modulePathIgnorePatterns: ['/dist/', '/build/', '/\\.forge/', '/\\.nx/'],
};
