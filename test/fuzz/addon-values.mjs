/**
 * Arguments as data: a list whose first element is a kind. A sequence of calls is then JSON, can be kept as a file, and
 * means the same whenever it is made into values. A call is `[function, ...arguments]`.
 */

/** Every kind by the word that the addon's messages say what they want with; `any` has what fits nothing. */
export const KINDS = {
  'a number': ['number', 'edge'],
  'an integer': ['integer'],
  'an unsigned 32-bit integer': ['integer', 'u32'],
  'a boolean': ['boolean'],
  'a dtype code': ['dtype'],
  'an array of at most 6 integers': ['shape', 'shape', 'badShape'],
  'a tensor handle': ['tensor'],
  'an array of at most 65536 tensor handles': ['tensors'],
  'an array of at most 65536 numbers': ['numbers'],
  'a short text': ['text'],
  'the typed array': ['array'],
  any: [
    'tensor',
    'number',
    'edge',
    'integer',
    'boolean',
    'shape',
    'badShape',
    'tensors',
    'numbers',
    'text',
    'array',
  ].concat(['wrong', 'hostile', 'memory', 'stale', 'missing']),
};

const EDGES = [
  'NaN',
  'Infinity',
  '-Infinity',
  '-0',
  '-1',
  '1e-320',
  '1.5',
  '2147483647',
  '2147483648',
  '-2147483649',
].concat([
  '4294967295',
  '4294967296',
  '70368744177664',
  '9007199254740991',
  '9007199254740992',
  '-9007199254740993',
  '1e308',
]);
const LENGTHS = [0, 1, 2, 3, 4, 5, 8, 16, 17, 32, 64, 256];
const ARRAYS = [
  'Float32Array',
  'Int32Array',
  'Uint16Array',
  'Float64Array',
  'Uint8Array',
  'Int8Array',
  'BigInt64Array',
];
const WRONG = [
  'null',
  'undefined',
  'true',
  'text',
  'symbol',
  'bigint',
  'object',
  'function',
  'array',
  'date',
  'longText',
];
const HOSTILE = [
  'throwingElement',
  'shrinking',
  'holes',
  'proxy',
  'throwingProxy',
  'length2^32',
  'nested',
  'arrayLike',
].concat(['throwingValueOf', 'calling', 'throwingOption', 'subclass']);
const MEMORY = ['detached', 'shared', 'resizable', 'dataView', 'buffer', 'offset'];

/** Descriptor of a random value of a kind. Texts stand for what JSON lacks. */
export function describeValue(kind, random) {
  switch (kind) {
    case 'tensor':
    case 'stale':
    case 'tensors':
      return [kind, random.below(16), random.below(5)];
    case 'number':
      return [kind, random.below(41) / 10 - 1];
    case 'integer':
      return random.oneIn(8) ? ['edge', random.pick(EDGES)] : ['number', random.below(12) - 1];
    case 'edge':
      return [kind, random.pick(EDGES)];
    case 'u32':
      return ['number', random.below(1000)];
    case 'boolean':
      return [kind, random.below(2)];
    case 'dtype':
      return ['number', random.oneIn(2) ? 0 : random.below(6)];
    case 'shape':
      return [kind, Array.from({ length: random.below(4) }, () => random.pick(LENGTHS))];
    case 'badShape':
      return [kind, Array.from({ length: random.below(8) }, () => random.pick([...EDGES, '4', '0']))];
    case 'numbers':
      return [
        kind,
        Array.from({ length: random.below(6) }, () => random.pick([...EDGES, '0', '0.5', '1', '2'])),
      ];
    case 'array':
      return [kind, random.pick(ARRAYS), random.pick(LENGTHS)];
    case 'text':
      return [kind, random.pick(['cpu', 'cuda', 'matmul', 'add', '', '\0', 'nonsense'])];
    case 'hostile':
      return [kind, random.pick(HOSTILE)];
    case 'memory':
      return [kind, random.pick(MEMORY)];
    case 'missing':
      return ['missing'];
    default:
      return ['wrong', random.pick(WRONG)];
  }
}

/** The value of a descriptor. `live` and `freed` are handles, `addon` what a getter may call. */
export function makeValue([kind, what, more], { live, freed, addon }) {
  const handle = (n) => live[n % Math.max(1, live.length)] ?? 0;
  switch (kind) {
    case 'tensor':
      return handle(what);
    case 'tensors':
      return Array.from({ length: more }, (_, i) => handle(what + i));
    case 'stale':
      return freed[what % Math.max(1, freed.length)] ?? 12345;
    case 'number':
      return what;
    case 'edge':
      return Number(what);
    case 'boolean':
      return what === 1;
    case 'shape':
      return what;
    case 'badShape':
    case 'numbers':
      return what.map(Number);
    case 'array':
      return new globalThis[what](more);
    case 'text':
      return what;
    case 'hostile':
      return hostile[what](addon, live);
    case 'memory':
      return memory[what]();
    default:
      return wrong[what];
  }
}

const wrong = {
  null: null,
  true: true,
  text: 'text',
  symbol: Symbol('wrong'),
  bigint: 2n ** 70n,
  object: {},
  function: () => 1,
  array: [],
  date: new Date(0),
  longText: 'x'.repeat(10_000),
};

const throws = () => {
  throw new RangeError('thrown by the caller');
};

const hostile = {
  throwingElement: () => Object.defineProperty([1, 2, 3], 1, { get: throws }),
  shrinking() {
    const list = [1, 2, 3];
    return Object.defineProperty(list, 0, {
      get() {
        list.length = 1;
        return 1;
      },
    });
  },
  // biome-ignore lint/suspicious/noSparseArray: holes are what is tried
  holes: () => [1, , 3],
  proxy: () => new Proxy([1, 2], {}),
  throwingProxy: () =>
    new Proxy([1, 2], { get: throws, getOwnPropertyDescriptor: throws, getPrototypeOf: throws }),
  'length2^32'() {
    const list = [];
    list.length = 2 ** 32 - 1;
    return list;
  },
  nested: () => [[1], [[2]]],
  arrayLike: () => ({ length: 2, 0: 1, 1: 2 }),
  throwingValueOf: () => ({ valueOf: throws, toString: throws, [Symbol.toPrimitive]: throws }),
  /** Frees a tensor and makes others while the list is read. */
  calling(addon, live) {
    return Object.defineProperty([live[0] ?? 1, live[0] ?? 1], 0, {
      get() {
        addon.full(0, [3], 1);
        if (live.length > 0) addon.free(live[0]);
        return live[0] ?? 1;
      },
    });
  },
  throwingOption: () => Object.defineProperty({}, 'threads', { get: throws }),
  subclass: () => new (class Numbers extends Array {})(3).fill(2),
};

const memory = {
  detached() {
    const array = new Float32Array(8);
    structuredClone(array.buffer, { transfer: [array.buffer] });
    return array;
  },
  shared: () => new Float32Array(new SharedArrayBuffer(32)),
  resizable() {
    const buffer = new ArrayBuffer(32, { maxByteLength: 64 });
    const array = new Float32Array(buffer);
    buffer.resize?.(4);
    return array;
  },
  dataView: () => new DataView(new ArrayBuffer(32)),
  buffer: () => new ArrayBuffer(32),
  offset: () => new Float32Array(new ArrayBuffer(64), 12, 5),
};
