import type { Metrics } from '@agentforge/telemetry';
import type { DescService } from '@bufbuild/protobuf';
import type { Client, ClientOptions } from './client-types.js';
import { createClient } from './create-client.js';

/** The clients of one service process: one per service and address, closed with the service. */
export class Clients {
  private readonly clients = new Map<string, Client<DescService>>();

  constructor(private readonly metrics: Metrics) {}

  /** The client of a service at an address; options count when it is first asked for. */
  get<Service extends DescService>(
    service: Service,
    address: string | readonly string[],
    options: ClientOptions = {},
  ): Client<Service> {
    const key = `${service.typeName} ${address}`;
    const known = this.clients.get(key);
    if (known) return known as unknown as Client<Service>;
    const client = createClient(service, address, { metrics: this.metrics, ...options });
    this.clients.set(key, client as unknown as Client<DescService>);
    return client;
  }

  /** Closes all connections. */
  close(): void {
    for (const client of this.clients.values()) client.close();
    this.clients.clear();
  }
}
