import { fileURLToPath } from 'node:url'

const src = fileURLToPath(new URL('src/', import.meta.url))

/** What those who do not import it are not to load: it takes other modules than the library does. */
const apart = [
  'cli/',
  'http/',
  'http.ts',
  'net-keepalive.ts',
  'register.ts',
  'register/',
  'undici.ts',
  'undici/',
]

// One file for all but these: Node takes over half a millisecond for each module that an import leads to.
export default {
  input: {
    index: 'src/index.ts',
    host: 'src/host.ts',
    http: 'src/http.ts',
    'net-keepalive': 'src/net-keepalive.ts',
    register: 'src/register.ts',
    undici: 'src/undici.ts',
    'testing/index': 'src/testing/index.ts',
    'cli/main': 'src/cli/main.ts',
  },
  platform: 'node',
  external: ['node-gyp-build', 'commander', 'undici'],
  output: {
    dir: 'dist',
    entryFileNames: '[name].js',
    chunkFileNames: 'chunks/[name].js',
    codeSplitting: {
      groups: [
        {
          name: 'core',
          test: (file) => file.startsWith(src) && !apart.some((part) => file.startsWith(src + part)),
        },
      ],
    },
  },
}
