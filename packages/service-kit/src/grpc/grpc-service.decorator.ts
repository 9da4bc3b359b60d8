import type { DescService } from '@bufbuild/protobuf';
import { Controller } from '@nestjs/common';
import { Ctx, MessagePattern, Payload } from '@nestjs/microservices';
import { PARAM_ARGS_METADATA } from '@nestjs/microservices/constants.js';
import { pathOf } from './handler-types.js';

/** Marks handlers as belonging to the gRPC transport, so that other transports leave them alone. */
export const GRPC_TRANSPORT = Symbol('agentforge.grpc');

const SERVICES = Symbol('agentforge.grpc.services');

/**
 * Makes a class the controller of a gRPC service. Each RPC goes to the method with the RPC's
 * `localName` (camel case). Combine with `implements ServiceHandlers<typeof TheService>`; an RPC
 * without a method fails the start of the service. Handlers get `(request, call)`; a method whose
 * parameters carry Nest's own decorators gets what those say.
 */
export function GrpcService(service: DescService): ClassDecorator {
  return (target) => {
    Controller()(target);
    const served: DescService[] = Reflect.getOwnMetadata(SERVICES, target) ?? [];
    Reflect.defineMetadata(SERVICES, [...served, service], target);
    for (const method of service.methods) {
      const name = method.localName;
      const descriptor = findMethod(target.prototype, name);
      if (!descriptor) continue;
      MessagePattern(pathOf(method), GRPC_TRANSPORT)(target.prototype, name, descriptor);
      if (Reflect.hasMetadata(PARAM_ARGS_METADATA, target, name)) continue;
      Payload()(target.prototype, name, 0);
      Ctx()(target.prototype, name, 1);
    }
  };
}

/** The gRPC services that a controller class declares; empty for any other class. */
export function servicesOf(controller: object): readonly DescService[] {
  return Reflect.getOwnMetadata(SERVICES, controller) ?? [];
}

/** The RPCs of a service for which a controller class has no method. */
export function missingHandlers(controller: { prototype: object }, service: DescService): string[] {
  return service.methods
    .filter(({ localName }) => findMethod(controller.prototype, localName) === undefined)
    .map(({ name, localName }) => `${service.typeName}/${name} (method ${localName})`);
}

function findMethod(prototype: object | null, name: string): PropertyDescriptor | undefined {
  for (let level = prototype; level && level !== Object.prototype; level = Object.getPrototypeOf(level)) {
    const descriptor = Object.getOwnPropertyDescriptor(level, name);
    if (typeof descriptor?.value === 'function') return descriptor;
  }
  return undefined;
}
