// Installs the packed package with another package manager than npm, and runs the programs there.
import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

const [, , manager] = process.argv
const tarball = process.env.DEADPEER_TARBALL
const programs = {
  pnpm: { file: 'node_modules/pnpm/bin/pnpm.cjs', add: [tarball], run: [] },
  yarn: {
    file: 'node_modules/@yarnpkg/cli-dist/bin/yarn.js',
    add: [`deadpeer@file:${tarball}`],
    run: ['node'],
  },
}
const { file, add, run } = programs[manager]
const program = resolve(file)
const registry = execFileSync('npm', ['config', 'get', 'registry'], { encoding: 'utf8' }).trim()
const env = {
  ...process.env,
  YARN_NPM_REGISTRY_SERVER: registry,
  YARN_UNSAFE_HTTP_WHITELIST: '*',
  YARN_ENABLE_TELEMETRY: '0',
}
// Elsewhere: in this folder Node would find the package that npm has installed.
const folder = mkdtempSync(join(tmpdir(), 'deadpeer-manager-'))
const node = (...args) => execFileSync(process.execPath, args, { cwd: folder, env, encoding: 'utf8' })
try {
  for (const name of ['app.mjs', 'app.cjs', 'use.mjs']) cpSync(name, join(folder, name))
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true }))
  writeFileSync(join(folder, 'yarn.lock'), '')
  node(program, 'add', ...add)
  // Under Yarn's Plug'n'Play, yarn starts Node.
  const start = run.length > 0 ? [program, ...run] : []
  const [required, imported] = ['app.cjs', 'app.mjs'].map((name) => node(...start, name))
  if (required !== imported) throw new Error(`by require: ${required}by import: ${imported}`)
  console.log(imported)
} finally {
  rmSync(folder, { recursive: true })
}
