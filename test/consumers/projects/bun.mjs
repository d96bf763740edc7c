// Runs the program with Bun, bundled for Bun and for Node, and compiled to an executable.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readdirSync, rmSync } from 'node:fs'

const [name] = readdirSync('node_modules/@oven')
const bun = `node_modules/@oven/${name}/bin/bun`
const run = (program, ...args) =>
  execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })

const expected = run(bun, 'app.mjs')
assert.equal(run(bun, 'app.cjs'), expected)
for (const target of ['bun', 'node'])
  run(bun, 'build', 'app.mjs', `--target=${target}`, `--outdir=out/${target}`, '--entry-naming=app.mjs')
run(bun, 'build', 'app.mjs', '--compile', '--outfile=out/app')
rmSync('node_modules/deadpeer', { recursive: true })
assert.equal(run(bun, 'out/bun/app.mjs'), expected)
assert.equal(run(process.execPath, 'out/node/app.mjs'), expected)
assert.equal(run('out/app'), expected)
console.log(expected)
