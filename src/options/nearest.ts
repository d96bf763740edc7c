/** The names most similar to a misspelled one, the most similar first: at most three, and none if no name is similar. */
export function nearest(word: string, names: readonly string[]): string[] {
  const wanted = plainName(word)
  return names
    .map((name) => ({ name, distance: distanceOf(wanted, name) }))
    .filter(({ distance }) => distance <= Math.max(1, wanted.length / 3))
    .sort((a, b) => a.distance - b.distance)
    .slice(0, 3)
    .map(({ name }) => name)
}

/** Like {@link nearest}, but only the names at the least distance. */
export function nearestOnly(word: string, names: readonly string[]): string[] {
  const wanted = plainName(word)
  const [first, ...others] = nearest(word, names)
  if (first === undefined) return []
  const least = distanceOf(wanted, first)
  return [first, ...others.filter((name) => distanceOf(wanted, name) === least)]
}

/**
 * Whether a word misspells a name: another spelling (`keepalive`), one wrong letter in a name of five or more, or two in a name of nine or
 * more. Stricter than {@link nearest}, for objects that may have names unknown to this package.
 */
export function isMisspellingOf(word: string, name: string): boolean {
  const [a, b] = [plainName(word), plainName(name)]
  if (a === b) return true
  const length = Math.min(a.length, b.length)
  return length >= 5 && edits(a, b) <= (length >= 9 ? 2 : 1)
}

/** A name without case, `_` and `-`: `initial_delay`, `initialdelay` and `initialDelay` are the same. */
export function plainName(name: string): string {
  return name.toLowerCase().replaceAll(/[_-]/g, '')
}

/**
 * A part of a name ranks before any misspelling: `nlb` is near `aws-nlb`, `within` is near `detectWithin`. A misspelled part counts too:
 * `azrue` is near `azure-lb`.
 */
function distanceOf(wanted: string, name: string): number {
  const whole = plainName(name)
  if (wanted === whole) return -1
  const parts = name.split(/-|_|(?=[A-Z])/).map((part) => part.toLowerCase())
  if (parts.includes(wanted)) return 0
  if (wanted.length > 2 && whole.includes(wanted)) return 0.5
  return Math.min(edits(wanted, whole), ...parts.map((part) => edits(wanted, part) + 0.5))
}

/** The number of letters left out, added, replaced or swapped (Damerau-Levenshtein distance). */
function edits(a: string, b: string): number {
  let before: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1]
      let least = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + (same ? 0 : 1))
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        least = Math.min(least, before[j - 2]! + 1)
      }
      row.push(least)
    }
    before = last
    last = row
  }
  return last[b.length]!
}
