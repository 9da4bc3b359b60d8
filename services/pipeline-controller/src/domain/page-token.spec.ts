import { decodePageToken, encodePageToken } from './page-token.js';

const QUERY = ['runs', 'p', 'state = FAILED'];

describe('page tokens', () => {
  it('give the position back for the same query', () => {
    const position = { sequence: 2n ** 60n, offset: 7 };
    expect(decodePageToken(QUERY, encodePageToken(QUERY, position))).toEqual(position);
  });

  it('are good for their query only', () => {
    const token = encodePageToken(QUERY, { sequence: 1n, offset: 0 });
    expect(decodePageToken(['runs', 'q', 'state = FAILED'], token)).toBeUndefined();
  });

  it.each([
    '',
    'x',
    '%%%',
    Buffer.from('[]').toString('base64url'),
    Buffer.from('{"a":1}').toString('base64url'),
  ])('that are made up (%s) are refused', (token) => {
    expect(decodePageToken(QUERY, token)).toBeUndefined();
  });

  it('with a changed position are refused when it is none', () => {
    const content = JSON.parse(
      Buffer.from(encodePageToken(QUERY, { sequence: 1n, offset: 0 }), 'base64url').toString(),
    ) as unknown[];
    for (const [place, value] of [
      [2, '-1'],
      [2, 1],
      [3, -1],
      [3, 0.5],
      [0, 9],
    ] as const) {
      const changed = content.map((part, i) => (i === place ? value : part));
      const token = Buffer.from(JSON.stringify(changed)).toString('base64url');
      expect(decodePageToken(QUERY, token)).toBeUndefined();
    }
  });
});
