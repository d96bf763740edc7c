// Whether a licence lets others do what they want with a package, as this package's own does. Pure.

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
 * Those that are not, of packages that only development uses and that ship with nothing, each with why that is no matter. A package
 * that has gone is to go from here as well.
 */
export const exceptions = [
  {
    name: /^lightningcss(-|$)/,
    licence: 'MPL-2.0',
    why: 'compiles style sheets for vite, of which there are none here',
  },
]

/**
 * What is said of each package: a fault, or nothing.
 *
 * @param {{ name: string, version: string, licence: string | undefined, isRuntime: boolean }[]} packages
 */
export function judgeLicences(packages) {
  const used = new Set()
  const faults = packages.flatMap(({ name, version, licence, isRuntime }) => {
    if (licence === undefined) return [`${name}@${version} says no licence`]
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
    ...unused.map(({ name, licence }) => `nothing needs the exception ${name} (${licence}) any more`),
  ]
}

/** An SPDX expression: of those joined by OR one may be chosen, of those joined by AND all hold. */
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
  // What is left over, such as an exception that begins with WITH, is not understood.
  return result && at === tokens.length
}

/** As package.json has it; older ones have an object, or a list of which one may choose. */
export function licenceOf({ license, licenses }) {
  const name = (one) => (typeof one === 'string' ? one : one?.type)
  if (license !== undefined) return name(license)
  if (!Array.isArray(licenses) || licenses.length === 0) return undefined
  return licenses.length === 1 ? name(licenses[0]) : `(${licenses.map(name).join(' OR ')})`
}
