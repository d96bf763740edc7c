// Whether a licence is as permissive as this package's own. Pure.

const permissive = new Set([
  '0BSD',
  'Apache-2.0',
  'BlueOak-1.0.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'CC0-1.0',
  'ISC',
  'MIT',
  'MIT-0',
  'Python-2.0',
  'Unlicense',
  'Zlib',
])

/**
 * Packages with other licences. Only development uses them, and nothing of them ships; each has the reason why that is acceptable. An exception for a
 * package that is no longer used must be removed.
 */
export const exceptions = [
  {
    name: /^lightningcss(-|$)/,
    licence: 'MPL-2.0',
    why: 'compiles style sheets for vite, and this package has none',
  },
]

/**
 * Checks each package, and returns the faults.
 *
 * @param {{ name: string, version: string, licence: string | undefined, isRuntime: boolean }[]} packages
 */
export function judgeLicences(packages) {
  const used = new Set()
  const faults = packages.flatMap(({ name, version, licence, isRuntime }) => {
    if (licence === undefined) return [`${name}@${version} names no licence`]
    if (isPermissive(licence)) return []
    const exception = exceptions.find((one) => one.name.test(name) && one.licence === licence)
    if (exception && !isRuntime) {
      used.add(exception)
      return []
    }
    return [`${name}@${version} is under ${licence}${isRuntime ? ', and ships to users' : ''}`]
  })
  const unused = exceptions.filter((one) => !used.has(one))
  return [
    ...faults,
    ...unused.map(({ name, licence }) => `the exception ${name} (${licence}) is no longer needed. Remove it`),
  ]
}

/** An SPDX expression: one of the parts joined by OR must be permissive, and all parts joined by AND. */
export function isPermissive(expression) {
  const tokens = expression.match(/[()]|[^()\s]+/g) ?? []
  let at = 0
  const either = () => {
    let result = both()
    while (tokens[at] === 'OR') {
      at++
      result = both() || result
    }
    return result
  }
  const both = () => {
    let result = one()
    while (tokens[at] === 'AND') {
      at++
      result = one() && result
    }
    return result
  }
  const one = () => {
    if (tokens[at] !== '(') return permissive.has(tokens[at++])
    at++
    const result = either()
    if (tokens[at++] !== ')') return false
    return result
  }
  const result = either()
  // The rest, such as an exception that begins with WITH, is not understood.
  return result && at === tokens.length
}

/** As in package.json. Older packages have an object, or a list to choose from. */
export function licenceOf({ license, licenses }) {
  const name = (one) => (typeof one === 'string' ? one : one?.type)
  if (license !== undefined) return name(license)
  if (!Array.isArray(licenses) || licenses.length === 0) return undefined
  return licenses.length === 1 ? name(licenses[0]) : `(${licenses.map(name).join(' OR ')})`
}
