export { default } from '@agentforge/tooling/jest';
