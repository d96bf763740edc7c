// Makes the API reference, docs/api, from the comments in the sources:
//   npm run reference [-- --check]
// With --check it writes nothing, and fails where docs/api is not what it would write. Either way it fails where something that is exported
// has no comment, or a comment links to nothing.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { stripVTControlCharacters } from 'node:util'

/** Fetched when they are needed. TypeDoc has a TypeScript of its own, for it does not know the one that builds this package. */
const packages = ['typedoc@0.28.20', 'typedoc-plugin-markdown@4.14.1', 'typescript@5.9.3']

const root = fileURLToPath(new URL('..', import.meta.url))
const committed = join(root, 'docs/api')
const isCheck = process.argv.includes('--check')
const folder = mkdtempSync(join(tmpdir(), 'deadpeer-reference-'))
try {
  const faults = generate(isCheck ? folder : committed)
  if (isCheck) faults.push(...differences(folder, committed))
  for (const fault of faults) console.log(fault)
  console.log(
    faults.length === 0 ? `${isCheck ? 'up to date' : 'written'}: docs/api` : `${faults.length} faults`,
  )
  process.exitCode = faults.length === 0 ? 0 : 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}

/** @returns what is wrong with the comments */
function generate(out) {
  const { status, stdout, stderr, error } = spawnSync(
    'npm',
    [
      'exec',
      '--yes',
      ...packages.map((name) => `--package=${name}`),
      '--',
      ...['typedoc', '--options', 'docs/typedoc.json', '--out', out],
    ],
    { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], timeout: 300_000 },
  )
  if (error) throw error
  const lines = stripVTControlCharacters(stdout + stderr).split('\n')
  // TypeDoc ends well with warnings.
  if (status !== 0 || !existsSync(join(out, 'README.md'))) throw new Error(lines.join('\n'))
  return lines.filter(
    (line) =>
      /^\[(warning|error)\]/.test(line) &&
      // A count of the others; and members of types without a name, which are told of where these are used.
      !/ Found \d+ errors and \d+ warnings|\.__type\b.* does not have any documentation/.test(line),
  )
}

function differences(made, kept) {
  const filesOf = (path) => (existsSync(path) ? readdirSync(path) : [])
  const names = [...new Set([...filesOf(made), ...filesOf(kept)])].sort()
  const contentOf = (path) => (existsSync(path) ? readFileSync(path, 'utf8') : undefined)
  return names
    .filter((name) => contentOf(join(made, name)) !== contentOf(join(kept, name)))
    .map((name) => `docs/api/${name} is not what the sources say: npm run reference`)
}
