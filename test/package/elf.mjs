import { execFileSync } from 'node:child_process'

/** What readelf prints about a shared library: enough to know where it loads. */
export function readElf(file) {
  const text = execFileSync('readelf', ['--wide', '-h', '-S', '-d', '-V', '--dyn-syms', file], {
    encoding: 'utf8',
    // Independent of the user's locale.
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
    /** Such as GLIBC_2.17. */
    versions: [...new Set(all(/ Name: (\S+) +Flags: /g))].sort(byVersion),
    exported: symbols.filter(({ isUndefined }) => !isUndefined).map(({ name }) => name),
    imported: symbols.filter(({ isUndefined }) => isUndefined).map(({ name }) => name),
  }
}

const collator = new Intl.Collator('en', { numeric: true })

export function byVersion(one, other) {
  return collator.compare(one, other)
}
