// A drawing of some rows beside what they are compared with, each group on a scale of its own.

const WIDTH = 800
const LEFT = 300
const RIGHT = 690
const MARGIN = 16
const BAR = 20
/** Of a monospaced font at 12 px. */
const CHARACTER = 7.4

const STYLE = `
  text { font: 12px ui-monospace, SFMono-Regular, Menlo, Consolas, 'Liberation Mono', 'DejaVu Sans Mono', monospace; fill: #1f2328 }
  .title { font-weight: bold }
  .faint { fill: #59636e }
  .paper { fill: #ffffff }
  .ours { fill: #1f883d }
  .other { fill: #afb8c1 }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc }
    .faint { fill: #9198a1 }
    .paper { fill: #0d1117 }
    .ours { fill: #3fb950 }
    .other { fill: #656c76 }
  }`

const sides = {
  ours: (row) => row?.ours,
  reference: (row) => row?.reference,
}

/** Each bar: its name, the row that has it (a part of its name, and of what it is compared with), and which side of that. */
const groups = [
  {
    title: 'Time to detect an idle peer that vanished, p99',
    bars: [
      ['deadpeer, heartbeat every 1 s × 1', 'heartbeat every 1 s × 1,', '', 'ours'],
      ['deadpeer, heartbeat every 1 s × 3', 'heartbeat every 1 s × 3,', '', 'ours'],
      ['Node, setKeepAlive(true, 1000)', 'for comparison with a heartbeat', '', 'ours', true],
    ],
  },
  {
    title: 'Failed requests on connections that the server is closing',
    bars: [
      ['deadpeer, HttpAgent', 'requests at 300', 'http.Agent', 'ours'],
      ['Node, http.Agent', 'requests at 300', 'http.Agent', 'reference'],
      ['agentkeepalive', 'requests at 300', 'agentkeepalive', 'reference'],
    ],
  },
  {
    title: 'Live connections killed by tuning 4,000 idle ones',
    bars: [
      ['deadpeer, tuneAll', 'tuneAll, 4,000 healthy', '', 'ours'],
      ['a loop over setsockopt', 'tuneAll, 4,000 healthy', '', 'reference'],
    ],
  },
  {
    title: 'Time to set the options of a socket, 200 sockets in turn',
    bars: [
      ['deadpeer, tune, 5 options', 'tune (5 options), 200 sockets, heard', '', 'ours'],
      ['net-keepalive, 3 options', 'tune (5 options), 200 sockets, heard', '', 'reference'],
    ],
  },
  {
    title: 'CPU time to list 20,000 sockets with tcp_info',
    bars: [
      ['deadpeer, listSockets', 'listSockets, 20,000 sockets, with tcp_info, CPU', '', 'ours'],
      ['ss -tinO', 'listSockets, 20,000 sockets, with tcp_info, CPU', '', 'reference'],
    ],
  },
]

/** As SVG. Bars that were not measured are left out. */
export function drawChart(results, machine) {
  const parts = []
  let y = 28
  const text = (x, content, style = '') =>
    parts.push(`<text x="${x}" y="${y}"${style && ` class="${style}"`}>${escaped(content)}</text>`)
  text(MARGIN, 'deadpeer compared with other tools: shorter is better', 'title')
  for (const { title, bars } of groups) {
    const known = bars.flatMap((bar) => measured(bar, results))
    if (known.length === 0) continue
    y += 34
    text(MARGIN, title, 'title')
    const longest = Math.max(...known.map(({ value }) => value)) || 1
    for (const { name, value, unit, isOurs } of known) {
      y += BAR
      text(MARGIN + 12, name)
      const width = Math.max(value > 0 ? 2 : 0, ((RIGHT - LEFT) * value) / longest)
      parts.push(
        `<rect class="${isOurs ? 'ours' : 'other'}" x="${LEFT}" y="${y - 11}" width="${width.toFixed(1)}" height="13"/>`,
      )
      text(LEFT + width + 8, `${amount(value)} ${unit}`)
    }
  }
  y += 34
  text(MARGIN, machine.slice(0, Math.floor((WIDTH - 2 * MARGIN) / CHARACTER)), 'faint')
  const height = y + 16
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="Bars: deadpeer beside Node, agentkeepalive, net-keepalive and ss">
<style>${STYLE}
</style>
<rect class="paper" width="100%" height="100%"/>
${parts.join('\n')}
</svg>
`
}

function measured([name, part, against, side, isOther = side === 'reference'], results) {
  const row = results.find((each) => each.name.includes(part) && each.against.includes(against))
  const value = sides[side](row)
  return value === undefined ? [] : [{ name, value, unit: row.unit, isOurs: !isOther }]
}

function amount(value) {
  const digits = value >= 100 || Number.isInteger(value) ? 0 : value >= 1 ? 1 : 2
  return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits })
}

function escaped(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}
