// Draws a run as SVG: one panel below the other over the same seconds. Pure.

const WIDTH = 900
const PANEL = 120
const GAP = 46
const LEFT = 60
const RIGHT = 20
const TOP = 54
const COLOURS = ['#1f6feb', '#d1570a', '#2da44e', '#8250df']

/** @param {{ seed: number, seconds: number, samples: object[], control: object[], caused: number[], told: number[] }} run */
export function plot({ seed, seconds, samples, control, caused, told }) {
  const MiB = 2 ** 20
  const series = (name, of, from = samples) => ({
    name,
    points: from
      .map((sample) => [sample.at, of(sample)])
      .filter(([at, y]) => y !== undefined && at <= seconds),
  })
  const rate = (name, counts) => ({ name, points: smooth(counts).map((count, i) => [i + 0.5, count]) })
  const panels = [
    {
      title: 'connections',
      lines: [series('open', ({ sockets }) => sockets), series('watched', ({ watching }) => watching)],
    },
    { title: 'deaths a second', lines: [rate('caused', caused), rate('told', told)] },
    {
      title: 'memory, MiB',
      lines: [
        series('resident', ({ rss }) => rss / MiB),
        series('heap after collection', ({ heap }) => heap && heap / MiB),
        series('external', ({ external }) => external / MiB),
      ],
    },
    { title: 'descriptors beside the connections', lines: [series('open', ({ others }) => others)] },
    {
      title: 'event-loop delay, 99th percentile of each second, ms',
      lines: [
        series('watched', ({ delay }) => delay[1]),
        series('not watched, the run before', ({ delay }) => delay[1], control),
      ],
    },
  ]
  const height = TOP + panels.length * (PANEL + GAP)
  const body = panels.map((panel, i) => draw(panel, TOP + i * (PANEL + GAP), seconds))
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" font-family="system-ui, sans-serif" font-size="12">
<title>A soak: connections, deaths, memory, descriptors and event-loop delay over time</title>
<rect width="100%" height="100%" fill="#fff"/>
<text x="${LEFT}" y="22" font-size="15" fill="#1f2328">${samples.at(-1).accepted.toLocaleString('en')} connections came and went in ${seconds} s (seed ${seed})</text>
${body.join('\n')}
</svg>
`
}

/** The middle of so many seconds each, for what happens at random. */
function smooth(counts, span = 5) {
  return counts.map((_, i) => {
    const some = counts.slice(Math.max(0, i - (span >> 1)), i + (span >> 1) + 1)
    return some.reduce((a, b) => a + b) / some.length
  })
}

function draw({ title, lines }, top, seconds) {
  const most = roundUp(Math.max(1, ...lines.flatMap(({ points }) => points.map(([, y]) => y))))
  const x = (at) => LEFT + (at / seconds) * (WIDTH - LEFT - RIGHT)
  const y = (value) => top + PANEL - (value / most) * PANEL
  const text = (at, height, what, more = '') =>
    `<text x="${at.toFixed(1)}" y="${height.toFixed(1)}" fill="#59636e" ${more}>${what}</text>`
  const rulers = [0, most / 2, most].map(
    (value) =>
      `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(value)}" y2="${y(value)}" stroke="#d1d9e0" stroke-width="1"/>` +
      text(LEFT - 6, y(value) + 4, value.toLocaleString('en'), 'text-anchor="end"'),
  )
  const times = [0, 0.25, 0.5, 0.75, 1].map((part) =>
    text(x(part * seconds), top + PANEL + 16, `${Math.round(part * seconds)} s`, 'text-anchor="middle"'),
  )
  const paths = lines.map(({ points }, i) => {
    const line = points.map(([at, value]) => `${x(at).toFixed(1)},${y(value).toFixed(1)}`).join(' ')
    return `<polyline points="${line}" fill="none" stroke="${COLOURS[i]}" stroke-width="${i === 0 ? 2.5 : 1.2}"/>`
  })
  let at = WIDTH - RIGHT
  const legend = lines.toReversed().map(({ name }, i) => {
    const colour = COLOURS[lines.length - 1 - i]
    const label = `<text x="${at}" y="${top - 8}" text-anchor="end" fill="${colour}">${name}</text>`
    at -= 6.2 * name.length + 16
    return label
  })
  const heading = `<text x="${LEFT}" y="${top - 8}" fill="#1f2328">${title}</text>`
  return [heading, ...legend, ...rulers, ...times, ...paths].join('\n')
}

/** To 1, 2 or 5 times a power of ten. */
function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value))
  return power * [1, 2, 4, 5, 6, 8, 10].find((factor) => factor * power >= value)
}
