import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { readElf } from './elf.mjs'

const host = fileURLToPath(new URL('musl-host.c', import.meta.url))

/** The names that an addon offers when a program linked with Debian's musl initializes it. */
export function namesOfferedOnMusl(addon) {
  const folder = mkdtempSync(join(tmpdir(), 'deadpeer-musl-'))
  try {
    const stubs = readElf(addon)
      .imported.filter((name) => /^(napi|node_api)_/.test(name) && name !== 'napi_set_named_property')
      .map((name) => `int ${name}(void) { return 0; }\n`)
    writeFileSync(join(folder, 'stubs.c'), stubs.join(''))
    const program = join(folder, 'host')
    const flags = ['-Wall', '-Werror', '-rdynamic', '-o', program]
    execFileSync('musl-gcc', [...flags, host, join(folder, 'stubs.c')], { stdio: 'inherit' })
    return execFileSync(program, [addon], { encoding: 'utf8' }).trim().split('\n')
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
