import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Metrics } from '@agentforge/telemetry';
import type { EventLoopLag } from './event-loop-lag.js';
import type { Readiness } from './readiness.js';

/** What the operations port needs. */
export interface OpsServerOptions {
  readonly host: string;
  readonly port: number;
  readonly metrics: Metrics;
  readonly readiness: Readiness;
  readonly lag: EventLoopLag;
  /** Delay of the event loop above which the process counts as not alive, ms. */
  readonly maxLagMs: number;
}

/** The small HTTP port of a service: `/metrics`, `/livez`, `/readyz`; everything else is 404. */
export class OpsServer {
  private constructor(
    private readonly server: Server,
    /** Where it listens, `host:port`. */
    readonly address: string,
  ) {}

  /** Binds the port. @throws the system's error when it is taken */
  static async listen(options: OpsServerOptions): Promise<OpsServer> {
    const server = createServer((request, response) => {
      answer(request, response, options).catch(() => send(response, 500, 'text/plain', 'internal error\n'));
    });
    server.requestTimeout = 10_000;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(options.port, options.host, resolve);
    });
    return new OpsServer(server, `${options.host}:${(server.address() as AddressInfo).port}`);
  }

  /** Closes the port and its idle connections. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    this.server.closeAllConnections();
    await closed;
  }
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  options: OpsServerOptions,
): Promise<void> {
  const path = request.url?.split('?')[0];
  if (request.method !== 'GET' && request.method !== 'HEAD')
    return send(response, 405, 'text/plain', 'GET only\n');
  if (path === '/metrics') {
    const { text, contentType } = await options.metrics.expose();
    return send(response, 200, contentType, text);
  }
  if (path === '/livez') {
    const lagMs = Math.round(options.lag.maxMs());
    const isAlive = lagMs <= options.maxLagMs;
    return sendJson(response, isAlive ? 200 : 503, { alive: isAlive, eventLoopLagMs: lagMs });
  }
  if (path === '/readyz') {
    const isReady = options.readiness.isReady();
    return sendJson(response, isReady ? 200 : 503, { ready: isReady, checks: options.readiness.checks() });
  }
  return send(response, 404, 'text/plain', 'not found\n');
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  send(response, status, 'application/json', `${JSON.stringify(body)}\n`);
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' }).end(body);
}
