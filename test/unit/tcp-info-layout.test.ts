import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { layoutOf } from '../../src/kernel/tcp-info-layout.js'

// The layout beside the kernel's own header, as the compiler lays it out. Fields newer than the header are not in it.

const HEADER = '/usr/include/linux/tcp.h'
const layout = Object.entries(layoutOf('6.18')).map(([field, [offset, width, shift = 0, bits]]) => ({
  field,
  offset,
  width,
  shift,
  bits,
}))
const nameInC = (field: string) =>
  `tcpi_${field.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}`
const header = readFileSync(HEADER, 'utf8')
const known = layout.filter(({ field }) => new RegExp(`\\b${nameInC(field)}\\b`).test(header))

const places = compiledPlaces()

describe('the layout of tcp_info', () => {
  it('is compared in at least 55 fields', () => {
    expect(known.length).toBeGreaterThanOrEqual(55)
  })

  it.each(known)('has $field where the header has it', ({ field, offset, width, shift, bits }) => {
    const bytes = new Uint8Array(512)
    for (let i = 0; i < width; i++) bytes[offset + i] = bits === undefined ? 255 : ((1 << bits) - 1) << shift
    expect(places.get(field)).toBe([...bytes.entries()].filter(([, byte]) => byte > 0).join(' '))
  })
})

/** Which bytes are not 0 where all bits of a field are set and no other's. */
function compiledPlaces(): Map<string, string> {
  const folder = mkdtempSync(join(tmpdir(), 'deadpeer-layout-'))
  try {
    const source = join(folder, 'layout.c')
    const program = join(folder, 'layout')
    const lines = known.map(({ field }) => {
      const name = nameInC(field)
      return `memset(&info, 0, sizeof(info)); info.${name} = -1; print("${field}");`
    })
    writeFileSync(
      source,
      `#include <linux/tcp.h>
       #include <stdio.h>
       #include <string.h>
       static struct tcp_info info;
       static void print(const char* field) {
         const unsigned char* bytes = (const unsigned char*)&info;
         printf("%s:", field);
         for (unsigned i = 0; i < sizeof(info); i++) if (bytes[i]) printf(" %u,%u", i, bytes[i]);
         printf("\\n");
       }
       int main(void) { ${lines.join('\n')} return 0; }`,
    )
    execFileSync('cc', ['-o', program, source], { stdio: 'pipe' })
    const output = execFileSync(program, { encoding: 'utf8' }).trim().split('\n')
    return new Map(output.map((line) => line.split(': ') as [string, string]))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
