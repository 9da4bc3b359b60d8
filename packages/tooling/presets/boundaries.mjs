/**
 * Which way imports may point. One row per package: what it may import of ours. A row lists every allowed
 * package, so that an import that is not listed is refused, whoever adds it.
 */
const ALLOWED_IMPORTS = {
  errors: [],
  contracts: [],
  telemetry: ['errors'],
  'service-kit': ['contracts', 'errors', 'telemetry'],
  events: ['contracts', 'errors', 'telemetry'],
  artifacts: ['contracts', 'errors', 'telemetry'],
  tensor: ['errors', 'native'],
  model: ['errors', 'tensor'],
  merging: ['errors', 'model', 'tensor'],
  'phase-runtime': ['artifacts', 'contracts', 'errors', 'events', 'service-kit', 'telemetry', 'tensor'],
  cli: [
    'artifacts',
    'contracts',
    'errors',
    'events',
    'merging',
    'model',
    'service-kit',
    'telemetry',
    'tensor',
  ],
};

/** What a service may import of ours. */
const SERVICE_IMPORTS = [
  'artifacts',
  'contracts',
  'errors',
  'events',
  'merging',
  'model',
  'phase-runtime',
  'service-kit',
  'telemetry',
  'tensor',
];

/** Third-party code that `domain/` must not know: frameworks, wire formats, transports, the file system. */
const NOT_IN_DOMAIN =
  '(@nestjs|@bufbuild|@grpc|@nats-io|pino|prom-client|@opentelemetry|rxjs|reflect-metadata)';

const folderOf = (name) => (name === 'native' ? '^native/' : `^packages/${name}/`);
const anyOf = (names) => names.map((name) => folderOf(name));
const sources = '(/src/)';

const packageRules = Object.entries(ALLOWED_IMPORTS).map(([name, allowed]) => ({
  name: `imports-of-${name}`,
  severity: 'error',
  comment: `packages/${name} may import: ${allowed.join(', ') || 'nothing of ours'}.`,
  from: { path: `^packages/${name}${sources}` },
  to: { path: '^(packages|services|native|test)/', pathNot: anyOf([name, ...allowed]) },
}));

/** Settings for dependency-cruiser. */
export default {
  forbidden: [
    ...packageRules,
    {
      name: 'imports-of-native',
      severity: 'error',
      comment: 'native may import errors only.',
      from: { path: '^native/src/' },
      to: { path: '^(packages|services|test)/', pathNot: '^packages/errors/' },
    },
    {
      name: 'imports-of-services',
      severity: 'error',
      comment: `A service may import: ${SERVICE_IMPORTS.join(', ')}; never native directly, never another service.`,
      from: { path: `^services/([^/]+)${sources}` },
      to: {
        path: '^(packages|services|native|test)/',
        pathNot: ['^services/$1/', ...anyOf(SERVICE_IMPORTS)],
      },
    },
    {
      name: 'domain-is-pure',
      severity: 'error',
      comment:
        'domain/ knows its own files, errors, tensor, model and merging: no Nest, proto, NATS or I/O packages.',
      from: { path: '^services/([^/]+)/src/domain/', pathNot: '\\.spec\\.ts$' },
      to: {
        path: '^(packages|services|native|test)/',
        pathNot: ['^services/$1/src/domain/', ...anyOf(['errors', 'tensor', 'model', 'merging'])],
      },
    },
    {
      name: 'domain-knows-no-framework',
      severity: 'error',
      comment: 'domain/ knows no framework, wire format or transport.',
      from: { path: '^services/[^/]+/src/domain/', pathNot: '\\.spec\\.ts$' },
      to: { path: `node_modules/(\\.pnpm/)?.*${NOT_IN_DOMAIN}` },
    },
    {
      name: 'domain-does-no-io',
      severity: 'error',
      comment: 'domain/ reads no file, opens no socket, starts no process.',
      from: { path: '^services/[^/]+/src/domain/', pathNot: '\\.spec\\.ts$' },
      to: { path: '^(node:)?(fs|fs/promises|net|http|https|child_process|worker_threads|dgram)$' },
    },
    {
      name: 'ports-know-no-adapter',
      severity: 'error',
      comment: 'Adapters import ports, never the other way.',
      from: { path: '^services/[^/]+/src/(domain|ports)/' },
      to: { path: '^services/[^/]+/src/adapters/' },
    },
    {
      name: 'only-the-composition-root-binds-adapters',
      severity: 'error',
      comment: 'Only app.module.ts (and the entry of a worker thread) names an adapter.',
      from: {
        path: '^services/[^/]+/src/',
        pathNot: '(/adapters/|/app\\.module\\.ts$|\\.worker\\.ts$|\\.spec\\.ts$)',
      },
      to: { path: '^services/[^/]+/src/adapters/' },
    },
    {
      name: 'no-cycles',
      severity: 'error',
      comment: 'Files that import each other cannot be read alone.',
      from: {},
      to: { circular: true },
    },
    {
      name: 'declared-and-resolvable',
      severity: 'error',
      comment: 'An import that does not resolve is missing from package.json.',
      from: { pathNot: '\\.spec\\.ts$' },
      to: { couldNotResolve: true, pathNot: '\\.node$' },
    },
  ],
  options: {
    parser: 'swc',
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(/dist/|/build/|/src/gen/)' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['agentforge-source', 'import', 'node', 'default'],
      extensions: ['.ts', '.js', '.mjs', '.cjs', '.json', '.node'],
      mainFields: ['module', 'main'],
    },
  },
};
