import type { DescService } from '@bufbuild/protobuf';
import type { Server } from '@grpc/grpc-js';
import { HealthImplementation } from 'grpc-health-check';
import type { Readiness } from '../ops/readiness.js';

/** Serves `grpc.health.v1.Health`: the whole (empty name) and every service follow the readiness. */
export function addHealth(server: Server, services: readonly DescService[], readiness: Readiness): void {
  const names = ['', ...services.map(({ typeName }) => typeName)];
  const health = new HealthImplementation();
  readiness.onChange((isReady) => {
    for (const name of names) health.setStatus(name, isReady ? 'SERVING' : 'NOT_SERVING');
  });
  health.addToServer(server);
}
