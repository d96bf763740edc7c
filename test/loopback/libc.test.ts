import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { afterAll, expect, it } from 'vitest'

// Binaries that are none: the reason why there is no native core names the one that was chosen.
const folder = mkdtempSync(join(tmpdir(), 'deadpeer-libc-'))
const binaries = join(folder, `prebuilds/linux-${process.arch}`)
mkdirSync(binaries, { recursive: true })
for (const libc of ['glibc', 'musl']) writeFileSync(join(binaries, `deadpeer.${libc}.node`), '')
afterAll(() => rmSync(folder, { recursive: true }))

function chosen(env: Record<string, string>): { reason: string; LIBC?: string; excludeNetwork: boolean } {
  const pretending = fileURLToPath(new URL('fixtures/as-on-musl.mjs', import.meta.url))
  const library = new URL('../../dist/index.js', import.meta.url)
  const script = `
    const { capabilities } = await import(${JSON.stringify(library)})
    const { reason } = capabilities()
    const { report, env: { LIBC } } = process
    console.log(JSON.stringify({ reason, LIBC, excludeNetwork: report.excludeNetwork }))`
  const args = ['--import', pathToFileURL(pretending).href, '--input-type=module', '-e', script]
  const output = execFileSync(process.execPath, args, {
    encoding: 'utf8',
    env: { ...process.env, DEADPEER_PREBUILD: folder, ...env },
  })
  return JSON.parse(output)
}

it.each([
  { libraries: 'glibc alone', env: {}, libc: 'glibc' },
  { libraries: 'glibc, and musl beside it', env: { PRETEND: 'musl' }, libc: 'glibc' },
  { libraries: 'musl', env: { PRETEND: 'musl,report' }, libc: 'musl' },
  {
    libraries: 'what LIBC says, whatever there is',
    env: { PRETEND: 'musl,report', LIBC: 'glibc' },
    libc: 'glibc',
  },
])('loads the binary for $libraries', ({ env, libc }) => {
  const { reason, LIBC, excludeNetwork } = chosen(env)
  expect(reason).toContain(`deadpeer.${libc}.node`)
  // Both are left as they were.
  expect([LIBC, excludeNetwork]).toEqual([env.LIBC, false])
})
