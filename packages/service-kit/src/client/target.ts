import { isIPv4, isIPv6 } from 'node:net';
import { AppError } from '@agentforge/errors';

/**
 * The grpc-js target for one or several addresses.
 * @param address  `host:port`; one host name is resolved and all its addresses are used in turn;
 *   several must be IP addresses of one family (`localhost` counts as 127.0.0.1)
 * @throws AppError INVALID_ARGUMENT  when an address is malformed or the list mixes kinds
 */
export function targetOf(address: string | readonly string[]): string {
  const given = typeof address === 'string' ? address.split(',').map((part) => part.trim()) : address;
  const [first, ...others] = given.map(parse);
  if (!first) throw new AppError('INVALID_ARGUMENT', 'a client needs at least one address');
  const all = [first, ...others];
  if (all.every(({ host }) => isIPv4(host)))
    return `ipv4:${all.map(({ host, port }) => `${host}:${port}`).join(',')}`;
  if (all.every(({ host }) => isIPv6(host)))
    return `ipv6:${all.map(({ host, port }) => `[${host}]:${port}`).join(',')}`;
  if (others.length === 0) return `dns:///${first.host}:${first.port}`;
  throw new AppError(
    'INVALID_ARGUMENT',
    `several addresses must be IP addresses of one family: ${given.join(', ')}`,
  );
}

function parse(address: string): { host: string; port: number } {
  const [, bracketed, plain, text = ''] = /^(?:\[([^\]]+)\]|([^:\s]+)):(\d+)$/.exec(address) ?? [];
  const host = bracketed ?? plain;
  const port = Number(text);
  if (!host || port < 1 || port > 65535) {
    throw new AppError('INVALID_ARGUMENT', `"${address}" is not an address of the form host:port`);
  }
  return { host: host === 'localhost' ? '127.0.0.1' : host, port };
}
