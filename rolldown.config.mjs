import { fileURLToPath } from 'node:url'

const src = fileURLToPath(new URL('src/', import.meta.url))

// One file for all but the shell: Node takes over half a millisecond for each module that an import leads to.
export default {
  input: {
    index: 'src/index.ts',
    host: 'src/host.ts',
    plan: 'src/plan.ts',
    'testing/index': 'src/testing/index.ts',
    'cli/main': 'src/cli/main.ts',
  },
  platform: 'node',
  external: ['node-gyp-build', 'commander'],
  output: {
    dir: 'dist',
    entryFileNames: '[name].js',
    chunkFileNames: 'chunks/[name].js',
    codeSplitting: {
      groups: [{ name: 'core', test: (file) => file.startsWith(src) && !file.startsWith(`${src}cli/`) }],
    },
  },
}
