import { execFileSync } from 'node:child_process'

/** What readelf says of a shared library: enough to tell where it will load. */
export function readElf(file) {
  const text = execFileSync('readelf', ['--wide', '-h', '-S', '-d', '-V', '--dyn-syms', file], {
    encoding: 'utf8',
    // In words that do not depend on who runs this.
    env: { ...process.env, LC_ALL: 'C' },
  })
  const all = (pattern) => [...text.matchAll(pattern)].map(([, found]) => found)
  const symbols = [...text.matchAll(/^ +\d+: .* (GLOBAL|WEAK) +\w+ +(\w+) (\S+)/gm)].map(
    ([, , section, name]) => ({ isUndefined: section === 'UND', name: name.replace(/@.*/, '') }),
  )
  return {
    type: all(/^ +Type: +(\w+)/gm)[0],
    machine: all(/^ +Machine: +(.+)/gm)[0],
    isStripped: !/ \.(symtab|debug_\w+) /.test(text),
    needed: all(/\(NEEDED\).*\[(.+)\]/g).sort(),
    /** As in GLIBC_2.17. */
    versions: [...new Set(all(/ Name: (\S+) +Flags: /g))].sort(byVersion),
    exported: symbols.filter(({ isUndefined }) => !isUndefined).map(({ name }) => name),
    imported: symbols.filter(({ isUndefined }) => isUndefined).map(({ name }) => name),
  }
}

const collator = new Intl.Collator('en', { numeric: true })

export function byVersion(one, other) {
  return collator.compare(one, other)
}
