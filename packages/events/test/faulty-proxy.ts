import { createServer, type Server, Socket } from 'node:net';

/**
 * A relay between a client and nats-server that spoils what the client sends: for tests of faults that a healthy
 * server does not show.
 */
export class FaultyProxy {
  private constructor(
    private readonly server: Server,
    private readonly sockets: ReadonlySet<Socket>,
    /** Where clients connect. */
    readonly url: string,
  ) {}

  /** @param spoil  replaces what a client sent; must keep its length; the identity passes it on */
  static async start(upstreamPort: number, spoil: (text: string) => string): Promise<FaultyProxy> {
    const sockets = new Set<Socket>();
    const server = createServer((client) => {
      const upstream = new Socket();
      upstream.connect(upstreamPort, '127.0.0.1');
      for (const socket of [client, upstream]) {
        sockets.add(socket);
        socket.on('error', () => socket.destroy());
        socket.on('close', () => {
          client.destroy();
          upstream.destroy();
        });
      }
      client.on('data', (data) => upstream.write(Buffer.from(spoil(data.toString('latin1')), 'latin1')));
      upstream.on('data', (data) => client.write(data));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    return new FaultyProxy(server, sockets, `nats://127.0.0.1:${address.port}`);
  }

  /** Cuts all connections and listens no more. */
  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }
}
