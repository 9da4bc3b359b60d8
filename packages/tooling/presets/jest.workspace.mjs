import { fileURLToPath } from 'node:url';
import base from './jest.mjs';

/** Jest settings for the whole workspace in one run: every folder's specs, one count. */
export default {
  ...base,
  rootDir: fileURLToPath(new URL('../../..', import.meta.url)),
  roots: ['<rootDir>/packages', '<rootDir>/services', '<rootDir>/native', '<rootDir>/test'],
};
