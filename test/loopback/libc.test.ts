import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { afterAll, expect, it } from 'vitest'

// A copy of the package with empty files for binaries: the reason why there is no native core names the one that was chosen.
const folder = mkdtempSync(join(tmpdir(), 'deadpeer-libc-'))
const binaries = join(folder, `prebuilds/linux-${process.arch}`)
mkdirSync(binaries, { recursive: true })
for (const libc of ['glibc', 'musl']) writeFileSync(join(binaries, `deadpeer.${libc}.node`), '')
cpSync(fileURLToPath(new URL('../../dist', import.meta.url)), join(folder, 'dist'), { recursive: true })
afterAll(() => rmSync(folder, { recursive: true }))

function chosen(PRETEND: string): { reason: string; excludeNetwork: boolean } {
  const pretending = fileURLToPath(new URL('fixtures/as-on-musl.mjs', import.meta.url))
  const script = `
    const { capabilities } = await import(${JSON.stringify(pathToFileURL(join(folder, 'dist/index.mjs')))})
    const { reason } = capabilities()
    console.log(JSON.stringify({ reason, excludeNetwork: process.report.excludeNetwork }))`
  const args = ['--import', pathToFileURL(pretending).href, '--input-type=module', '-e', script]
  const output = execFileSync(process.execPath, args, {
    encoding: 'utf8',
    // A sanitizer's run names a binary in DEADPEER_NATIVE.
    env: { ...process.env, DEADPEER_NATIVE: '', PRETEND },
  })
  return JSON.parse(output)
}

it.each([
  { which: 'glibc, which is mapped', pretend: '', libc: 'glibc' },
  { which: 'musl, which is mapped under any name', pretend: 'musl', libc: 'musl' },
  { which: "glibc of Node's report, if /proc cannot be read", pretend: 'no-proc', libc: 'glibc' },
  { which: "musl by Node's report, if /proc cannot be read", pretend: 'no-proc,musl', libc: 'musl' },
])('loads the binary for $which', ({ pretend, libc }) => {
  const { reason, excludeNetwork } = chosen(pretend)
  expect(reason).toContain(`deadpeer.${libc}.node`)
  expect(excludeNetwork).toBe(false)
})
