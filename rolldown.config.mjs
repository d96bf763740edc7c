import { fileURLToPath } from 'node:url'
import { loadAtFirstUse } from './bundle/first-use.mjs'
import { wrapForImport } from './bundle/wrappers.mjs'

const src = fileURLToPath(new URL('src/', import.meta.url))

const input = {
  index: 'src/index.ts',
  'host/index': 'src/host/index.ts',
  'http/index': 'src/http/index.ts',
  'metrics/index': 'src/metrics/index.ts',
  'net-keepalive': 'src/net-keepalive.ts',
  'path/index': 'src/path/index.ts',
  register: 'src/register.ts',
  'undici/index': 'src/undici/index.ts',
  'testing/index': 'src/testing/index.ts',
  'cli/main': 'src/cli/main.ts',
}

// A file for all modules that are loaded together: Node takes over half a millisecond for each file.
const files = {
  // The values that `import 'deadpeer'` exports.
  'at-import': [
    'errors.ts',
    'kernel/socket-options.ts',
    'kernel/tcp-info.ts',
    'options/',
    'profile/presets.ts',
    'profile/profile.ts',
  ],
  host: [
    'host/',
    'kernel/counter-rates.ts',
    'kernel/counters.ts',
    'kernel/liveness-counters.ts',
    'kernel/proc-net.ts',
    'kernel/sock-destroy.ts',
    'kernel/sock-diag.ts',
  ],
  http: ['http/'],
  metrics: ['metrics/'],
  measure: ['path/measure/'],
  path: ['path/'],
  register: ['register/'],
  testing: ['testing/'],
  undici: ['undici/'],
  // What commands share.
  commands: ['cli/lib/', 'profile/time-left.ts', 'profile/timings.ts'],
  // The rest, which the first call of a function loads. All at once: later there may be no descriptor left to read a file with.
  core: [
    'capabilities.ts',
    'connection/',
    'format.ts',
    'inspect/',
    'kernel/',
    'overlay/',
    'probe/',
    'profile/',
    'tune/',
    'watch/',
  ],
}

/** The functions that load their file when they are called, by entry point. */
const atFirstCall = {
  index: [
    'capabilities',
    'detectionTime',
    'explain',
    'inspect',
    'plan',
    'probe',
    'probeAll',
    'sampleTcpInfo',
    'tune',
    'tuneAll',
    'watch',
  ],
  'path/index': ['measure'],
  // So that a program can import it without undici. On Node 20, a CommonJS module that throws while it is imported ends the process, even if the
  // program catches the error.
  'undici/index': ['connector', 'createAgent'],
}

const entries = Object.values(input).map((file) => fileURLToPath(new URL(file, import.meta.url)))

const isCommand = /\/cli\/commands\/(\w+)\/\1\.ts$/

export default {
  input,
  preserveEntrySignatures: 'allow-extension',
  platform: 'node',
  treeshake: { moduleSideEffects: false },
  external: ['commander', 'prom-client', 'undici', /\.node$/],
  plugins: [loadAtFirstUse(atFirstCall), wrapForImport()],
  output: {
    dir: 'dist',
    format: 'cjs',
    exports: 'named',
    // Without the mark, every bundler gives the wrappers the same default import.
    esModule: false,
    generatedCode: { symbols: false },
    entryFileNames: '[name].js',
    chunkFileNames: ({ facadeModuleId }) =>
      isCommand.test(facadeModuleId) ? 'commands/[name].js' : 'chunks/[name].js',
    // What they say is in the declarations. Here it would be read at each start.
    comments: { jsdoc: false },
    codeSplitting: {
      groups: [{ debugName: 'folder', name: groupOf, includeDependenciesRecursively: false }],
    },
  },
}

/** The file that a module is written to. rolldown decides for commands and what they share. */
function groupOf(module) {
  if (!module.startsWith(src) || entries.includes(module)) return null
  const path = module.slice(src.length)
  const [name] = Object.entries(files).find(([, parts]) => parts.some((part) => path.startsWith(part))) ?? [
    null,
  ]
  return name
}
