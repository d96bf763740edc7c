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

/** The modules whose values `import 'deadpeer'` exports. All others are in one file for each folder, which is loaded when a function needs it. */
const atImport = [
  'errors.ts',
  'kernel/socket-options.ts',
  'kernel/tcp-info.ts',
  'options/',
  'profile/presets.ts',
  'profile/profile.ts',
].map((part) => src + part)

/** The functions of `deadpeer` whose modules are loaded when they are first called. */
const atFirstCall = [
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
]

const entries = Object.values(input).map((file) => fileURLToPath(new URL(file, import.meta.url)))

const isCommand = /\/cli\/commands\/(\w+)\/\1\.ts$/

export default {
  input,
  preserveEntrySignatures: 'allow-extension',
  platform: 'node',
  treeshake: { moduleSideEffects: false },
  external: ['commander', 'prom-client', 'undici', /\.node$/],
  plugins: [loadAtFirstUse({ index: atFirstCall }), wrapForImport()],
  output: {
    dir: 'dist',
    format: 'cjs',
    exports: 'named',
    // Without the mark, every bundler gives the wrappers the same default import.
    esModule: false,
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

/** The file that a module is written to. */
function groupOf(file) {
  if (!file.startsWith(src) || entries.includes(file)) return null
  if (atImport.some((part) => file.startsWith(part))) return 'at-import'
  const [folder, rest] = file.slice(src.length).split('/')
  if (folder === 'cli') return null
  return rest ? folder : null
}
