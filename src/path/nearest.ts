/** The names nearest to one that was mistyped, the nearest first; three at most, none where nothing is near. */
export function nearest(word: string, names: readonly string[]): string[] {
  const wanted = word.toLowerCase()
  return names
    .map((name) => ({ name, distance: distanceOf(wanted, name) }))
    .filter(({ distance }) => distance <= Math.max(1, wanted.length / 3))
    .sort((a, b) => a.distance - b.distance)
    .slice(0, 3)
    .map(({ name }) => name)
}

/** A part of the name is nearer than any misspelling: nlb for aws-nlb; and a misspelled part counts as well: azrue for azure-lb. */
function distanceOf(word: string, name: string): number {
  const parts = name.split('-')
  if (parts.includes(word)) return 0
  if (word.length > 2 && name.includes(word)) return 0.5
  return Math.min(edits(word, name), ...parts.map((part) => edits(word, part) + 0.5))
}

/** Letters left out, put in, exchanged or swapped (Damerau and Levenshtein). */
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
