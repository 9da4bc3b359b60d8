export { default } from './presets/jest.mjs';
