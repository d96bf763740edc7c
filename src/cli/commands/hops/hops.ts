import { nearest } from '../../../options/nearest.js'
import { inWords } from '../../../path/in-words.js'
import { type CatalogueHop, type Certainty, type Hop, hops, type IdleTimeout } from '../../../path/index.js'
import { columns } from '../../lib/table.js'
import { complain, paint, write } from '../../lib/terminal.js'

/** Prints the catalogue, or its rows with a word in their name or title. Returns the exit code: 1 if there are none. */
export function hopsCommand(word: string | undefined, json: boolean): number {
  const found = Object.values(hops).filter((hop) => word === undefined || has(hop, word.toLowerCase()))
  if (found.length === 0) {
    const near = nearest(word!, Object.keys(hops))
    complain(
      `no hop matches '${word}'. ${near.length > 0 ? `Did you mean ${near.join(' or ')}?` : 'deadpeer hops lists all'}`,
    )
    return 1
  }
  if (json) write(JSON.stringify(found, undefined, 2))
  else if (word === undefined) list(found)
  else for (const hop of found) describe(hop)
  return 0
}

function has({ name, title }: Hop, word: string): boolean {
  return name.includes(word) || title.toLowerCase().includes(word)
}

function list(found: readonly CatalogueHop[]): void {
  const rows = found.map((hop) => [
    hop.name,
    times(hop, ({ idleTimeout }) => inWords(idleTimeout)),
    `layer ${hop.layer}`,
    hop.onExpiry,
    hop.probesCount ? 'probes count' : 'probes do not count',
    acknowledged[hop.answersProbes],
  ])
  for (const line of columns(rows)) write(line)
  write()
  write('deadpeer hops <word> shows what can be set, and the sources.')
}

function describe(hop: CatalogueHop): void {
  const { name, title, layer, onExpiry, endsTcp, probesCount, certainty, note, source } = hop
  const { answersProbes, probeSource } = hop
  write(paint(name, 'strong'))
  const rows = [
    ['is', `${title}; layer ${layer}${endsTcp ? ', with its own connection on each side' : ''}`],
    [
      'keeps',
      `an idle connection for ${times(hop, ({ idleTimeout }) => inWords(idleTimeout))}, then ${ends[onExpiry]}`,
    ],
    ['can be', times(hop, (side) => range(side, certainty))],
    ['source', `${source.title}, ${source.date} (${certainty})`],
    ['', source.url],
    ...(note === undefined ? [] : [['note', note]]),
    ['probes', `${acknowledged[answersProbes]}; ${probesCount ? 'count' : 'do not count'} as activity`],
    ['source', `${probeSource.title}, ${probeSource.date} (${probeSource.certainty})`],
    ['', probeSource.url],
    ...(probeSource.note === undefined ? [] : [['note', probeSource.note]]),
  ]
  for (const line of columns(rows)) write(`  ${line}`)
  write()
}

const acknowledged = {
  yes: 'acknowledged',
  no: 'not acknowledged',
  unreliable: 'not all acknowledged',
} as const

const ends = {
  silent: 'drops it silently',
  reset: 'drops it, and answers the next segment with a reset',
  close: 'closes it',
  nothing: 'does nothing',
} as const

/** The timeouts of both sides, if they differ. */
function times({ upstream, ...hop }: Hop, words: (side: IdleTimeout) => string): string {
  return upstream ? `${words(hop)}, to the server ${words(upstream)}` : words(hop)
}

function range({ range: limits, setting }: IdleTimeout, certainty: Certainty): string {
  if (!limits) return certainty === 'uncertain' ? 'not known' : 'fixed'
  const [least, most] = limits
  return most >= 2 ** 31 * 1_000 ? `set: ${setting}` : `${inWords(least)} … ${inWords(most)}: ${setting}`
}
