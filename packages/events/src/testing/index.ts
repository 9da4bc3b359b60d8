export { connectForTest } from './connect-for-test.js';
export { forgetMessageIds } from './forget-message-ids.js';
export {
  findNatsServer,
  NatsServer,
  NatsServerError,
  type NatsServerOptions,
  startNatsServer,
} from './nats-server.js';
export { publishRaw, type RawMessage } from './raw-message.js';
