const permission =
  Number.parseInt(process.versions.node, 10) < 22 ? '--experimental-permission' : '--permission'

/**
 * The projects. Each is made in an empty folder with everything in projects/, and the package and `tools` installed. The steps are arguments of Node.
 * The last one prints what use.mjs returns, and nothing else is left to be checked.
 *
 * `isShort`: runs without --all.
 */
export const matrix = [
  { name: 'import', isShort: true, steps: [['app.mjs']] },
  { name: 'require', isShort: true, steps: [['app.cjs']] },
  { name: 'import and require, one state', isShort: true, steps: [['one-state.mjs']] },
  { name: 'Jest without flags, one state', isShort: true, tools: ['jest@30.5.2'], steps: [jest()] },
  {
    name: 'esbuild, CommonJS, binaries copied',
    isShort: true,
    tools: ['esbuild@0.28.2'],
    steps: [esbuild('--format=cjs', '--loader:.node=copy', '--outfile=out/app.cjs'), ['out/app.cjs']],
  },
  {
    name: 'esbuild, ESM, binaries copied',
    tools: ['esbuild@0.28.2'],
    steps: [
      esbuild(
        '--format=esm',
        '--loader:.node=copy',
        "--banner:js=import { createRequire } from 'node:module'; const require = createRequire(import.meta.url)",
        '--outfile=out/app.mjs',
      ),
      ['out/app.mjs'],
    ],
  },
  {
    name: 'esbuild, deadpeer external',
    tools: ['esbuild@0.28.2'],
    steps: [esbuild('--format=esm', '--external:deadpeer', '--outfile=out/app.mjs'), ['out/app.mjs']],
  },
  {
    name: 'esbuild, binaries lost',
    isShort: true,
    tools: ['esbuild@0.28.2'],
    steps: [esbuild('--format=cjs', '--external:*.node', '--outfile=out/app.cjs'), ['out/app.cjs']],
    reason: /esbuild: --external:deadpeer; webpack: externals: .*; Rollup and Vite: external: /,
  },
  {
    name: 'webpack, node-loader',
    isShort: true,
    tools: ['webpack@5.113.0', 'node-loader@2.1.0'],
    steps: [['build-webpack.cjs'], ['out/app.cjs']],
  },
  {
    name: 'webpack, deadpeer external',
    tools: ['webpack@5.113.0'],
    steps: [['build-webpack.cjs', 'external'], ['out/app.cjs']],
  },
  {
    name: 'Rollup, deadpeer external',
    tools: ['rollup@4.68.8', '@rollup/plugin-commonjs@29.0.3', '@rollup/plugin-node-resolve@16.0.3'],
    steps: [[bin('rollup/dist/bin/rollup'), '--config', '--silent'], ['out/app.mjs']],
  },
  {
    name: 'Vite SSR',
    tools: ['vite@8.4.0'],
    steps: [[bin('vite/bin/vite.js'), 'build', '--logLevel=error'], ['out/app.mjs']],
  },
  {
    name: '@vercel/nft',
    isShort: true,
    tools: ['@vercel/nft@1.11.5'],
    steps: [['trace.mjs'], ['out/app.cjs'], ['out/app.mjs']],
  },
  {
    name: 'Node single executable',
    isShort: true,
    tools: ['esbuild@0.28.2', 'postject@1.0.0-alpha.6'],
    steps: [esbuild('--format=cjs', '--external:*.node', '--outfile=out/app.cjs'), ['single-executable.mjs']],
  },
  {
    name: 'Bun bundler',
    tools: [`@oven/bun-linux-${process.arch === 'arm64' ? 'aarch64' : process.arch}@1.4.5`],
    steps: [['bun.mjs']],
  },
  { name: 'vitest', tools: ['vitest@4.1.12'], steps: [[bin('vitest/vitest.mjs'), 'run']] },
  { name: 'tsx', tools: ['tsx@4.23.15'], steps: [[bin('tsx/dist/cli.mjs'), 'app.ts']] },
  { name: 'npm install --omit=optional', install: ['--omit=optional'], steps: [['app.mjs']] },
  { name: 'node --require deadpeer/register', steps: [['--require', 'deadpeer/register', 'app.mjs']] },
  {
    name: 'node --import deadpeer/register',
    isShort: true,
    steps: [['--import', 'deadpeer/register', 'app.cjs']],
  },
  {
    name: 'node --permission --allow-addons',
    steps: [[permission, '--allow-fs-read=*', '--allow-addons', '--no-warnings', 'app.mjs']],
  },
  { name: 'pnpm', tools: ['pnpm@10.34.9'], steps: [['package-manager.mjs', 'pnpm']] },
  { name: "Yarn Plug'n'Play", tools: ['@yarnpkg/cli-dist@4.18.1'], steps: [['package-manager.mjs', 'yarn']] },
  typescript('5.4.5', true, ['node16', 'nodenext', 'node10', 'bundler']),
  typescript('5.9.3', false, ['node16', 'nodenext', 'node10', 'bundler']),
  typescript('6.0.3', false, ['node16', 'nodenext', 'node10', 'bundler']),
  // TypeScript 7 has no node10 any more.
  typescript('7.0.2', true, ['node16', 'nodenext', 'commonjs', 'bundler']),
].flat()

function bin(path) {
  return `node_modules/${path}`
}

function jest() {
  return [bin('jest/bin/jest.js'), '--testMatch=**/app.jest.cjs', '--silent=false']
}

function esbuild(...options) {
  return [
    bin('esbuild/bin/esbuild'),
    'app.mjs',
    '--bundle',
    '--platform=node',
    '--log-level=warning',
    ...options,
  ]
}

function typescript(version, isShort, modes) {
  const common = ['--target', 'es2022', '--types', 'node', '--strict', '--outDir', 'out']
  const ways = {
    node16: [
      ['app.mts', 'app.cts'],
      ['--module', 'node16', '--moduleResolution', 'node16'],
    ],
    nodenext: [
      ['app.mts', 'app.cts'],
      ['--module', 'nodenext', '--moduleResolution', 'nodenext'],
    ],
    node10: [
      ['app.ts'],
      [
        '--module',
        'commonjs',
        '--moduleResolution',
        'node10',
        ...(version.startsWith('6') ? ['--ignoreDeprecations', '6.0'] : []),
      ],
    ],
    commonjs: [['app.ts'], ['--module', 'commonjs', '--moduleResolution', 'bundler']],
    bundler: [['app.mts'], ['--module', 'esnext', '--moduleResolution', 'bundler']],
  }
  return modes.map((mode) => {
    const [files, options] = ways[mode]
    const outputs = files.map((file) => [`out/${file.replace('ts', 'js')}`])
    return {
      name: `TypeScript ${version}, ${mode}`,
      isShort,
      tools: [`typescript@${version}`, '@types/node@20.19.43'],
      steps: [[bin('typescript/bin/tsc'), ...common, ...options, ...files], ...outputs],
    }
  })
}
