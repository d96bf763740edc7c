import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

// What other people publish can change under its name. Here it is pinned by what it contains.

describe('the workflows', () => {
  const folder = '.github/workflows'
  const uses = readdirSync(folder).flatMap((file) =>
    [...readFileSync(join(folder, file), 'utf8').matchAll(/uses: (.*)$/gm)].map(([, action]) => ({
      file,
      action: action!,
    })),
  )

  it('use actions by a commit, with its version in a comment', () => {
    expect(uses.length).toBeGreaterThan(5)
    const others = uses.filter(({ action }) => !action.startsWith('./'))
    for (const { file, action } of others)
      expect(action, file).toMatch(/^[\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/)
  })
})

describe('a package that a script fetches', () => {
  const cache = mkdtempSync(join(tmpdir(), 'deadpeer-cache-'))
  const folder = join(cache, 'deadpeer/tool@1.0.0/node_modules')

  beforeAll(() => {
    mkdirSync(folder, { recursive: true })
    // As npm writes it.
    const packages = { 'node_modules/tool': { version: '1.0.0', integrity: 'sha512-right' } }
    writeFileSync(join(folder, '.package-lock.json'), JSON.stringify({ packages }))
  })
  afterAll(() => rmSync(cache, { recursive: true }))

  function fetch(integrity?: string) {
    const call = `fetchPackage('tool', '1.0.0', ${JSON.stringify(integrity)})`
    const code = `import('./native/fetched.mjs').then(({ fetchPackage }) => console.log(${call}))`
    return spawnSync(process.execPath, ['-e', code], {
      encoding: 'utf8',
      env: { ...process.env, XDG_CACHE_HOME: cache },
    })
  }

  it('is used if it has the checksum that is known here', () => {
    expect(fetch('sha512-right').stdout.trim()).toBe(join(folder, 'tool'))
  })

  it('is refused if it has another checksum', () => {
    const { status, stderr } = fetch('sha512-known')
    expect(status).toBe(1)
    expect(stderr).toContain('the checksum of tool must be sha512-known; got sha512-right. Do not use it.')
  })
})
